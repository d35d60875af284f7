// What comes often, a message to a room, takes no memory once the outcome's buffers have grown.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>

#include "tests/unit/room/room_world.h"

namespace {
std::size_t allocations = 0;
}

// Not inlined: g++ 12 would see malloc() and free() in place of new and delete, and warn of them.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace tandem {
namespace {

TEST_CASE("a message is read and applied without an allocation") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.join("cat", room);
  const std::string json = World::in(room, R"("data":{"x":1.5,"keys":[1,2,3]},"more":null)");
  const ClientKey from = world.connection.at("bob").client;
  const auto argument = scan_json(json, 8);
  REQUIRE(argument.has_value());
  Outcome outcome;
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 1) before = allocations;
    outcome.clear();
    const auto request = parse_request("room:message", {&*argument, 1}, 0, {});
    world.registry.apply(world.now, from, *request, outcome);
  }
  const std::size_t after = allocations;
  CHECK(after == before);
  REQUIRE(outcome.event_count() == 1);
  CHECK(outcome.event(0).to.size() == 3);
}

}  // namespace
}  // namespace tandem
