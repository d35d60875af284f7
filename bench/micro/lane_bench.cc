// The policy of a TCP lane: for each chunk that comes it is sent, and released when it has left.
#include <cstring>
#include <string>
#include <vector>

#include "bench/micro/driven_core.h"

namespace tandem::bench {
namespace {

using Action = StreamAction::Kind;
using Event = StreamEvent::Kind;

constexpr uint32_t kChunk = 16u << 10;

// Plays the back end and the clients of lanes that are all paired.
class PairedLanes {
 public:
  explicit PairedLanes(uint32_t lanes) : driven_(lanes, 2 * lanes), credit_(size_t{2} * lanes) {
    Random random(17);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
      const uint64_t session = random.next();
      join(2 * lane, driven_.token(session, 0));
      join(2 * lane + 1, driven_.token(session, 1));
      leave(2 * lane, kWaitLine.size() + kPairedLine.size(), 0);
      leave(2 * lane + 1, kPairedLine.size(), 0);
    }
    TANDEM_CHECK(driven_.counters().sessions_paired.load() == lanes);
    for (uint32_t stream = 0; stream < 2 * lanes; ++stream) TANDEM_CHECK(credit_[stream] != 0);
  }

  // A chunk comes on the stream and leaves on the other of its lane.
  void carry(uint32_t stream) {
    driven_.begin_turn(16 * kNanosPerMicrosecond);
    if (credit_[stream] < kChunk) {
      credit_[stream] = 0;
      tell({.kind = Event::read_ended, .stream = id_of(stream)});
    }
    credit_[stream] -= kChunk;
    tell({.kind = Event::received, .stream = id_of(stream), .chunk = {1, 0, kChunk}});
    leave(stream ^ 1, kChunk, 1);
    driven_.fire_timers();
    carry_out();
  }
  // Chunks that were to be sent.
  [[nodiscard]] uint64_t sent() const { return sent_; }

 private:
  static StreamId id_of(uint32_t stream) { return {stream, 1}; }

  void join(uint32_t stream, const TokenBytes& token) {
    driven_.begin_turn(kNanosPerMicrosecond);
    tell({.kind = Event::accepted,
          .stream = id_of(stream),
          .remote = DrivenCore::client(stream),
          .local = DrivenCore::kLocal});
    const std::string line = "TANDEM/1 JOIN " + token_text(token) + "\n";
    TANDEM_CHECK(into_ != nullptr && room_ >= line.size());
    std::memcpy(into_, line.data(), line.size());
    tell({.kind = Event::line,
          .stream = id_of(stream),
          .bytes = static_cast<uint32_t>(line.size())});
  }
  void leave(uint32_t stream, size_t bytes, uint32_t chunks) {
    tell({.kind = Event::sent,
          .stream = id_of(stream),
          .bytes = static_cast<uint32_t>(bytes),
          .chunks = chunks});
  }
  void tell(const StreamEvent& event) {
    driven_.core().on_stream_event(event);
    carry_out();
  }
  void carry_out() {
    for (const StreamAction& action : driven_.decisions().actions) {
      if (action.kind == Action::read) credit_[action.stream.index] += action.bytes;
      if (action.kind == Action::send) sent_ += action.chunk.bytes == kChunk;
      if (action.kind == Action::read_line) {
        into_ = action.into;
        room_ = action.bytes;
      }
    }
    driven_.forget();
  }

  DrivenCore driven_;
  std::vector<uint32_t> credit_;
  uint64_t sent_ = 0;
  uint8_t* into_ = nullptr;
  uint32_t room_ = 0;
};

void carry(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  auto& lanes = world_of<PairedLanes>(count);
  Random random(18);
  const uint64_t before = lanes.sent();
  for (auto _ : state) lanes.carry(random.below(2 * count));
  TANDEM_CHECK(lanes.sent() - before == static_cast<uint64_t>(state.iterations()));
  count_operations(state);
}
TANDEM_MICRO(carry, "core/chunk")->Arg(1)->Arg(1'000)->Arg(16'000);

}  // namespace
}  // namespace tandem::bench
