// When sessions, UDP bindings and lanes begin and end, and who is told. The rules of timeouts stand
// here; who may begin is judged in joining and binding.
#pragma once

#include "relay/core/shard_state.h"

namespace tandem {

class Lifecycle {
 public:
  explicit Lifecycle(ShardState& state) : state_(state) {}

  // ---- sessions ----
  enum class Opening : uint8_t { opened, known, revoked, draining, over_capacity };
  struct Opened {
    Opening outcome;
    uint32_t session;
  };
  // The session of judged claims, opened where it is new, with the claims' caps taken in.
  [[nodiscard]] Opened open(const TokenClaims& claims);
  // Ends all of its connections and frees it.
  void end(uint32_t session, CloseReason reason, LaneEnd lane_end);
  void on_session_timer(uint32_t session);
  // Something came from one of its sides, or a connection began or ended.
  void touch(Session& session) { session.last_live = state_.millis(); }
  // To be called after any change of its connections: keeps the counts and the timer.
  void settle(uint32_t session);

  [[nodiscard]] uint32_t connections_per_slot() const {
    return state_.settings->max_connections_per_session / 2;
  }
  // Streams and binding of one slot.
  [[nodiscard]] uint32_t connections(const Session& session, uint8_t slot);
  [[nodiscard]] uint16_t lanes_max(const Session& session) const;

  // ---- UDP bindings ----
  // The end loses its binding and is told why; the counterpart is told that it is alone.
  void unbind(UdpPath& path, uint8_t slot, CloseReason reason);
  void tell_bound(const UdpPath& path, uint8_t slot);
  void tell_close(const UdpPath& path, uint8_t slot, CloseReason reason);
  void tell_error(const Datagram& to, uint64_t session_id,
                  std::span<const uint8_t, kClientNonceSize> nonce, ErrorCode code,
                  uint16_t retry_after_s);

  // ---- lanes ----
  void attach(Stream& stream, uint32_t session, uint8_t slot, uint16_t lane);
  // Takes the stream off its lane and out of its session.
  void detach(Stream& stream);
  // The stream of a lane that a slot holds, nullptr where there is none.
  [[nodiscard]] Stream* holder(const Session& session, uint8_t slot, uint16_t lane);
  // Ends a paired or waiting stream with its counterpart.
  void end_lane(Stream& stream, LaneEnd end);
  // Says ERR and closes when it has been read.
  void refuse(Stream& stream, ErrorCode code);
  // Closes at once, with a reset where the peer must not take it for an end of the data.
  enum class Manner : uint8_t { quiet, reset };
  void drop(Stream& stream, Manner manner);
  void release_greeting(Stream& stream);

 private:
  struct Due {
    Nanos at;
    CloseReason reason;
    int slot;  // whose binding ends; -1 = the whole session
  };
  [[nodiscard]] Due next_due(const Session& session);
  void reply_to(const UdpEnd& end, std::span<const uint8_t> bytes);

  ShardState& state_;
};

[[nodiscard]] JoinOutcome outcome_of(ErrorCode code);

}  // namespace tandem
