// One shard's policy under a clock that stands still until a test moves it, with seeded randomness
// and a key to mint tokens with. Plays the clients and the back end: feeds datagrams and stream
// events, and keeps what the core decided in the last step.
//
// Offsets are those of docs/PROTOCOL.md, written down once more, so that the codec does not vouch
// for itself.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/base64url.h"
#include "relay/core/relay_core.h"

namespace tandem {

using Bytes = std::vector<uint8_t>;

inline constexpr UnixSeconds kUnixStart = 1'700'000'000;
inline constexpr uint64_t kSession = 0x0123456789abcd00;  // shard key 0
inline constexpr Nanos kSecond = kNanosPerSecond;
// Timers may be late by a tick of the wheel, and instants are kept in milliseconds.
inline constexpr Nanos kSlack = 10 * kNanosPerMillisecond;

inline Endpoint at(uint8_t host, uint16_t port = 4000) {
  return {IpAddress::v4(192, 0, 2, host), port};
}

// Out of line, or g++ 12 warns of writing past the ends of sizes that no test asks for.
[[gnu::noinline]] inline Bytes filled(size_t size, uint8_t with) {
  return Bytes(size, with);
}

template <class Integer>
Integer field(const Bytes& bytes, size_t offset) {
  REQUIRE(bytes.size() >= offset + sizeof(Integer));
  return load_big_endian<Integer>(bytes.data() + offset);
}

// One UDP client of a slot.
struct UdpClient {
  Endpoint from;
  TokenBytes token;
  std::array<uint8_t, 8> nonce{1, 2, 3, 4, 5, 6, 7, 8};
  uint32_t channel = 0;  // once it is bound
};

class CoreFixture {
 public:
  using Tweak = std::function<void(ShardSettings&)>;

  explicit CoreFixture(const Tweak& tweak = {}, uint32_t shards = 1, uint32_t streams_max = 4096) {
    std::array<uint8_t, 32> key;
    key.fill(7);
    REQUIRE(settings.keys.add(1, key) == Keyring::AddOutcome::added);
    // Nobody's rate is in the way of a test that is not about rates.
    settings.session_bytes_per_second = 0;
    if (tweak) tweak(settings);
    shared = std::make_unique<SharedCounts>(SipKey{3});
    core = std::make_unique<RelayCore>(
        ShardPlace{.index = 0, .shards = shards, .sessions_max = 64, .streams_max = streams_max},
        settings, *shared, Environment{this, max_payload, random}, now);
    core->begin_turn(now, kUnixStart, stream_bytes_free);
  }

  // ---- time ----
  [[nodiscard]] UnixSeconds unix_now() const { return kUnixStart + (now - kStart) / kSecond; }
  // Moves the clock and fires what is due by then.
  void advance(Nanos span) {
    forget();
    now += span;
    core->begin_turn(now, unix_now(), stream_bytes_free);
    while (core->next_deadline() && *core->next_deadline() <= now) core->on_timers(1000);
    carry_out();
  }

  // ---- tokens ----
  struct Caps {
    uint8_t flags = kTokenTcp | kTokenUdp;
    uint32_t lifetime_s = 3600;
    uint32_t rate_kbps = 0;
    uint16_t lanes_max = 0;
  };
  [[nodiscard]] TokenBytes token(uint8_t slot, const Caps& caps,
                                 uint64_t session = kSession) const {
    return mint(settings.keys, {.slot = slot,
                                .flags = caps.flags,
                                .expires_at = static_cast<uint32_t>(unix_now()) + caps.lifetime_s,
                                .session_id = session,
                                .rate_kbps = caps.rate_kbps,
                                .lanes_max = caps.lanes_max});
  }
  [[nodiscard]] TokenBytes token(uint8_t slot, uint64_t session = kSession) const {
    return token(slot, Caps{}, session);
  }

  // ---- datagrams ----
  void feed(const Endpoint& source, const Bytes& bytes, uint16_t segment_size = 0,
            bool truncated = false) {
    forget();
    received_.push_back(bytes);
    Datagram datagram{
        .source = source,
        .local = kLocal,
        .data = received_.back().data(),
        .length = static_cast<uint32_t>(bytes.size()),
        .segment_size = segment_size != 0 ? segment_size : static_cast<uint16_t>(bytes.size()),
        .truncated = truncated,
        .buffer = 77};
    core->on_datagrams({&datagram, 1});
    carry_out();
  }

