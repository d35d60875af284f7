// Owns what a client says to a relay (the wire protocol, version 1): minting the tokens of a
// measured session, joining over TCP, binding over UDP. Encoding only; sockets appear in tcp_join
// alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/hmac.h"
#include "common/keyring.h"
#include "common/token.h"
#include "relay/core/wire.h"

namespace tandem::bench {

enum class Slot : std::uint8_t { a = 0, b = 1 };

class TokenMint {
 public:
  // `key_file` is the relay's security.key_file. Throws std::runtime_error.
  explicit TokenMint(const std::string& key_file);

  // Both transports allowed, the server's default caps, an hour to live.
  [[nodiscard]] TokenBytes mint_for(std::uint64_t session_id, Slot slot) const;

 private:
  Keyring keyring_;
};

// Session ids of one run: distinct, and spread over all values of the shard key.
[[nodiscard]] std::uint64_t random_session_base();
[[nodiscard]] std::uint64_t session_id_of(std::uint64_t base, std::uint64_t index);

// The line with its LF.
[[nodiscard]] std::string join_line(const TokenBytes& token);

enum class JoinAnswer { waiting, paired, refused };
// `line` without its LF.
[[nodiscard]] JoinAnswer judge_join_answer(std::string_view line);

// Reads one answer line, byte by byte: what follows PAIRED is the peer's. Throws on a refusal, with
// the `relay`'s name.
JoinAnswer read_join_answer(int fd, const std::string& relay);

inline constexpr std::size_t kBindSize = 96;
using BindDatagram = std::array<std::uint8_t, kBindSize>;
using DataHeaderBytes = std::array<std::uint8_t, kDataHeaderSize>;

// One end's binding, from the first BIND to BOUND.
class Binding {
 public:
  Binding(const TokenBytes& token, std::uint64_t nonce);

  enum class State { unchallenged, challenged, waiting, paired, refused };

  // The BIND to send now: without a cookie, or with the latest and its proof.
  [[nodiscard]] BindDatagram request() const;
  // Takes what the relay sent; what is not an answer to this binding changes nothing.
  State on_answer(std::span<const std::uint8_t> datagram);

  [[nodiscard]] State state() const { return state_; }
  // The ERROR's code by its name, where refused.
  [[nodiscard]] std::string_view refusal() const { return refusal_; }
  // The first eight bytes of this session's DATA; once bound.
  [[nodiscard]] const DataHeaderBytes& data_header() const { return data_header_; }

 private:
  ClaimsBytes claims_;
  Secret secret_;
  std::uint64_t nonce_;
  std::array<std::uint8_t, kCookieSize> cookie_{};
  DataHeaderBytes data_header_{};
  State state_ = State::unchallenged;
  std::string_view refusal_;
};

}  // namespace tandem::bench
