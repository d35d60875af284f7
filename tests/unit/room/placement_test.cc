#include "room/relays/placement.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

RelayNode relay(std::string id, std::string region, std::uint64_t sessions = 0) {
  return {.id = std::move(id),
          .region = std::move(region),
          .host = "relay.example",
          .port = 7777,
          .tcp = true,
          .udp = true,
          .accepts = true,
          .sessions = sessions,
          .sessions_max = 100};
}

TEST_CASE("the one with the most headroom is picked") {
  const std::vector relays{relay("a", "eu", 50), relay("b", "eu", 10), relay("c", "eu", 20)};
  CHECK(place(relays, "eu", {}, {}) == 1);
}

TEST_CASE("the room's region comes before headroom, and another region before none") {
  std::vector relays{relay("a", "us"), relay("b", "eu", 90)};
  CHECK(place(relays, "eu", {}, {}) == 1);
  CHECK(place(relays, "asia", {}, {}) == 0);
  relays[1].accepts = false;
  CHECK(place(relays, "eu", {}, {}) == 0);
}

TEST_CASE("one that drains, is full, has weight 0 or is avoided is never picked") {
  std::vector relays{relay("a", "eu")};
  CHECK(place(relays, "eu", {}, {}) == 0);
  CHECK_FALSE(place(relays, "eu", {}, {}, "a"));
  relays[0].weight = 0;
  CHECK_FALSE(place(relays, "eu", {}, {}));
  relays[0].weight = 100;
  relays[0].sessions = 100;
  CHECK_FALSE(place(relays, "eu", {}, {}));
  relays[0].sessions = 0;
  relays[0].accepts = false;
  CHECK_FALSE(place(relays, "eu", {}, {}));
  CHECK_FALSE(place({}, "eu", {}, {}));
}

TEST_CASE("weight scales what a relay still takes") {
  std::vector relays{relay("a", "eu", 20), relay("b", "eu", 40)};
  relays[1].weight = 200;
  CHECK(place(relays, "eu", {}, {}) == 1);
}

TEST_CASE("beacons: the smallest worst round trip of the two, where both measured it") {
  const std::vector relays{relay("near-a", "eu"), relay("between", "us"), relay("near-b", "eu")};
  const std::vector<Beacon> a{{"near-a", 5}, {"between", 40}, {"near-b", 90}};
  const std::vector<Beacon> b{{"near-a", 95}, {"between", 45}, {"near-b", 4}};
  CHECK(place(relays, "eu", a, b) == 1);
  // One alone says nothing about the pair.
  CHECK(place(relays, "eu", a, {}) == 0);
  // What both measured comes before what only one did.
  const std::vector<Beacon> both{{"between", 900}};
  CHECK(place(relays, "eu", a, both) == 1);
}

TEST_CASE("load goes from empty to full") {
  CHECK(load(relay("a", "eu", 25)) == 0.25);
  CHECK(load(relay("a", "eu", 200)) == 1);
  CHECK(load(RelayNode{}) == 1);
}

}  // namespace
}  // namespace tandem
