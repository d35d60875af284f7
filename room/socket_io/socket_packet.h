// What Socket.IO sends, encoded once and shared by everyone that it goes to. Immutable; knows no
// socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "room/web/websocket_message.h"

namespace tandem {

// One packet of one namespace: its text and the binary frames that belong to it.
struct SocketPacket {
  std::vector<SharedMessage> frames;
  // On a WebSocket.
  [[nodiscard]] std::size_t bytes() const;
};
using SharedPacket = std::shared_ptr<const SocketPacket>;

// ["name", argument...]: `arguments` is the JSON of what stands behind the name, "" or
// "{...},{...}". Where it has placeholders ({"_placeholder":true,"num":0}), `attachments` are what
// they stand for, in that order.
[[nodiscard]] SharedPacket encode_event(std::string_view nsp, std::string_view name,
                                        std::string_view arguments,
                                        std::span<const std::string_view> attachments = {});
// [argument...] as for encode_event().
[[nodiscard]] SharedPacket encode_ack(std::string_view nsp, std::uint64_t ack_id,
                                      std::string_view arguments,
                                      std::span<const std::string_view> attachments = {});

// Those of a server alone. `pid` is empty where there is no recovery; neither needs escapes.
[[nodiscard]] SharedMessage encode_connect(std::string_view nsp, std::string_view sid,
                                           std::string_view pid);
[[nodiscard]] SharedMessage encode_disconnect(std::string_view nsp);
// `data` is JSON, "" where there is none.
[[nodiscard]] SharedMessage encode_connect_error(std::string_view nsp, std::string_view message,
                                                 std::string_view data);

// What went out and may be lost on its way, by the number of packets before and with it: 1, 2, ...
// Holds no memory while it is empty.
class SentPackets {
 public:
  struct Bounds {
    std::size_t packets = 0;
    std::size_t bytes = 0;
  };
  // Of a packet that no transport has yet.
  static constexpr std::uint64_t kUnsent = UINT64_MAX;

  // `mark` is a count of the transport's that grows; what is past the bounds is forgotten from the
  // oldest on.
  void push(SharedPacket packet, std::uint64_t mark, const Bounds& bounds);
  // The client has what was pushed with a mark up to this.
  void confirm(std::uint64_t mark);

  // How many were ever pushed.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool empty() const { return first_ == kept_.size(); }
  // Is everything behind the first `count` packets still here?
  [[nodiscard]] bool has_all_behind(std::uint64_t count) const;
  // Forgets the first `count` packets.
  void forget(std::uint64_t count);
  // Calls send(packet) for all that are left, in order; it returns the packet's new mark.
  template <class Send>
  void resend(Send&& send) {
    for (std::size_t i = first_; i < kept_.size(); ++i) kept_[i].mark = send(kept_[i].packet);
  }
  // Nothing that the client may lack was forgotten for the bounds' sake.
  [[nodiscard]] bool is_whole() const { return lost_ == 0; }
  // All that are left, in order, which are forgotten then.
  [[nodiscard]] std::vector<SharedPacket> take();

 private:
  struct Kept {
    SharedPacket packet;
    std::uint64_t mark;
  };
  void pop();
  void tidy();

  std::vector<Kept> kept_;
  std::size_t first_ = 0;  // in kept_: those before it are gone
  std::size_t bytes_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t lost_ = 0;  // the last mark that the bounds took away unconfirmed
};

}  // namespace tandem
