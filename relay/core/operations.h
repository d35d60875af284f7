// What an operator asks of a shard: kick, block, list, drain, new settings. Commands in, messages
// out.
#pragma once

#include "relay/core/lifecycle.h"

namespace tandem {

class Operations {
 public:
  Operations(ShardState& state, Lifecycle& lifecycle) : state_(state), lifecycle_(lifecycle) {}

  void on_command(const ToShard& command);
  // Ends every session. Who is still joining is dropped with the process.
  void end_all(CloseReason reason);
  // True once a StopShard came.
  [[nodiscard]] bool stopping() const { return stopping_; }

 private:
  void on(const KickSession& command);
  void on(const AddBlock& command);
  void on(const RemoveBlock& command);
  void on(const ListBlocks& command);
  void on(const ListSessions& command);
  void on(const DescribeSession& command);
  void on(const SetDrain& command);
  void on(const SetGlobalShare& command);
  void on(const ApplySettings& command);
  void on(const StopShard& command);

  void done(RequestId request, CommandOutcome outcome);
  [[nodiscard]] SessionRow row_of(uint32_t session, RequestId request);
  void settle_all();
  // Whoever is connected from there is cut off.
  void cut(const Network& network);
  void cut(Stream& stream);

  ShardState& state_;
  Lifecycle& lifecycle_;
  bool stopping_ = false;
};

}  // namespace tandem
