#include "room/storage/write_queue.h"

#include <doctest/doctest.h>

#include "tests/unit/room/store_fixture.h"

namespace tandem {
namespace {

std::vector<StoreWrite> take_all(WriteQueue& queue) {
  std::vector<StoreWrite> all;
  while (queue.size() > 0)
    for (StoreWrite& write : queue.take().writes) all.push_back(std::move(write));
  return all;
}

TEST_CASE("writes come out in the order they came, cut into batches") {
  WriteQueue queue({.batch_max = 2});
  for (int i = 0; i < 5; ++i) queue.post(sample_player(1, i));
  CHECK(queue.size() == 5);
  CHECK(queue.batch_is_full());
  std::vector<std::size_t> sizes;
  int next = 0;
  while (queue.size() > 0) {
    const StoreBatch batch = queue.take();
    sizes.push_back(batch.size());
    for (const StoreWrite& write : batch.writes)
      CHECK(write == StoreWrite(sample_player(1, next++)));
  }
  CHECK(sizes == std::vector<std::size_t>{2, 2, 1});
  CHECK(queue.take().size() == 0);
}

TEST_CASE("a batch is full when it will not grow any more") {
  WriteQueue queue({.batch_max = 2});
  queue.post(sample_player(1, 1));
  CHECK_FALSE(queue.batch_is_full());
  queue.post(sample_player(1, 2));
  CHECK(queue.batch_is_full());
}

TEST_CASE("a room that changes again before its batch is written once, as it was last") {
  WriteQueue queue({});
  RoomRow room = sample_room(1);
  queue.post(room);
  queue.post(sample_player(1, 1));
  queue.post(sample_room(2));
  room.name = "renamed";
  queue.post(room);
  CHECK(queue.coalesced() == 1);
  CHECK(queue.size() == 3);
  const auto all = take_all(queue);
  REQUIRE(all.size() == 3);
  CHECK(all[0] == StoreWrite(room));
  CHECK(all[1] == StoreWrite(sample_player(1, 1)));
  CHECK(all[2] == StoreWrite(sample_room(2)));
  queue.post(room);  // not with a batch that was taken
  CHECK(queue.size() == 1);
  CHECK(queue.coalesced() == 1);
}

TEST_CASE("a room that was closed in between is written again behind it") {
  WriteQueue queue({});
  queue.post(sample_room(1));
  queue.post(sample_closed(1));
  queue.post(sample_room(1));
  const auto all = take_all(queue);
  REQUIRE(all.size() == 3);
  CHECK(std::holds_alternative<RoomClosed>(all[1]));
  CHECK(std::holds_alternative<RoomRow>(all[2]));
}

TEST_CASE("rooms of another batch are no place to coalesce into") {
  WriteQueue queue({.batch_max = 1});
  RoomRow room = sample_room(1);
  queue.post(room);
  queue.post(sample_room(2));
  room.name = "renamed";
  queue.post(room);
  const auto all = take_all(queue);
  REQUIRE(all.size() == 3);
  CHECK(all[2] == StoreWrite(room));
}

TEST_CASE("what does not fit is dropped and counted") {
  WriteQueue queue({.writes_max = 3, .batch_max = 2});
  for (int i = 0; i < 5; ++i) queue.post(sample_metric("p2p", i));
  CHECK(queue.size() == 3);
  CHECK(queue.dropped() == 2);
  CHECK_FALSE(queue.live_stale());  // the history has a gap, the live part none
  const auto all = take_all(queue);
  REQUIRE(all.size() == 3);
  CHECK(all[2] == StoreWrite(sample_metric("p2p", 2)));
  queue.post(sample_metric("p2p", 9));
  CHECK(queue.size() == 1);
}

TEST_CASE("a dropped write of the live part is remembered") {
  for (const StoreWrite& write :
       {StoreWrite(sample_room(1)), StoreWrite(sample_closed(1)), StoreWrite(sample_player(1, 1)),
        StoreWrite(PlayerLeft{"room-1", "client-1"})}) {
    WriteQueue queue({.writes_max = 0});
    queue.post(write);
    CHECK(queue.live_stale());
    queue.replace_live({});
    CHECK_FALSE(queue.live_stale());
  }
}

TEST_CASE("long texts have a bound of their own") {
  RoomRow room = sample_room(1);
  room.metadata.assign(4096, 'x');
  WriteQueue queue({.bytes_max = 10'000});
  queue.post(room);
  room.metadata.assign(10'000, 'y');  // nor does it grow past the bound in its place
  queue.post(room);
  CHECK(queue.dropped() == 1);
  room.metadata.assign(5000, 'z');
  queue.post(room);
  CHECK(queue.coalesced() == 1);
  room.id = "room-2";
  queue.post(room);
  CHECK(queue.dropped() == 2);
  (void)queue.take();
  queue.post(room);
  CHECK(queue.dropped() == 2);
  room.id = "room-3";
  room.metadata.clear();
  room.bans.assign(200, "client");
  queue.post(room);
  CHECK(queue.dropped() == 3);
}

TEST_CASE("a new live part takes the place of all of it that waits; the history stays") {
  WriteQueue queue({.batch_max = 3});
  queue.post(sample_room(1));
  queue.post(sample_player(1, 1));
  queue.post(sample_client(1, 5));
  queue.post(sample_room(2));
  queue.post(sample_room(3));
  queue.post(PlayerLeft{"room-2", "client-1"});
  queue.post(sample_metric("relay", 6));
  queue.post(sample_closed(2));
  queue.replace_live({{sample_room(9)}, {}});
  queue.post(sample_player(9, 1));
  CHECK(queue.size() == 5);
  StoreBatch batch = queue.take();
  REQUIRE(batch.live);
  CHECK(batch.live->rooms == std::vector{sample_room(9)});
  CHECK(batch.size() == 2);
  const auto rest = take_all(queue);
  REQUIRE(rest.size() == 3);
  CHECK(rest[0] == StoreWrite(sample_metric("relay", 6)));
  CHECK(rest[1] == StoreWrite(sample_closed(2)));
  CHECK(rest[2] == StoreWrite(sample_player(9, 1)));
}

}  // namespace
}  // namespace tandem
