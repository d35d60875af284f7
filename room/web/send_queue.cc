#include "room/web/send_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/assert.h"

namespace tandem {

void SendQueue::push(Piece piece) {
  if (piece.bytes.empty()) return;
  bytes_ += piece.bytes.size();
  pieces_.push_back(std::move(piece));
}

void SendQueue::push(const SharedMessage& message) {
  push(Piece{message, message->wire()});
}

void SendQueue::push(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  push(Piece{std::move(owner), view});
}

std::span<iovec> SendQueue::gather(std::span<iovec> into) const {
  std::size_t count = 0;
  std::size_t skip = written_;
  for (std::size_t at = first_; at < pieces_.size() && count < into.size(); ++at, ++count) {
    const std::string_view left = pieces_[at].bytes.substr(skip);
    // sendmsg() only reads from it.
    into[count] = {const_cast<char*>(left.data()), left.size()};
    skip = 0;
  }
  return into.first(count);
}

std::span<const char> SendQueue::gather(std::span<char> into) const {
  std::size_t taken = 0;
  std::size_t skip = written_;
  for (std::size_t at = first_; at < pieces_.size() && taken < into.size(); ++at) {
    const std::string_view left = pieces_[at].bytes.substr(skip).substr(0, into.size() - taken);
    std::memcpy(into.data() + taken, left.data(), left.size());
    taken += left.size();
    skip = 0;
  }
  return into.first(taken);
}

void SendQueue::consume(std::size_t bytes) {
  TANDEM_CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  if (bytes_ == 0) return clear();
  std::size_t left = written_ + bytes;
  while (left >= pieces_[first_].bytes.size()) {
    left -= pieces_[first_].bytes.size();
    pieces_[first_++] = {};
  }
  written_ = static_cast<std::uint32_t>(left);
  // What is out would stay before a queue that never runs empty.
  if (first_ > pieces_.size() / 2 && first_ >= 64) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + first_);
    first_ = 0;
  }
}

void SendQueue::clear() {
  pieces_ = {};
  first_ = 0;
  written_ = 0;
  bytes_ = 0;
}

}  // namespace tandem
