// A shard's whole turn but for its I/O, with datagrams of clients that are bound, and with what
// strangers send.
#include <algorithm>
#include <vector>

#include "bench/micro/driven_core.h"

namespace tandem::bench {
namespace {

// All that came in the loop was forwarded, or replied to.
class Balance {
 public:
  explicit Balance(const RelayCounters& counters) : counters_(counters) {}
  [[nodiscard]] uint64_t received() const {
    return counters_.datagrams_received.load() - received_before_;
  }
  [[nodiscard]] uint64_t forwarded() const {
    return counters_.datagrams_forwarded.load() - forwarded_before_;
  }
  [[nodiscard]] uint64_t replied() const {
    return counters_.datagrams_replied.load() - replied_before_;
  }

 private:
  const RelayCounters& counters_;
  const uint64_t received_before_ = counters_.datagrams_received.load();
  const uint64_t forwarded_before_ = counters_.datagrams_forwarded.load();
  const uint64_t replied_before_ = counters_.datagrams_replied.load();
};

// sessions, batch
void forward(benchmark::State& state) {
  auto& paired = world_of<PairedSessions>(static_cast<uint32_t>(state.range(0)));
  const auto batch = static_cast<size_t>(state.range(1));
  const Balance balance(paired.driven.counters());
  for (auto _ : state) paired.turn(paired.next(batch), batch);
  TANDEM_CHECK(balance.received() == static_cast<uint64_t>(state.iterations()) * batch);
  TANDEM_CHECK(balance.forwarded() == balance.received());
  count_operations(state, batch);
}
TANDEM_MICRO(forward, "core/data")->ArgsProduct({{1, 1'000, 100'000}, {1, 8, 64}});

// A train of the kernel's making from each end in turn.
void forward_trains(benchmark::State& state) {
  constexpr uint16_t kSegment = 1208;
  constexpr uint32_t kSegments = 45;
  PairedSessions paired(1);
  std::vector<uint8_t> bytes(size_t{kSegment} * kSegments);
  for (uint32_t i = 0; i < kSegments; ++i) {
    std::copy_n(paired.next(1).front().data, kDataHeaderSize, &bytes[size_t{i} * kSegment]);
  }
  const auto turn = [&] {
    Datagram train = paired.next(1).front();  // of either end: the session has one channel
    train.data = bytes.data();
    train.length = static_cast<uint32_t>(bytes.size());
    train.segment_size = kSegment;
    paired.turn({&train, 1}, kSegments);
  };
  const Balance balance(paired.driven.counters());
  for (auto _ : state) turn();
  TANDEM_CHECK(balance.received() == static_cast<uint64_t>(state.iterations()) * kSegments);
  TANDEM_CHECK(balance.forwarded() == balance.received());
  count_operations(state, kSegments);
}
TANDEM_MICRO(forward_trains, "core/train");

// ---- what is answered ----

constexpr Nanos kWithinBudget = 20 * kNanosPerMicrosecond;  // each: 50,000 a second

// Turns of `batch`, from ever new addresses, each of which is answered.
void answer(benchmark::State& state, Datagram datagram) {
  constexpr size_t kBatch = 64;
  DrivenCore driven(1, 1);
  std::vector<Datagram> batch(kBatch, datagram);
  Random random(16);
  const auto turn = [&] {
    for (Datagram& each : batch) each.source = DrivenCore::client(random.below(1u << 24));
    driven.begin_turn(kBatch * kWithinBudget);
    driven.core().on_datagrams(batch);
    driven.forget();
    driven.fire_timers();
  };
  const Balance balance(driven.counters());
  turn();
  TANDEM_CHECK(balance.replied() == kBatch);
  for (auto _ : state) turn();
  TANDEM_CHECK(balance.received() == static_cast<uint64_t>(state.iterations() + 1) * kBatch);
  TANDEM_CHECK(balance.replied() == balance.received());
  count_operations(state, kBatch);
}

// What a flood from forged addresses costs.
void challenge(benchmark::State& state) {
  DrivenCore minting(1, 1);
  Binder binder(minting, minting.token(1, 0), DrivenCore::client(0));
  answer(state, binder.first_bind());
}
TANDEM_MICRO(challenge, "core/challenge");

void stun(benchmark::State& state) {
  std::array<uint8_t, 20> request{0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42};
  answer(state, {.source = {},
                 .local = DrivenCore::kLocal,
                 .data = request.data(),
                 .length = request.size(),
                 .segment_size = request.size(),
                 .buffer = 0});
}
TANDEM_MICRO(stun, "core/stun");

// BINDs with cookie and proof from both ends of a session, which are bound already: what joining
// costs, but for the table.
void bind_again(benchmark::State& state) {
  DrivenCore driven(1, 1);
  std::array<Binder, 2> binders{{{driven, driven.token(1, 0), DrivenCore::client(0)},
                                 {driven, driven.token(1, 1), DrivenCore::client(1)}}};
  for (Binder& binder : binders) TANDEM_CHECK(binder.be_bound() != 0);
  Nanos challenged_at = driven.now();
  size_t turns = 0;
  for (auto _ : state) {
    if (driven.now() - challenged_at > kCookieLifetimeS / 2 * kNanosPerSecond) {
      for (Binder& binder : binders) binder.be_challenged();
      challenged_at = driven.now();
    }
    const Datagram bind = binders[turns++ % 2].bind();
    driven.begin_turn(kWithinBudget);
    driven.core().on_datagrams({&bind, 1});
    driven.forget();
    driven.fire_timers();
  }
  TANDEM_CHECK(driven.counters().binds[BindOutcome::refreshed].load() == turns);
  count_operations(state);
}
TANDEM_MICRO(bind_again, "core/bind");

}  // namespace
}  // namespace tandem::bench