  [[nodiscard]] static Bytes bind_bytes(const UdpClient& client, const Bytes& cookie = {}) {
    Bytes bytes(96);
    bytes[0] = 0x05;
    bytes[1] = client.token[15];
    std::copy(client.nonce.begin(), client.nonce.end(), bytes.begin() + 4);
    std::copy_n(client.token.begin(), 24, bytes.begin() + 12);
    if (cookie.empty()) return bytes;
    std::copy(cookie.begin(), cookie.end(), bytes.begin() + 36);
    const Secret proof = mac16(secret_of(client.token), std::span(bytes).first(52));
    std::copy(proof.begin(), proof.end(), bytes.begin() + 52);
    return bytes;
  }
  // What a CHALLENGE gives, none where none came.
  [[nodiscard]] Bytes cookie_for(const UdpClient& client) {
    feed(client.from, bind_bytes(client));
    const auto said = said_to(client.from);
    if (said.size() != 1 || said[0].size() != 28 || said[0][0] != 0x06) return {};
    return {said[0].begin() + 12, said[0].end()};
  }
  // Both halves of it; the decisions that remain are those of the second.
  void bind(UdpClient& client) {
    const Bytes cookie = cookie_for(client);
    REQUIRE(!cookie.empty());
    feed(client.from, bind_bytes(client, cookie));
    for (const Bytes& said : said_to(client.from)) {
      if (said[0] == 0x07) client.channel = field<uint32_t>(said, 12);
    }
  }
  [[nodiscard]] UdpClient bound(uint8_t slot, const Endpoint& from, const Caps& caps,
                                uint64_t session = kSession) {
    UdpClient client{from, token(slot, caps, session)};
    bind(client);
    REQUIRE(client.channel != 0);
    return client;
  }
  [[nodiscard]] UdpClient bound(uint8_t slot, const Endpoint& from, uint64_t session = kSession) {
    return bound(slot, from, Caps{}, session);
  }

  [[nodiscard]] static Bytes data_bytes(const UdpClient& client, size_t payload) {
    Bytes bytes = filled(8 + payload, 0xdd);
    bytes[0] = 0x08;
    bytes[1] = client.token[15];
    bytes[2] = bytes[3] = 0;
    store_big_endian(&bytes[4], client.channel);
    return bytes;
  }
  [[nodiscard]] static Bytes ping_bytes(uint32_t channel, size_t size) {
    Bytes bytes = filled(size, 0xee);
    bytes[0] = 0x09;
    bytes[1] = static_cast<uint8_t>(kSession);
    bytes[2] = bytes[3] = 0;
    store_big_endian(&bytes[4], channel);
    return bytes;
  }
  [[nodiscard]] static Bytes close_bytes(const UdpClient& client) {
    Bytes bytes(16);
    bytes[0] = 0x0b;
    bytes[1] = client.token[15];
    store_big_endian(&bytes[4], client.channel);
    std::copy(client.nonce.begin(), client.nonce.end(), bytes.begin() + 8);
    return bytes;
  }

  // What the relay itself said in the last step.
  [[nodiscard]] std::vector<Bytes> said_to(const Endpoint& client) const {
    std::vector<Bytes> said;
    for (const Reply& reply : last.replies) {
      if (reply.destination != client) continue;
      CHECK(reply.source == kLocal);
      said.emplace_back(reply.bytes, reply.bytes + reply.length);
    }
    return said;
  }
  // The only thing it said to that client.
  [[nodiscard]] Bytes only_word_to(const Endpoint& client) const {
    const auto said = said_to(client);
    REQUIRE(said.size() == 1);
    return said[0];
  }

  // ---- streams ----
  void event(const StreamEvent& event) {
    forget();
    core->on_stream_event(event);
    carry_out();
  }
  StreamId accept(const Endpoint& remote) {
    const StreamId id{next_stream_++, 1};
    event({.kind = StreamEvent::Kind::accepted, .stream = id, .remote = remote, .local = kLocal});
    return id;
  }
  // The client sends it; arrives in as many reads as the core asks for.
  void type(StreamId id, std::string_view text) {
    while (!text.empty()) {
      Wire& wire = wires_[id.index];
      REQUIRE(wire.into != nullptr);
      const size_t part = std::min<size_t>(text.size(), wire.room);
      REQUIRE(part != 0);
      std::memcpy(wire.into, text.data(), part);
      wire.into = nullptr;
      text.remove_prefix(part);
      event({.kind = StreamEvent::Kind::line, .stream = id, .bytes = static_cast<uint32_t>(part)});
    }
  }
  void hang_up(StreamId id) { event({.kind = StreamEvent::Kind::line, .stream = id, .bytes = 0}); }

  [[nodiscard]] static std::string join_line(const TokenBytes& token, std::string_view words = {}) {
    return std::string("TANDEM/1 JOIN ").append(token_text(token)).append(words).append("\n");
  }
  StreamId join(const Endpoint& remote, const TokenBytes& token, std::string_view words = {},
                std::string_view early = {}) {
    const StreamId id = accept(remote);
    type(id, join_line(token, words) + std::string(early));
    return id;
  }
  // A paired lane 0: slot A's stream and slot B's.
  std::pair<StreamId, StreamId> lane(const Caps& caps, uint64_t session = kSession) {
    const StreamId a = join(at(1), token(0, caps, session));
    const StreamId b = join(at(2), token(1, caps, session));
    REQUIRE(heard(a).ends_with(kPairedLine));
    REQUIRE(heard(b).ends_with(kPairedLine));
    return {a, b};
  }
  std::pair<StreamId, StreamId> lane() { return lane(Caps{}); }
  // One chunk of what was granted arrives.
  void receive(StreamId id, uint32_t bytes) {
    event({.kind = StreamEvent::Kind::received,
           .stream = id,
           .chunk = {.buffer = next_buffer_++, .offset = 0, .bytes = bytes}});
  }
  void happens(StreamEvent::Kind kind, StreamId id) { event({.kind = kind, .stream = id}); }
  // All that is queued to the client has left.
  void leave(StreamId id) {
    const Wire wire = wires_[id.index];
    wires_[id.index].queued = wires_[id.index].chunks = 0;
    if (wire.queued == 0) return forget();
    event({.kind = StreamEvent::Kind::sent,
           .stream = id,
           .bytes = wire.queued,
           .chunks = wire.chunks});
  }

