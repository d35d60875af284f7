#include "bench/micro/driven_core.h"

#include <algorithm>

namespace tandem::bench {
namespace {

constexpr UnixSeconds kUnixStart = 1'700'000'000;
constexpr uint64_t kStreamBytesFree = uint64_t{64} << 20;

uint16_t max_payload(void*, const Endpoint&, const LocalAddress&) {
  return 1464;
}

void draw(void* context, std::span<uint8_t> bytes) {
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(static_cast<Random*>(context)->next());
}

ShardSettings generous() {
  ShardSettings settings;
  std::array<uint8_t, Keyring::kKeyBytesMin> key;
  key.fill(7);
  TANDEM_CHECK(settings.keys.add(1, key) == Keyring::AddOutcome::added);
  settings.max_sessions = UINT32_MAX;
  settings.packets_per_second = 10'000'000;
  settings.session_bytes_per_second = 10'000'000'000;
  return settings;
}

}  // namespace

DrivenCore::DrivenCore(uint32_t sessions_max, uint32_t streams_max)
    : settings_(generous()), shared_(std::make_unique<SharedCounts>(SipKey{3})) {
  core_ = std::make_unique<RelayCore>(
      ShardPlace{.sessions_max = sessions_max, .streams_max = streams_max}, settings_, *shared_,
      Environment{&random_, max_payload, draw}, now_);
  begin_turn(0);
}

void DrivenCore::begin_turn(Nanos passed) {
  now_ += passed;
  core_->begin_turn(now_, kUnixStart + (now_ - kStart) / kNanosPerSecond, kStreamBytesFree);
}

TokenBytes DrivenCore::token(uint64_t session_id, uint8_t slot) const {
  return mint(settings_.keys,
              {.slot = slot,
               .flags = kTokenTcp | kTokenUdp,
               .expires_at = static_cast<uint32_t>(kUnixStart + settings_.token_max_age_s / 2),
               .session_id = session_id});
}

// ---- binding ----

Binder::Binder(DrivenCore& driven, const TokenBytes& token, const Endpoint& from)
    : driven_(driven), token_(token), from_(from) {
  bytes_[0] = static_cast<uint8_t>(DatagramType::bind);
  bytes_[kShardKeyOffset] = token_[15];  // the last byte of its session id
  std::copy_n(token_.begin(), kClaimsSize, bytes_.begin() + 12);
}

Datagram Binder::datagram() {
  return {.source = from_,
          .local = DrivenCore::kLocal,
          .data = bytes_.data(),
          .length = kSize,
          .segment_size = kSize,
          .buffer = 0};
}

Reply Binder::feed(const Datagram& datagram) {
  // Within the budget of those that are not validated, 50,000 a second.
  driven_.begin_turn(20 * kNanosPerMicrosecond);
  driven_.core().on_datagrams({&datagram, 1});
  const std::vector<Reply>& replies = driven_.decisions().replies;
  TANDEM_CHECK(!replies.empty() && replies.front().destination == from_);
  const Reply reply = replies.front();
  driven_.forget();
  return reply;
}

Datagram Binder::first_bind() {
  std::fill_n(bytes_.begin() + 36, kCookieSize + kProofSize, uint8_t{0});
  return datagram();
}

void Binder::be_challenged() {
  const Reply challenge = feed(first_bind());
  TANDEM_CHECK(challenge.length == kChallengeSize &&
               challenge.bytes[0] == static_cast<uint8_t>(DatagramType::challenge));
  std::copy_n(challenge.bytes + 12, kCookieSize, bytes_.begin() + 36);
  const Secret proof = mac16(secret_of(token_), std::span(bytes_).first<kBindProvenSize>());
  std::copy(proof.begin(), proof.end(), bytes_.begin() + kBindProvenSize);
}

Datagram Binder::bind() {
  return datagram();
}

uint32_t Binder::be_bound() {
  be_challenged();
  const Reply bound = feed(bind());
  TANDEM_CHECK(bound.length == kBoundSize &&
               bound.bytes[0] == static_cast<uint8_t>(DatagramType::bound));
  return load_big_endian<uint32_t>(bound.bytes + 12);
}

// ---- paired sessions ----

PairedSessions::PairedSessions(uint32_t sessions) : driven(sessions, 1), buffers_(kBuffers) {
  Random random(14);
  for (uint32_t i = 0; i < sessions; ++i) pair(i, random.next());
  TANDEM_CHECK(driven.counters().sessions_paired.load() == sessions);
  fill_row();
  check_row();
}

void PairedSessions::pair(uint32_t session, uint64_t id) {
  const uint32_t channel = Binder(driven, driven.token(id, 0), end_of(session, 0)).be_bound();
  TANDEM_CHECK(Binder(driven, driven.token(id, 1), end_of(session, 1)).be_bound() == channel);
  sessions_.push_back({static_cast<uint8_t>(id), channel});
}

void PairedSessions::fill_row() {
  constexpr uint32_t kRowMin = 1024;
  constexpr uint32_t kBatchMax = 64;  // whole batches, or the last of the row are left out
  const auto ends = 2 * static_cast<uint32_t>(sessions_.size());
  std::vector<uint32_t> order;
  while (order.size() < kRowMin || order.size() % kBatchMax != 0) {
    for (uint32_t end = 0; end < ends; ++end) order.push_back(end);
  }
  Random random(15);
  for (auto left = static_cast<uint32_t>(order.size()); left > 1; --left) {
    std::swap(order[left - 1], order[random.below(left)]);
  }
  for (const uint32_t end : order) add_to_row(end / 2, end % 2);
}

void PairedSessions::add_to_row(uint32_t session, uint32_t slot) {
  Header header{};
  header[0] = static_cast<uint8_t>(DatagramType::data);
  header[kShardKeyOffset] = sessions_[session].shard_key;
  store_big_endian(&header[4], sessions_[session].channel);
  headers_.push_back(header);
  const auto buffer = static_cast<BufferId>(row_.size() % kBuffers);
  row_.push_back({.source = end_of(session, slot),
                  .local = DrivenCore::kLocal,
                  .data = buffers_[buffer].data(),
                  .length = kHeaderSize + kPayload,
                  .segment_size = kHeaderSize + kPayload,
                  .buffer = buffer});
  expected_.push_back(end_of(session, 1 - slot));
}

// Each goes to the other end of its session, from where it lies.
void PairedSessions::check_row() {
  for (size_t i = 0; i < row_.size(); ++i) {
    driven.begin_turn(kNanosPerMicrosecond);
    driven.core().on_datagrams(next(1));
    const Decisions& decisions = driven.decisions();
    TANDEM_CHECK(decisions.forwards.size() == 1 && decisions.replies.empty());
    const OutgoingDatagram& forward = decisions.forwards.front();
    TANDEM_CHECK(forward.destination == expected_[i] && forward.data == row_[i].data &&
                 forward.length == row_[i].length && forward.packets == 1);
    driven.forget();
  }
}

}  // namespace tandem::bench
