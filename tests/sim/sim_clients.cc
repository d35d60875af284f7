#include "tests/sim/sim_clients.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/assert.h"
#include "common/hex.h"
#include "relay/core/wire.h"

namespace tandem::sim {
namespace {

// The byte that connection `number` sends at `offset`: the first eight name the connection.
uint8_t byte_at(uint64_t number, uint64_t offset) {
  if (offset < 8) return static_cast<uint8_t>(number >> (8 * offset));
  uint64_t x = number * 0x9E3779B97F4A7C15u + offset;
  x ^= x >> 29;
  x *= 0xBF58476D1CE4E5B9u;
  return static_cast<uint8_t>(x >> 40);
}

std::string claims_text(const TokenBytes& token) {
  return token_text(token).substr(0, 32);
}

}  // namespace

// ---- TCP ----

void StreamClient::step() {
  if (connection_ == nullptr) {
    if (!leaving_ && world_.chance(100)) connect();
    return;
  }
  if (connection_->relay_reset ||
      (connection_->relay_fin && connection_->to_client.empty() && !paired_)) {
    // What had come before the reset may still be read, or not.
    return end(connection_->relay_reset);
  }
  write();
  read();
  if (connection_ == nullptr) return;
  if (world_.chance(2) || ++patience_ > 20'000) {  // gives up, in one way or another
    connection_->client_reset = connection_->client_gone = true;
    return end(true);
  }
}

void StreamClient::connect() {
  connection_ = &world_.connect(address_);
  proving_ = world_.chance(300);
  paired_ = false;
  line_.clear();
  to_write_ = world_.chance(100) ? 0 : uint64_t{1} << world_.below(17);
  written_ = read_ = peer_ = 0;
  patience_ = 0;
  sent_[connection_->number] = {session_.id, slot_, lane_, 0, false};
  std::string line = proving_ ? "TANDEM/1 PROVE " + claims_text(session_.tokens[slot_])
                              : "TANDEM/1 JOIN " + token_text(session_.tokens[slot_]);
  line += " lane=" + std::to_string(lane_);
  takeover_ = world_.chance(100);
  if (takeover_) line += " takeover=1";
  line += world_.chance(500) ? "\n" : "\r\n";
  connection_->to_relay.insert(connection_->to_relay.end(), line.begin(), line.end());
}

void StreamClient::write() {
  if (connection_->client_fin || (proving_ && !paired_)) return;
  // Also before PAIRED: what comes early is kept.
  const auto bytes = std::min<uint64_t>(to_write_ - written_, world_.below(4096));
  if (connection_->to_relay.size() > 32'768) return;
  for (uint64_t i = 0; i < bytes; ++i) {
    connection_->to_relay.push_back(byte_at(connection_->number, written_++));
  }
  Sent& sent = sent_[connection_->number];
  sent.total = written_;
  if (written_ == to_write_ && world_.chance(50)) {
    connection_->client_fin = true;
    sent.complete = true;
  }
}

void StreamClient::read() {
  auto& incoming = connection_->to_client;
  size_t budget = world_.chance(300) ? 0 : world_.below(8192);
  while (budget-- > 0 && !incoming.empty()) {
    const uint8_t byte = incoming.front();
    incoming.pop_front();
    if (paired_) {
      verify(byte);
      continue;
    }
    line_ += static_cast<char>(byte);
    if (byte != '\n') continue;
    on_line(std::exchange(line_, {}));
    if (connection_ == nullptr) return;
  }
  if (!incoming.empty() || !connection_->relay_fin || connection_->relay_reset) return;
  if (paired_ && connection_->client_fin) return end(false);
  // The other side has ended its stream; ours goes on until all is written.
  if (paired_ && written_ == to_write_) {
    connection_->client_fin = true;
    sent_[connection_->number].complete = true;
  }
}

void StreamClient::on_line(const std::string& line) {
  if (line == "TANDEM/1 WAIT\n") return;
  if (line == "TANDEM/1 PAIRED\n") {
    paired_ = true;
    ++tally_.pairings;
    return;
  }
  if (line.starts_with("TANDEM/1 NONCE ") && line.size() == 48) {
    std::array<uint8_t, 16> nonce;
    TANDEM_CHECK(hex_decode(line.substr(15, 32), nonce));
    const ClaimsBytes claims = claims_of(session_.tokens[slot_]);
    std::vector<uint8_t> proven(nonce.begin(), nonce.end());
    proven.insert(proven.end(), claims.begin(), claims.end());
    proven.push_back(static_cast<uint8_t>(lane_));
    proven.push_back(takeover_ ? 1 : 0);
    const Secret proof = mac16(secret_of(session_.tokens[slot_]), proven);
    std::string hex(32, '0');
    hex_encode(proof, hex);
    const std::string answer = "TANDEM/1 PROOF " + hex + "\n";
    connection_->to_relay.insert(connection_->to_relay.end(), answer.begin(), answer.end());
    return;
  }
  TANDEM_CHECK(line.starts_with("TANDEM/1 ERR "));
  connection_->client_fin = true;
  end(true);
}

void StreamClient::verify(uint8_t byte) {
  if (read_ < 8) {
    peer_ |= uint64_t{byte} << (8 * read_);
  } else {
    TANDEM_CHECK(byte == byte_at(peer_, read_));
  }
  if (++read_ == 8) {
    const auto found = sent_.find(peer_);
    TANDEM_CHECK(found != sent_.end());
    TANDEM_CHECK(found->second.session == session_.id);  // no byte crosses sessions
    TANDEM_CHECK(found->second.slot != slot_ && found->second.lane == lane_);
  }
  ++tally_.stream_bytes;
}

void StreamClient::end(bool reset) {
  ++(reset ? tally_.streams_reset : tally_.streams_ended);
  if (!reset && paired_ && read_ >= 8) {
    const Sent& peer = sent_.at(peer_);
    // An orderly end comes only behind the last byte.
    TANDEM_CHECK(peer.complete && peer.total == read_);
  }
  connection_->client_fin = connection_->client_gone = true;
  connection_->to_client.clear();
  connection_ = nullptr;
}

void StreamClient::leave() {
  leaving_ = true;
  if (connection_ == nullptr) return;
  connection_->client_reset = connection_->client_gone = true;
  end(true);
}

// ---- UDP ----

void DatagramClient::step() {
  if (leaving_) return;
  if (world_.now >= bind_at_) send_bind();
  for (uint32_t i = world_.below(4); paired_ && i > 0; --i) send_data();
  if (world_.chance(1) && channel_ != 0) {
    std::vector<uint8_t> close(kCloseSize);
    write_close(std::span(close).first<kCloseSize>(),
                {static_cast<uint8_t>(session_.id), CloseReason::left, channel_, nonce_});
    world_.send_datagram(address_, std::move(close));
    paired_ = false;
    bind_at_ = world_.now + static_cast<Nanos>(world_.below(40)) * kNanosPerSecond;
  }
}

void DatagramClient::move_to(Endpoint address) {
  address_ = address;
  cookie_ = {};
  bind_at_ = world_.now;
}

void DatagramClient::send_bind() {
  std::vector<uint8_t> bind(kBindMin);
  bind[0] = static_cast<uint8_t>(DatagramType::bind);
  bind[1] = static_cast<uint8_t>(session_.id);
  for (uint8_t& byte : nonce_) byte = static_cast<uint8_t>(world_.random());
  std::copy(nonce_.begin(), nonce_.end(), bind.begin() + 4);
  const ClaimsBytes claims = claims_of(session_.tokens[slot_]);
  std::copy(claims.begin(), claims.end(), bind.begin() + 12);
  std::copy(cookie_.begin(), cookie_.end(), bind.begin() + 36);
  if (cookie_ != std::array<uint8_t, 16>{}) {
    const Secret proof =
        mac16(secret_of(session_.tokens[slot_]), std::span(bind).first(kBindProvenSize));
    std::copy(proof.begin(), proof.end(), bind.begin() + 52);
    validated_.insert(address_);
  }
  world_.send_datagram(address_, std::move(bind));
  bind_at_ = world_.now + kNanosPerSecond * (paired_ ? 10 : 1);
}

void DatagramClient::send_data() {
  // header ‖ session ‖ slot ‖ sequence ‖ as much as fits the size
  std::vector<uint8_t> data(kDataHeaderSize + 17 + world_.below(64));
  data[0] = static_cast<uint8_t>(DatagramType::data);
  data[1] = static_cast<uint8_t>(session_.id);
  store_big_endian(data.data() + 4, channel_);
  store_big_endian(data.data() + 8, session_.id);
  data[16] = slot_;
  store_big_endian(data.data() + 17, ++sequence_);
  for (size_t i = 25; i < data.size(); ++i) data[i] = byte_at(session_.id + slot_, sequence_ + i);
  world_.send_datagram(address_, std::move(data));
}

void DatagramClient::on_datagram(std::span<const uint8_t> bytes, uint64_t stamp) {
  switch (static_cast<DatagramType>(bytes[0])) {
    case DatagramType::challenge:
      if (!std::equal(nonce_.begin(), nonce_.end(), bytes.begin() + 4)) return;
      std::copy_n(bytes.begin() + 12, cookie_.size(), cookie_.begin());
      bind_at_ = world_.now;
      return;
    case DatagramType::bound:
      TANDEM_CHECK(bytes.size() == kBoundSize && bytes[3] == slot_);
      channel_ = load_big_endian<uint32_t>(bytes.data() + 12);
      TANDEM_CHECK(channel_ != 0);
      paired_ = bytes[2] == 1;
      return;
    case DatagramType::data: {
      TANDEM_CHECK(bytes.size() >= 25);
      TANDEM_CHECK(load_big_endian<uint64_t>(bytes.data() + 8) == session_.id);
      TANDEM_CHECK(bytes[16] == 1 - slot_);
      const auto sequence = load_big_endian<uint64_t>(bytes.data() + 17);
      for (size_t i = 25; i < bytes.size(); ++i) {
        TANDEM_CHECK(bytes[i] == byte_at(session_.id + bytes[16], sequence + i));
      }
      // The relay itself neither reorders nor doubles: what arrived later leaves later.
      if (stamp != 0) {
        TANDEM_CHECK(stamp >= last_stamp_);
        last_stamp_ = stamp;
      }
      ++tally_.datagrams;
      return;
    }
    case DatagramType::close:
    case DatagramType::error:
      paired_ = false;
      return;
    case DatagramType::pong:
      return;
    case DatagramType::bind:
    case DatagramType::ping:
      TANDEM_CHECK(!"the relay never sends these");
  }
}

}  // namespace tandem::sim
