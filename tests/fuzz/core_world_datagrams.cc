#include <algorithm>
#include <cstring>

#include "tests/fuzz/core_world.h"

namespace tandem::fuzz {
namespace {

constexpr size_t kCookieOffset = 36;
constexpr size_t kProofOffset = 52;

// Where the clients of even endpoints find the relay, and where the others do.
LocalAddress local_of(uint8_t endpoint) {
  return {IpAddress::v4(203, 0, 113, static_cast<uint8_t>(1 + endpoint % 2)), 0};
}

// Out of line, or g++ 12 warns of writing past the ends of sizes that nobody asks for.
[[gnu::noinline]] Bytes filled(size_t size) {
  return Bytes(size);
}

bool is(std::span<const uint8_t> bytes, DatagramType type) {
  return !bytes.empty() && bytes[0] == static_cast<uint8_t>(type);
}

}  // namespace

// ---- what clients say ----

Bytes CoreWorld::bind_of(uint8_t from, const TokenName& name, bool with_cookie) {
  const TokenBytes& its = token(name);
  Client& client = clients_[from % kEndpoints];
  ++client.nonce[0];
  Bytes bytes(kBindMin);
  bytes[0] = static_cast<uint8_t>(DatagramType::bind);
  bytes[1] = its[15];
  std::copy(client.nonce.begin(), client.nonce.end(), &bytes[4]);
  std::copy_n(its.begin(), kClaimsSize, &bytes[12]);
  if (!with_cookie || client.cookies.empty()) return bytes;
  std::copy(client.cookies.back().begin(), client.cookies.back().end(), &bytes[kCookieOffset]);
  const Secret proof = mac16(secret_of(its), std::span(bytes).first(kBindProvenSize));
  std::copy(proof.begin(), proof.end(), &bytes[kProofOffset]);
  return bytes;
}

Bytes CoreWorld::data_of(uint8_t from, size_t payload) const {
  const Client& client = clients_[from % kEndpoints];
  Bytes bytes = filled(kDataHeaderSize + payload);
  bytes[0] = static_cast<uint8_t>(DatagramType::data);
  bytes[1] = client.shard_key;
  store_big_endian(&bytes[4], client.channels.empty() ? 0 : client.channels.back());
  return bytes;
}

Bytes CoreWorld::ping_of(uint8_t from, size_t padding) const {
  Bytes bytes = data_of(from, kPingSizeMin - kDataHeaderSize + padding);
  bytes[0] = static_cast<uint8_t>(DatagramType::ping);
  return bytes;
}

Bytes CoreWorld::close_of(uint8_t from) const {
  const Client& client = clients_[from % kEndpoints];
  Bytes bytes = data_of(from, kCloseSize - kDataHeaderSize);
  bytes[0] = static_cast<uint8_t>(DatagramType::close);
  std::copy(client.nonce.begin(), client.nonce.end(), &bytes[8]);
  return bytes;
}

// ---- what the relay gets ----

void CoreWorld::send(uint8_t from, Bytes bytes, uint16_t segment, bool truncated) {
  if (bytes.size() > kDatagramMax) return;
  // The kernel steers by byte 1.
  const uint32_t steered = bytes.size() > 1 ? bytes[kShardKeyOffset] : 0u;
  feed(steered % static_cast<uint32_t>(shards_.size()), endpoint(from),
       local_of(static_cast<uint8_t>(from % kEndpoints)), std::move(bytes), segment, truncated);
  // What was passed on belongs where it goes and is not passed on again.
  for (const Lost& stray : std::exchange(strays_, {})) {
    feed(stray.shard, stray.source, stray.local, stray.bytes, 0, false);
  }
  TANDEM_CHECK(strays_.empty());
}

void CoreWorld::feed(uint32_t shard, const Endpoint& source, const LocalAddress& local, Bytes bytes,
                     uint16_t segment, bool truncated) {
  const Bytes original = bytes;
  Client& client = *client_at(source);
  const auto whole = static_cast<uint16_t>(bytes.size());
  const uint16_t size = segment == 0 || segment > whole ? whole : segment;
  note_cookies(client, bytes, size);
  for (Client& each : clients_) each.heard = 0;
  const Datagram datagram{.source = source,
                          .local = local,
                          .data = bytes.data(),
                          .length = whole,
                          .segment_size = size,
                          .truncated = truncated,
                          .buffer = 7};
  feeding_ = &original;
  fed_ = bytes.data();
  fed_from_ = source;
  const uint64_t before = shards_[shard].core->counters().datagrams_received.load();
  const size_t strays_before = strays_.size();
  shards_[shard].core->on_datagrams({&datagram, 1});
  carry_out(shard);
  const uint64_t counted = shards_[shard].core->counters().datagrams_received.load() - before;
  TANDEM_CHECK(counted + (strays_.size() - strays_before) == datagram.segments());
  feeding_ = nullptr;

  // STUN apart, nobody who has not shown a cookie gets more than came from there.
  bool stun = false;
  for (size_t at = 0; at < original.size(); at += size) {
    stun = stun || classify(std::span(original).subspan(at)) == DatagramClass::stun;
  }
  TANDEM_CHECK(stun || client.validated || client.heard <= original.size());
  check_balance(shard);
}

void CoreWorld::note_cookies(Client& client, std::span<const uint8_t> bytes, uint16_t segment) {
  for (size_t at = 0; at + kBindMin <= bytes.size(); at += segment) {
    const auto one = bytes.subspan(at);
    if (!is(one, DatagramType::bind)) continue;
    for (const CookieMint::Cookie& cookie : client.cookies) {
      if (std::ranges::equal(cookie, one.subspan(kCookieOffset, kCookieSize))) {
        client.validated = true;
      }
    }
  }
}

CoreWorld::Client* CoreWorld::client_at(const Endpoint& at) {
  for (uint8_t i = 0; i < kEndpoints; ++i)
    if (endpoint(i) == at) return &clients_[i];
  return nullptr;
}

void CoreWorld::check_balance(uint32_t shard) const {
  const RelayCounters& counters = shards_[shard].core->counters();
  TANDEM_CHECK(counters.datagrams_received.load() == counters.datagrams_forwarded.load() +
                                                         counters.datagrams_replied.load() +
                                                         counters.datagrams_dropped.total());
}

// ---- what it decides ----

void CoreWorld::carry_out(uint32_t shard) {
  Decisions& decisions = shards_[shard].core->decisions();
  // Replies first: a train may hold the BIND and what follows it.
  for (const Reply& reply : decisions.replies) check_reply(reply);
  decisions.replies.clear();
  for (const OutgoingDatagram& outgoing : decisions.forwards) check_forward(outgoing);
  decisions.forwards.clear();
  for (const Stray& stray : decisions.strays) {
    TANDEM_CHECK(stray.shard != shard && stray.shard < shards_.size());
    strays_.push_back(
        {stray.shard, stray.source, stray.local, {stray.bytes.begin(), stray.bytes.end()}});
  }
  decisions.strays.clear();
  // One that cannot be handed over leads to further actions, so by index.
  for (size_t i = 0; i < decisions.actions.size(); ++i) {
    const StreamAction action = decisions.actions[i];
    perform(shard, action);
  }
  decisions.actions.clear();
  const std::vector<FromShard> messages = decisions.messages;
  decisions.messages.clear();
  for (const FromShard& message : messages) {
    answers_.push_back(message);
    const auto* blocked = std::get_if<AutoBlocked>(&message);
    if (blocked == nullptr) continue;
    for (uint32_t other = 0; other < shards_.size(); ++other) {
      if (other == shard) continue;
      shards_[other].core->on_command(
          AddBlock{0, block_scope(blocked->address), blocked->duration, true});
    }
  }
  take_arrivals();
}

void CoreWorld::check_forward(const OutgoingDatagram& outgoing) {
  TANDEM_CHECK(feeding_ != nullptr && outgoing.buffer == 7 && outgoing.length != 0);
  TANDEM_CHECK(outgoing.data >= fed_ && outgoing.data + outgoing.length <= fed_ + feeding_->size());
  TANDEM_CHECK(outgoing.segment_size != 0 &&
               outgoing.packets ==
                   (outgoing.length + outgoing.segment_size - 1) / outgoing.segment_size);
  Client* const to = client_at(outgoing.destination);
  TANDEM_CHECK(to != nullptr);
  to->heard += outgoing.length;
  const std::span<const uint8_t> bytes(outgoing.data, outgoing.length);
  if (is(bytes, DatagramType::pong)) {
    TANDEM_CHECK(outgoing.destination == fed_from_ && outgoing.packets == 1);
    return;
  }
  // DATA: unchanged, to another, and both were told its channel.
  TANDEM_CHECK(is(bytes, DatagramType::data) && outgoing.destination != fed_from_);
  TANDEM_CHECK(
      std::memcmp(outgoing.data, feeding_->data() + (outgoing.data - fed_), outgoing.length) == 0);
  const Client& from = *client_at(fed_from_);
  for (size_t at = 0; at < bytes.size(); at += outgoing.segment_size) {
    TANDEM_CHECK(bytes.size() - at >= kDataHeaderSize);
    const auto channel = load_big_endian<uint32_t>(&bytes[at + 4]);
    TANDEM_CHECK(std::ranges::count(to->channels, channel) == 1);
    TANDEM_CHECK(std::ranges::count(from.channels, channel) == 1);
  }
  TANDEM_CHECK(to->validated && from.validated);
}

void CoreWorld::check_reply(const Reply& reply) {
  Client* const to = client_at(reply.destination);
  TANDEM_CHECK(to != nullptr && reply.length <= kReplyMax);
  TANDEM_CHECK(reply.source == local_of(static_cast<uint8_t>(to - clients_.data())));
  to->heard += reply.length;
  TANDEM_CHECK(to->validated || (feeding_ != nullptr && reply.destination == fed_from_));
  const std::span<const uint8_t> bytes(reply.bytes, reply.length);
  if (is(bytes, DatagramType::challenge)) {
    CookieMint::Cookie cookie;
    std::copy_n(&bytes[12], cookie.size(), cookie.begin());
    to->cookies.push_back(cookie);
  } else if (is(bytes, DatagramType::bound)) {
    TANDEM_CHECK(to->validated);
    const auto channel = load_big_endian<uint32_t>(&bytes[12]);
    TANDEM_CHECK(channel != 0);
    std::erase(to->channels, channel);
    to->channels.push_back(channel);
    to->shard_key = bytes[1];
  }
}

}  // namespace tandem::fuzz
