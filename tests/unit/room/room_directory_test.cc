#include "room/lobby/room_directory.h"

#include <doctest/doctest.h>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

RoomListing listing(std::string_view game, std::string_view name, bool open = true) {
  std::string json = R"({"name":")";
  json += name;
  json += "\"}";
  return {.game_id = std::string(game),
          .region = "eu",
          .folded_name = fold_case(name),
          .open = open,
          .has_password = false,
          .json = std::make_shared<const std::string>(json)};
}

ClientKey client(std::uint32_t index) {
  return ClientKey{{.index = index, .generation = 1}};
}

std::string names(const ListPage& page) {
  std::string all;
  for (const SharedJson& room : page.rooms)
    all.append(all.empty() ? "" : " ").append(json_at(*room, "name"));
  return all;
}

// "add:a>1,2 remove:b>3"
std::string changes(RoomDirectory& directory, std::size_t rooms_max = 100) {
  Outcome outcome;
  (void)directory.take_changes(rooms_max, outcome);
  std::string all;
  for (std::size_t at = 0; at < outcome.event_count(); ++at) {
    const RoomEvent event = outcome.event(at);
    CHECK(event.name == RoomEventName::room_list_update);
    if (!all.empty()) all += ' ';
    all += json_at(event.arguments, "type") + ':' + json_at(event.arguments, "room.name") + '>';
    std::vector<std::uint32_t> to;
    for (const ClientKey key : event.to) to.push_back(key.handle.index);
    std::sort(to.begin(), to.end());
    for (const std::uint32_t index : to) all += std::to_string(index);
  }
  return all;
}

TEST_CASE("pages run from the newest, and a cursor stays where it is while rooms come and go") {
  RoomDirectory directory(SipKey{});
  for (std::uint64_t order = 1; order <= 7; ++order)
    directory.put(order, listing("g", std::to_string(order)));
  ListRooms request{.filter = {}, .limit = 3};
  ListPage page = directory.list(request);
  CHECK(names(page) == "7 6 5");
  REQUIRE(page.next_before.has_value());
  directory.put(8, listing("g", "8"));
  directory.remove(5);
  request.before = page.next_before;
  page = directory.list(request);
  CHECK(names(page) == "4 3 2");
  request.before = page.next_before;
  page = directory.list(request);
  CHECK(names(page) == "1");
  CHECK_FALSE(page.next_before.has_value());
}

TEST_CASE("an offset skips what matches") {
  RoomDirectory directory(SipKey{});
  for (std::uint64_t order = 1; order <= 6; ++order)
    directory.put(order, listing(order % 2 == 0 ? "even" : "odd", std::to_string(order)));
  const ListRooms request{.filter = {.game_id = "even"}, .limit = 2, .before = {}, .offset = 1};
  CHECK(names(directory.list(request)) == "4 2");
}

TEST_CASE("each filter, and several together") {
  RoomDirectory directory(SipKey{});
  RoomListing locked = listing("a", "Closed Cup", false);
  locked.region = "us";
  RoomListing secret = listing("b", "\xc3\x89t\xc3\xa9 cup");
  secret.has_password = true;
  directory.put(1, listing("a", "Open"));
  directory.put(2, locked);
  directory.put(3, secret);
  const auto found = [&](const RoomFilter& filter) {
    return names(directory.list({.filter = filter, .limit = 50}));
  };
  CHECK(found({}) == "\xc3\x89t\xc3\xa9 cup Closed Cup Open");
  CHECK(found({.game_id = "a"}) == "Closed Cup Open");
  CHECK(found({.game_id = "c"}).empty());
  CHECK(found({.region = "us"}) == "Closed Cup");
  CHECK(found({.open = true}) == "\xc3\x89t\xc3\xa9 cup Open");
  CHECK(found({.open = false}) == "Closed Cup");
  CHECK(found({.has_password = true}) == "\xc3\x89t\xc3\xa9 cup");
  CHECK(found({.has_password = false, .text = "CUP"}) == "Closed Cup");
  CHECK(found({.text = "\xc3\xa9T\xc3\x89"}) == "\xc3\x89t\xc3\xa9 cup");
  CHECK(found({.game_id = "a", .text = "cup"}) == "Closed Cup");
}

TEST_CASE("looking through ends after so many rooms, and goes on with the cursor") {
  RoomDirectory directory(SipKey{});
  const std::uint64_t count = RoomDirectory::kScanMax + 10;
  for (std::uint64_t order = 1; order <= count; ++order)
    directory.put(order, listing("g", order == 1 ? "needle" : "hay"));
  ListRooms request{.filter = {.text = "needle"}};
  ListPage page = directory.list(request);
  CHECK(page.rooms.empty());
  REQUIRE(page.next_before.has_value());
  request.before = page.next_before;
  page = directory.list(request);
  CHECK(names(page) == "needle");
  CHECK_FALSE(page.next_before.has_value());
}

TEST_CASE("followers hear what is so now, once") {
  RoomDirectory directory(SipKey{});
  directory.follow_all(client(1));
  REQUIRE(directory.follow(client(2), {.game_id = "a"}) == RoomDirectory::Follow::followed);
  REQUIRE(directory.follow(client(3), {.game_id = "b"}) == RoomDirectory::Follow::followed);
  directory.put(1, listing("a", "x"));
  directory.put(1, listing("a", "y"));
  CHECK(directory.has_changes());
  CHECK(changes(directory) == "add:y>12");
  CHECK_FALSE(directory.has_changes());
  directory.put(1, listing("a", "z"));
  CHECK(changes(directory) == "update:z>12");
  directory.remove(1);
  CHECK(changes(directory) == "remove:z>12");
  directory.put(2, listing("a", "gone at once"));
  directory.remove(2);
  CHECK(changes(directory).empty());
}

