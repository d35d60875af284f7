// What waits to be written: bounded, in the order it came, cut into batches as it comes. Knows no
// thread (its owner locks) and no driver.
//
// A room that changes again before its batch is taken is written once, as it was last. What does
// not fit is dropped, the newest first, and counted; where that leaves a gap in the live part it is
// remembered until replace_live().
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "room/storage/store.h"

namespace tandem {

// What goes to the store in one transaction.
struct StoreBatch {
  std::optional<LiveRooms> live;  // instead of all that stands there; before the writes
  std::vector<StoreWrite> writes;

  [[nodiscard]] std::size_t size() const { return writes.size() + (live ? 1 : 0); }
};

struct WriteQueueBounds {
  // A busy lobby makes some hundred writes a second: this is more than half a minute of a disk that
  // stands still.
  std::size_t writes_max = 16'384;
  // Of the texts in them; a room's metadata and bans may be some KiB.
  std::size_t bytes_max = 64 * 1024 * 1024;
  // A transaction of so many takes some milliseconds.
  std::size_t batch_max = 1024;
};

class WriteQueue {
 public:
  explicit WriteQueue(WriteQueueBounds bounds) : bounds_(bounds) {}

  void post(StoreWrite write);
  void replace_live(LiveRooms live);
  // The oldest batch, in constant time; empty where nothing waits.
  [[nodiscard]] StoreBatch take();

  [[nodiscard]] std::size_t writes_max() const { return bounds_.writes_max; }
  [[nodiscard]] std::size_t size() const { return size_ + (live_ ? 1 : 0); }
  // A batch stands that will not grow any more.
  [[nodiscard]] bool batch_is_full() const;
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] std::uint64_t coalesced() const { return coalesced_; }
  [[nodiscard]] bool live_stale() const { return live_stale_; }

 private:
  struct Piece {
    std::vector<StoreWrite> writes;
    std::size_t bytes = 0;
  };

  [[nodiscard]] bool replaced(RoomRow& room, std::size_t bytes);

  const WriteQueueBounds bounds_;
  std::deque<Piece> pieces_;
  std::unordered_map<std::string, std::size_t> rooms_;  // places in the last piece, by room id
  std::optional<LiveRooms> live_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t coalesced_ = 0;
  bool live_stale_ = false;
};

}  // namespace tandem
