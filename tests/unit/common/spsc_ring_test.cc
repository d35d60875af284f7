#include "common/spsc_ring.h"

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>

namespace tandem {
namespace {

TEST_CASE("first in, first out, up to the capacity") {
  SpscRing<int> ring(4);
  CHECK(ring.capacity() == 4);
  CHECK(ring.empty());
  for (int i = 0; i < 4; ++i) CHECK(ring.try_push(i));
  CHECK_FALSE(ring.try_push(4));
  CHECK(ring.size() == 4);
  int out = -1;
  for (int i = 0; i < 4; ++i) {
    CHECK(ring.try_pop(out));
    CHECK(out == i);
  }
  CHECK_FALSE(ring.try_pop(out));
  CHECK(out == 3);
  CHECK(ring.empty());
}

TEST_CASE("a capacity of one") {
  SpscRing<int> ring(1);
  int out = 0;
  for (int i = 1; i < 10; ++i) {
    CHECK(ring.try_push(i));
    CHECK_FALSE(ring.try_push(i));
    CHECK(ring.try_pop(out));
    CHECK(out == i);
  }
}

TEST_CASE("what did not fit is still the caller's") {
  SpscRing<std::unique_ptr<int>> ring(1);
  CHECK(ring.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  CHECK_FALSE(ring.try_push(std::move(second)));
  REQUIRE(second != nullptr);
  std::unique_ptr<int> out;
  CHECK(ring.try_pop(out));
  CHECK(*out == 1);
  CHECK(ring.try_push(std::move(second)));
  CHECK(second == nullptr);
}

TEST_CASE("property: a ring is a bounded deque") {
  std::mt19937 random(1);
  SpscRing<std::string> ring(8);
  std::deque<std::string> model;
  for (int i = 0; i < 50'000; ++i) {
    if (random() % 2 == 0) {
      const std::string value = std::to_string(i) + std::string(random() % 40, 'x');
      const bool fits = model.size() < ring.capacity();
      REQUIRE(ring.try_push(value) == fits);
      if (fits) model.push_back(value);
    } else {
      std::string out;
      REQUIRE(ring.try_pop(out) == !model.empty());
      if (model.empty()) continue;
      REQUIRE(out == model.front());
      model.pop_front();
    }
    REQUIRE(ring.size() == model.size());
  }
}

TEST_CASE("two threads: everything arrives once, in order and whole") {
  struct Message {
    std::uint64_t number = 0;
    std::uint64_t inverse = 0;
  };
  constexpr std::uint64_t kMessages = 300'000;
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{2}, std::size_t{256}}) {
    SpscRing<Message> ring(capacity);
    std::thread producer([&ring] {
      for (std::uint64_t i = 0; i < kMessages;)
        if (ring.try_push(Message{i, ~i}))
          ++i;
        else
          std::this_thread::yield();
    });
    bool right = true;
    Message message;
    for (std::uint64_t i = 0; i < kMessages;) {
      right = right && ring.size() <= capacity;
      if (!ring.try_pop(message)) {
        std::this_thread::yield();
        continue;
      }
      right = right && message.number == i && message.inverse == ~i;
      ++i;
    }
    producer.join();
    CHECK(right);
    CHECK(ring.empty());
  }
}

}  // namespace
}  // namespace tandem
