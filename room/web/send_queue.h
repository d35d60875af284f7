// Bytes on their way out: pieces that others may share, in order, gathered for one write. Knows no
// socket. Empty it holds no memory.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "room/web/websocket_message.h"

namespace tandem {

class SendQueue {
 public:
  void push(const SharedMessage& message);
  void push(std::string bytes);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_ == 0; }

  // From the front, as many as fit; returns those that are set.
  [[nodiscard]] std::span<iovec> gather(std::span<iovec> into) const;
  // The same as one copy.
  [[nodiscard]] std::span<const char> gather(std::span<char> into) const;
  // Of what was gathered, from the front.
  void consume(std::size_t bytes);
  void clear();

 private:
  struct Piece {
    std::shared_ptr<const void> owner;
    std::string_view bytes;
  };
  void push(Piece piece);

  std::vector<Piece> pieces_;
  std::uint32_t first_ = 0;    // those before it are out
  std::uint32_t written_ = 0;  // bytes of the first
  std::size_t bytes_ = 0;
};

}  // namespace tandem