TEST_CASE("a room that no longer fits a filter is removed for who follows that") {
  RoomDirectory directory(SipKey{});
  directory.follow_all(client(1));
  REQUIRE(directory.follow(client(2), {.open = true}) == RoomDirectory::Follow::followed);
  directory.put(1, listing("a", "x"));
  CHECK(changes(directory) == "add:x>12");
  directory.put(1, listing("a", "x", false));
  CHECK(changes(directory) == "update:x>1 remove:x>2");
  directory.put(1, listing("a", "x", true));
  CHECK(changes(directory) == "add:x>2 update:x>1");
}

TEST_CASE("who follows several filters hears of their union, once") {
  RoomDirectory directory(SipKey{});
  REQUIRE(directory.follow(client(1), {.game_id = "a"}) == RoomDirectory::Follow::followed);
  REQUIRE(directory.follow(client(1), {.open = true}) == RoomDirectory::Follow::followed);
  REQUIRE(directory.follow(client(1), {.open = true}) == RoomDirectory::Follow::followed);
  directory.put(1, listing("a", "x"));
  directory.put(2, listing("b", "y"));
  CHECK(changes(directory) == "add:x>1 add:y>1");
  directory.put(1, listing("a", "x", false));
  directory.put(2, listing("b", "y", false));
  CHECK(changes(directory) == "update:x>1 remove:y>1");
  directory.unfollow(client(1), {.game_id = "a"});
  directory.put(1, listing("a", "x", true));
  CHECK(changes(directory) == "add:x>1");
  directory.unfollow(client(1), {});
  directory.put(3, listing("a", "z"));
  CHECK(changes(directory).empty());
  CHECK(directory.followers() == 0);
  CHECK(directory.groups() == 0);
}

TEST_CASE("the first subscription takes the place of the broadcast, none is left after the last") {
  RoomDirectory directory(SipKey{});
  directory.follow_all(client(1));
  REQUIRE(directory.follow(client(1), {.game_id = "a"}) == RoomDirectory::Follow::followed);
  directory.put(1, listing("b", "x"));
  CHECK(changes(directory).empty());
  directory.unfollow(client(1), {.game_id = "a"});
  directory.put(2, listing("a", "y"));
  CHECK(changes(directory).empty());
  directory.follow_all(client(2));
  directory.unfollow(client(2), {.game_id = "a"});  // never subscribed: it wants no lists
  directory.put(3, listing("a", "z"));
  CHECK(changes(directory).empty());
}

TEST_CASE("a client has so many filters and no more") {
  RoomDirectory directory(SipKey{});
  for (std::size_t at = 0; at < RoomDirectory::kFiltersMax; ++at)
    CHECK(directory.follow(client(1), {.game_id = std::to_string(at)}) ==
          RoomDirectory::Follow::followed);
  CHECK(directory.follow(client(1), {.game_id = "more"}) == RoomDirectory::Follow::too_many);
  CHECK(directory.follow(client(1), {.game_id = "0"}) == RoomDirectory::Follow::followed);
}

TEST_CASE("changes are taken in pieces, the longest waiting first") {
  RoomDirectory directory(SipKey{});
  directory.follow_all(client(1));
  for (std::uint64_t order = 1; order <= 3; ++order)
    directory.put(order, listing("g", std::to_string(order)));
  CHECK(changes(directory, 2) == "add:1>1 add:2>1");
  CHECK(directory.has_changes());
  CHECK(changes(directory, 2) == "add:3>1");
}

TEST_CASE("groups are shared, and end with their last client") {
  RoomDirectory directory(SipKey{});
  for (std::uint32_t index = 1; index <= 4; ++index)
    REQUIRE(directory.follow(client(index), {.game_id = index < 4 ? "a" : "b"}) ==
            RoomDirectory::Follow::followed);
  CHECK(directory.groups() == 2);
  directory.forget(client(1));
  directory.forget(client(4));
  CHECK(directory.groups() == 1);
  directory.put(1, listing("a", "x"));
  directory.put(2, listing("b", "y"));
  CHECK(changes(directory) == "add:x>23");
}

TEST_CASE("case is folded where letters lie at fixed distances") {
  CHECK(fold_case("ABC xyz 19") == "abc xyz 19");
  CHECK(fold_case("\xc3\x80\xc3\x9e\xc3\x97") == "\xc3\xa0\xc3\xbe\xc3\x97");  // À Þ, but not ×
  CHECK(fold_case("\xc5\x81\xc5\xbd\xc4\x8c") == "\xc5\x82\xc5\xbe\xc4\x8d");  // Ł Ž Č
  CHECK(fold_case("\xce\xa9\xce\x91") == "\xcf\x89\xce\xb1");                  // Ω Α
  CHECK(fold_case("\xd0\x96\xd0\xaf\xd0\x81") == "\xd0\xb6\xd1\x8f\xd1\x91");  // Ж Я Ё
  CHECK(fold_case("\xe6\x97\xa5\xf0\x9f\x8e\xae") == "\xe6\x97\xa5\xf0\x9f\x8e\xae");
  CHECK(fold_case("\xc3") == "\xc3");
}

}  // namespace
}  // namespace tandem
