#include "bench/load/relay_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

constexpr std::uint32_t kLifetimeSeconds = 3600;

Keyring read_keyring(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read the key file " + path);
  std::ostringstream text;
  text << file.rdbuf();
  auto keyring = parse_keyring(text.str());
  if (!keyring) throw std::runtime_error(path + ": " + keyring.error());
  if (keyring->empty()) throw std::runtime_error("no key in " + path);
  return std::move(*keyring);
}

}  // namespace

TokenMint::TokenMint(const std::string& key_file) : keyring_(read_keyring(key_file)) {}

TokenBytes TokenMint::mint_for(std::uint64_t session_id, Slot slot) const {
  TokenClaims claims;
  claims.slot = std::to_underlying(slot);
  claims.flags = kTokenTcp | kTokenUdp;
  claims.expires_at = static_cast<std::uint32_t>(std::time(nullptr)) + kLifetimeSeconds;
  claims.session_id = session_id;
  return mint(keyring_, claims);
}

std::uint64_t random_session_base() {
  std::random_device entropy;
  return std::uint64_t{entropy()} << 32 | entropy();
}

std::uint64_t session_id_of(std::uint64_t base, std::uint64_t index) {
  // An odd multiplier permutes the 64-bit numbers and walks every low byte in turn.
  return base + index * 0x9e3779b97f4a7c15;
}

std::string join_line(const TokenBytes& token) {
  return "TANDEM/1 JOIN " + token_text(token) + "\n";
}

JoinAnswer judge_join_answer(std::string_view line) {
  if (line == "TANDEM/1 PAIRED") return JoinAnswer::paired;
  if (line.starts_with("TANDEM/1 ERR")) return JoinAnswer::refused;
  return JoinAnswer::waiting;
}

JoinAnswer read_join_answer(int fd, const std::string& relay) {
  std::string line;
  for (char byte = 0;;) {
    const auto got = ::recv(fd, &byte, 1, 0);
    if (got < 0 && errno == EAGAIN) {
      throw std::runtime_error("is " + relay + " a relay? It does not answer JOIN");
    }
    if (got < 0) throw_errno("is " + relay + " a relay? JOIN");
    if (got == 0) throw std::runtime_error("is " + relay + " a relay? It closed before PAIRED");
    if (byte == '\n') break;
    line.push_back(byte);
  }
  const JoinAnswer answer = judge_join_answer(line);
  if (answer == JoinAnswer::refused) {
    throw std::runtime_error("the relay " + relay + " refused: " + line);
  }
  return answer;
}

Binding::Binding(const TokenBytes& token, std::uint64_t nonce)
    : claims_(claims_of(token)), secret_(secret_of(token)), nonce_(nonce) {}

BindDatagram Binding::request() const {
  constexpr std::size_t kSessionIdLowByte = 15;  // of the claims
  constexpr std::size_t kNonceAt = 4;
  constexpr std::size_t kClaimsAt = 12;
  constexpr std::size_t kCookieAt = 36;
  BindDatagram bind{};
  bind[0] = std::to_underlying(DatagramType::bind);
  bind[kShardKeyOffset] = claims_[kSessionIdLowByte];
  store_big_endian(&bind[kNonceAt], nonce_);
  std::ranges::copy(claims_, &bind[kClaimsAt]);
  if (state_ == State::unchallenged) return bind;
  std::ranges::copy(cookie_, &bind[kCookieAt]);
  const auto proof = mac16(secret_, std::span(bind).first(kBindProvenSize));
  std::ranges::copy(proof, &bind[kBindProvenSize]);
  return bind;
}

Binding::State Binding::on_answer(std::span<const std::uint8_t> datagram) {
  constexpr std::size_t kNonceAt = 4;
  constexpr std::size_t kCookieAt = 12;
  constexpr std::size_t kChannelAt = 12;
  constexpr std::size_t kStateAt = 2;
  if (datagram.size() < kErrorSize || load_big_endian<std::uint64_t>(&datagram[kNonceAt]) != nonce_)
    return state_;
  const auto is = [&datagram](DatagramType type, std::size_t size) {
    return datagram[0] == std::to_underlying(type) && datagram.size() == size;
  };
  if (is(DatagramType::challenge, kChallengeSize)) {
    std::ranges::copy(datagram.subspan(kCookieAt, kCookieSize), cookie_.begin());
    state_ = State::challenged;
  } else if (is(DatagramType::bound, kBoundSize)) {
    data_header_ = {std::to_underlying(DatagramType::data), datagram[kShardKeyOffset]};
    std::ranges::copy(datagram.subspan(kChannelAt, 4), &data_header_[4]);
    const bool paired = datagram[kStateAt] == std::to_underlying(BoundState::paired);
    state_ = paired ? State::paired : State::waiting;
  } else if (is(DatagramType::error, kErrorSize)) {
    constexpr std::size_t kCodeAt = 2;
    state_ = State::refused;
    refusal_ = error_code_text(static_cast<ErrorCode>(datagram[kCodeAt]));
  }
  return state_;
}

}  // namespace tandem::bench
