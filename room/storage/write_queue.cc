#include "room/storage/write_queue.h"

#include <utility>

#include "common/overloaded.h"

namespace tandem {
namespace {

bool is_of_the_live_part(const StoreWrite& write) {
  return !std::holds_alternative<ClientSeen>(write) &&
         !std::holds_alternative<ConnectionMetric>(write);
}

// Of those texts alone that can be long; the others are within the size of the row.
std::size_t long_texts(const StoreWrite& write) {
  const auto* room = std::get_if<RoomRow>(&write);
  if (room == nullptr) return 0;
  std::size_t bytes = room->metadata.size() + room->password_verifier.size();
  for (const std::string& ban : room->bans) bytes += sizeof ban + ban.size();
  return bytes;
}

}  // namespace

bool WriteQueue::batch_is_full() const {
  return pieces_.size() > 1 ||
         (!pieces_.empty() && pieces_.front().writes.size() >= bounds_.batch_max);
}

bool WriteQueue::replaced(RoomRow& room, std::size_t bytes) {
  const auto found = rooms_.find(room.id);
  if (found == rooms_.end()) return false;
  Piece& last = pieces_.back();
  StoreWrite& place = last.writes[found->second];
  const std::size_t before = sizeof(StoreWrite) + long_texts(place);
  if (bytes_ - before + bytes > bounds_.bytes_max) return false;
  last.bytes += bytes - before;
  bytes_ += bytes - before;
  place = std::move(room);
  ++coalesced_;
  return true;
}

void WriteQueue::post(StoreWrite write) {
  const std::size_t bytes = sizeof(StoreWrite) + long_texts(write);
  auto* const room = std::get_if<RoomRow>(&write);
  if (room != nullptr && replaced(*room, bytes)) return;
  if (size_ >= bounds_.writes_max || bytes_ + bytes > bounds_.bytes_max) {
    ++dropped_;
    live_stale_ = live_stale_ || is_of_the_live_part(write);
    return;
  }
  if (pieces_.empty() || pieces_.back().writes.size() >= bounds_.batch_max) {
    pieces_.emplace_back();
    rooms_.clear();
  }
  Piece& last = pieces_.back();
  if (room != nullptr) rooms_[room->id] = last.writes.size();
  // A room that came back under its id is another row from here on.
  if (const auto* closed = std::get_if<RoomClosed>(&write)) rooms_.erase(closed->room_id);
  last.writes.push_back(std::move(write));
  last.bytes += bytes;
  bytes_ += bytes;
  ++size_;
}

void WriteQueue::replace_live(LiveRooms live) {
  rooms_.clear();
  size_ = bytes_ = 0;
  for (Piece& piece : pieces_) {
    // A closed room stays for its history; to the live part, where it is no more, it does nothing.
    std::erase_if(piece.writes, [](const StoreWrite& write) {
      return is_of_the_live_part(write) && !std::holds_alternative<RoomClosed>(write);
    });
    piece.bytes = 0;
    for (const StoreWrite& write : piece.writes)
      piece.bytes += sizeof(StoreWrite) + long_texts(write);
    size_ += piece.writes.size();
    bytes_ += piece.bytes;
  }
  std::erase_if(pieces_, [](const Piece& piece) { return piece.writes.empty(); });
  live_ = std::move(live);
  live_stale_ = false;
}

StoreBatch WriteQueue::take() {
  StoreBatch batch;
  batch.live = std::exchange(live_, std::nullopt);
  if (pieces_.empty()) return batch;
  Piece& first = pieces_.front();
  size_ -= first.writes.size();
  bytes_ -= first.bytes;
  batch.writes = std::move(first.writes);
  pieces_.pop_front();
  if (pieces_.empty()) rooms_.clear();
  return batch;
}

}  // namespace tandem
