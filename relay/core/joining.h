// From an accepted connection to its lane: who may come in, the PROXY header, JOIN or PROVE, and
// the counterpart. docs/PROTOCOL.md, "TCP".
#pragma once

#include "relay/core/lifecycle.h"
#include "relay/core/stream_pair.h"

namespace tandem {

class Joining {
 public:
  Joining(ShardState& state, Lifecycle& lifecycle, StreamPair& pair)
      : state_(state), lifecycle_(lifecycle), pair_(pair) {}

  void on_accepted(const StreamEvent& event);
  void on_accept_failed(int error);
  // From another shard, with what was read of it: its first line and what followed.
  void on_handed_over(StreamId id, const Endpoint& remote, const LocalAddress& local,
                      std::span<const uint8_t> read);
  // `bytes` more bytes have come; 0 = FIN.
  void on_line(Stream& stream, uint32_t bytes);
  // Handshake or pairing took too long.
  void on_timeout(Stream& stream);
  // What was counted for the connection is given back.
  void on_closed(Stream& stream);

 private:
  enum class Arrival : uint8_t { welcome, refused };
  // Address limits, for the client's own address: behind a proxy, once the header has told it.
  [[nodiscard]] Arrival admit_address(Stream& stream);
  // Gives it a greeting and a deadline; false: none is left, and it is dropped.
  [[nodiscard]] bool begin(Stream& stream, StreamStage stage, const LocalAddress& local);
  void read_more(Stream& stream);
  void understand(Stream& stream);
  [[nodiscard]] bool take_proxy_header(Stream& stream);
  void take_first_line(Stream& stream);
  void take_proof(Stream& stream);
  [[nodiscard]] bool belongs_elsewhere(Stream& stream, const JoinLine& line);
  void challenge(Stream& stream);
  void take_verdict(Stream& stream, TokenVerdict verdict, const TokenClaims& claims);
  void join(Stream& stream, const TokenClaims& claims);
  [[nodiscard]] bool clear_lane(Stream& stream, Session& session, const TokenClaims& claims);
  void meet(Stream& stream);
  void refuse_offender(Stream& stream, ErrorCode code, std::string_view detail);
  void leave_half_open(Stream& stream);

  ShardState& state_;
  Lifecycle& lifecycle_;
  StreamPair& pair_;
};

}  // namespace tandem
