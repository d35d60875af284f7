// Judges a BIND: the cookie first, then the proof, then what the token allows; binds its slot to
// the address it came from. docs/PROTOCOL.md, "UDP", Binding and Roaming.
#pragma once

#include "relay/core/lifecycle.h"

namespace tandem {

class Binding {
 public:
  Binding(ShardState& state, Lifecycle& lifecycle) : state_(state), lifecycle_(lifecycle) {}

  // Decides the one datagram and counts its verdict.
  void on_bind(const Datagram& from, std::span<const uint8_t> datagram);

 private:
  void challenge(const Datagram& from, const Bind& bind);
  // Everything that a client proved to be at its address is told.
  void refuse(const Datagram& from, const Bind& bind, ErrorCode code, BindOutcome outcome);
  enum class Standing : uint8_t { proven, bad_token, expired };
  [[nodiscard]] Standing judge(const Bind& bind, TokenClaims& claims);
  void admit(const Datagram& from, const Bind& bind, const TokenClaims& claims);
  void bind_slot(const Datagram& from, const Bind& bind, UdpPath& path, uint8_t slot);
  void refresh(const Bind& bind, UdpPath& path, uint8_t slot);

  ShardState& state_;
  Lifecycle& lifecycle_;
};

}  // namespace tandem