  // All bytes of lines and early data that the client was ever sent.
  [[nodiscard]] const std::string& heard(StreamId id) { return wires_[id.index].heard; }
  // What was asked of the back end in the last step.
  [[nodiscard]] std::vector<StreamAction> asked(StreamAction::Kind kind, StreamId id) const {
    std::vector<StreamAction> found;
    for (const StreamAction& action : last.actions) {
      if (action.kind == kind && action.stream == id) found.push_back(action);
    }
    return found;
  }
  [[nodiscard]] bool was_asked(StreamAction::Kind kind, StreamId id) const {
    return !asked(kind, id).empty();
  }
  // The bytes that the last step lets the stream be read for, 0 where none.
  [[nodiscard]] uint32_t granted(StreamId id) const {
    const auto reads = asked(StreamAction::Kind::read, id);
    return reads.empty() ? 0 : reads.back().bytes;
  }

  // ---- what control is told, and figures ----
  void command(const ToShard& command) {
    forget();
    core->on_command(command);
    carry_out();
  }
  template <class Message>
  [[nodiscard]] std::vector<Message> told() const {
    std::vector<Message> found;
    for (const FromShard& message : last.messages) {
      if (const auto* it = std::get_if<Message>(&message)) found.push_back(*it);
    }
    return found;
  }
  [[nodiscard]] const RelayCounters& counters() const { return core->counters(); }
  [[nodiscard]] uint64_t dropped(DropReason reason) const {
    return counters().datagrams_dropped[reason].load();
  }
  [[nodiscard]] uint64_t binds(BindOutcome outcome) const {
    return counters().binds[outcome].load();
  }
  [[nodiscard]] uint64_t joins(JoinOutcome outcome) const {
    return counters().joins[outcome].load();
  }
  [[nodiscard]] uint64_t ended(LaneEnd end) const { return counters().lanes_ended[end].load(); }
  // received = forwarded + replied + the dropped.
  [[nodiscard]] bool datagrams_balance() const {
    return counters().datagrams_received.load() == counters().datagrams_forwarded.load() +
                                                       counters().datagrams_replied.load() +
                                                       counters().datagrams_dropped.total();
  }

  static constexpr Nanos kStart = 1000 * kSecond;
  static constexpr LocalAddress kLocal{IpAddress::v4(198, 51, 100, 1), 0};

  ShardSettings settings;
  Nanos now = kStart;
  uint64_t stream_bytes_free = uint64_t{64} << 20;
  std::map<Endpoint, uint16_t> path_payload;  // 1464 where it is not named
  std::unique_ptr<SharedCounts> shared;
  std::unique_ptr<RelayCore> core;
  Decisions last;

 private:
  // The back end's side of a stream.
  struct Wire {
    uint8_t* into = nullptr;
    uint32_t room = 0;
    std::string heard;
    uint32_t queued = 0;
    uint32_t chunks = 0;
  };

  static uint16_t max_payload(void* context, const Endpoint& to, const LocalAddress&) {
    const auto& paths = static_cast<CoreFixture*>(context)->path_payload;
    const auto found = paths.find(to);
    return found == paths.end() ? 1464 : found->second;
  }
  static void random(void* context, std::span<uint8_t> bytes) {
    for (uint8_t& byte : bytes)
      byte = static_cast<uint8_t>(static_cast<CoreFixture*>(context)->random_());
  }

  void forget() { last = {}; }
  void carry_out() {
    last = std::move(core->decisions());
    core->decisions() = {};
    for (const StreamAction& action : last.actions) {
      Wire& wire = wires_[action.stream.index];
      if (action.kind == StreamAction::Kind::read_line) {
        wire.into = action.into;
        wire.room = action.bytes;
      } else if (action.kind == StreamAction::Kind::send_bytes) {
        wire.heard.append(reinterpret_cast<const char*>(action.data), action.bytes);
        wire.queued += action.bytes;
      } else if (action.kind == StreamAction::Kind::send) {
        wire.queued += action.chunk.bytes;
        ++wire.chunks;
      }
    }
  }

  std::mt19937 random_{20};
  std::deque<Bytes> received_;
  std::map<uint32_t, Wire> wires_;
  uint32_t next_stream_ = 0;
  BufferId next_buffer_ = 0;
};

}  // namespace tandem
