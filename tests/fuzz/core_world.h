// One or two shards' policies with everything around them made up: clients that hold tokens, a back
// end that does what the contract in common/stream.h lets it do, in whatever order the fuzzer wants
// it, and a control that has an answer coming for each of its commands. Checks after each step what
// ARCHITECTURE.md's invariants say, against what it knows itself and not what the core believes.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "relay/core/relay_core.h"

namespace tandem::fuzz {

using Bytes = std::vector<uint8_t>;

inline constexpr size_t kEndpoints = 6;
inline constexpr size_t kSessionIds = 5;
inline constexpr size_t kTokenKinds = 8;
inline constexpr size_t kSettings = 4;

// What a token is of; any value names one.
struct TokenName {
  uint8_t session = 0;
  uint8_t slot = 0;
  uint8_t kind = 0;
};

[[nodiscard]] const Endpoint& endpoint(uint8_t number);
[[nodiscard]] uint64_t session_id(uint8_t number);
[[nodiscard]] const TokenBytes& token(const TokenName& name);

class CoreWorld {
 public:
  struct Shape {
    bool two_shards = false;
    bool proxied = false;
    bool transfers = false;  // lanes are moved by the back end once they have carried something
    uint8_t settings = 0;
  };
  explicit CoreWorld(const Shape& shape);

  // ---- time ----
  void advance(Nanos span);
  void step_wall_clock(UnixSeconds by) { unix_offset_ += by; }
  void set_free_buffers(uint64_t bytes) { stream_bytes_free_ = bytes; }

  // ---- datagrams ----
  // `segment` = 0: not a train.
  void send(uint8_t from, Bytes bytes, uint16_t segment = 0, bool truncated = false);
  [[nodiscard]] Bytes bind_of(uint8_t from, const TokenName& name, bool with_cookie);
  // The channel that the endpoint was told last, of all or of one session.
  [[nodiscard]] Bytes data_of(uint8_t from, size_t payload) const;
  [[nodiscard]] Bytes ping_of(uint8_t from, size_t padding) const;
  [[nodiscard]] Bytes close_of(uint8_t from) const;

  // ---- connections; one of any number, where there is none nothing happens ----
  void accept(uint8_t shard, uint8_t from);
  void fail_accept(uint8_t shard, int error);
  // The client writes; nothing of it is read yet.
  void write(uint8_t connection, std::string_view text);
  [[nodiscard]] std::string join_line(const TokenName& name, uint8_t lane, bool takeover) const;
  [[nodiscard]] std::string prove_line(const TokenName& name, uint8_t lane, bool takeover) const;
  // The right answer to the NONCE that the connection was sent.
  [[nodiscard]] std::string proof_line(uint8_t connection) const;

  // What the back end may tell of a connection now; what it may not is left out.
  enum class Happening : uint8_t {
    data,
    credit_spent,
    fin,
    half_close,
    reset,
    sent,
    closed,
    transferred
  };
  static constexpr uint8_t kLatest = 0xFF;  // the connection that came last
  void happen(uint8_t connection, Happening what, uint32_t bytes);
  void fill_sibling_ring(bool full) { sibling_ring_full_ = full; }

  // ---- control ----
  void command(uint8_t shard, const ToShard& command);
  void apply_settings(uint8_t shard, uint8_t settings);

  // Everybody leaves and time passes: nothing may be left.
  void wind_down();

 private:
  static constexpr uint32_t kStreamsMax = 24;  // a shard
  static constexpr uint32_t kSessionsMax = 4;

  // The client's side of a connection and the back end's.
  struct Piece {
    uint32_t from;        // the connection whose bytes these are; kNone: the relay's own line
    const uint8_t* data;  // nullptr for a chunk
    Bytes expected;       // what lay at `data` when it was queued
    uint32_t bytes;
    uint32_t sent = 0;
  };
  struct Connection {
    uint32_t number = 0;
    uint32_t shard = 0;
    StreamId id;
    std::string unread;  // written and not yet read
    std::string read;    // as lines
    std::array<uint8_t, kLineNonceSize> nonce{};
    bool nonce_told = false;
    bool placed = false;  // WAIT or PAIRED was said
    bool paired = false;
    uint32_t partner = kNone;
    uint8_t* into = nullptr;
    uint32_t room = 0;
    uint32_t credit = 0;
    bool reading = false;
    bool transferring = false;
    bool pausing = false;
    bool watching_fin = false;
    bool finished = false;
    bool finishing = false;
    bool broken = false;
    bool lingering = false;
    bool closing = false;
    std::vector<Piece> queue;
  };
  // What a connection's first lines claim, and whether that is true.
  struct Greeted {
    uint64_t session = 0;
    uint8_t slot = 0;
    uint16_t lane = 0;
    std::string_view early;
    bool proven = false;
  };
  struct Client {  // at an endpoint
    std::vector<CookieMint::Cookie> cookies;
    std::vector<uint32_t> channels;  // that it was told, the latest last
    std::array<uint8_t, kClientNonceSize> nonce{};
    uint8_t shard_key = 0;
    bool validated = false;
    uint64_t heard = 0;  // bytes in the last step
  };
  struct Shard {
    std::unique_ptr<RelayCore> core;
    std::array<uint32_t, kStreamsMax> generations{};
    std::array<bool, kStreamsMax> taken{};
  };
  struct Arrival {
    uint32_t connection;
    uint32_t shard;
    Endpoint remote;
    LocalAddress local;
    Bytes read;
  };
  struct Lost {
    uint32_t shard;
    Endpoint source;
    LocalAddress local;
    Bytes bytes;
  };

  [[nodiscard]] UnixSeconds unix_now() const;
  void begin_turn();
  void fire_timers();

  // core_world_streams.cc
  [[nodiscard]] Connection* pick(uint8_t connection);
  [[nodiscard]] Connection* find(uint32_t shard, StreamId id);
  [[nodiscard]] bool take_slot(Connection& connection, uint32_t shard);
  void tell(Connection& connection, StreamEvent event);
  void read_line(Connection& connection, uint32_t bytes);
  void receive(Connection& connection, uint32_t bytes);
  void spend_credit(Connection& connection);
  void leave(Connection& connection, uint32_t bytes);
  void forget(Connection& connection);
  void perform(uint32_t shard, const StreamAction& action);
  void queue_line(Connection& connection, const StreamAction& action);
  void queue_early(Connection& connection, const StreamAction& action);
  void queue_chunk(Connection& connection, const StreamAction& action);
  void hand_over(uint32_t shard, const StreamAction& action);
  void take_arrivals();
  [[nodiscard]] Greeted greeted(const Connection& connection) const;
  [[nodiscard]] Connection& partner_of(Connection& connection);
  void end_connections();

  // core_world_datagrams.cc
  void feed(uint32_t shard, const Endpoint& source, const LocalAddress& local, Bytes bytes,
            uint16_t segment, bool truncated);
  void carry_out(uint32_t shard);
  void check_forward(const OutgoingDatagram& outgoing);
  void check_reply(const Reply& reply);
  void note_cookies(Client& client, std::span<const uint8_t> bytes, uint16_t segment);
  [[nodiscard]] Client* client_at(const Endpoint& at);
  void check_balance(uint32_t shard) const;

  const Shape shape_;
  Nanos now_ = 1000 * kNanosPerSecond;
  UnixSeconds unix_offset_ = 0;
  uint64_t stream_bytes_free_ = uint64_t{64} << 20;
  uint64_t random_ = 1;
  SharedCounts shared_;
  std::vector<Shard> shards_;

  std::vector<std::unique_ptr<Connection>> connections_;
  uint32_t connections_made_ = 0;
  bool sibling_ring_full_ = false;
  std::vector<Arrival> arrivals_;
  uint32_t received_from_ = kNone;  // whose chunk the core holds
  Chunk received_;

  std::array<Client, kEndpoints> clients_;
  std::vector<Lost> strays_;
  const Bytes* feeding_ = nullptr;  // the datagram that is being judged, as it came
  uint8_t* fed_ = nullptr;          // and where it lies
  Endpoint fed_from_;
  std::vector<FromShard> answers_;
};

}  // namespace tandem::fuzz
