// What a load is: something that sends and receives in turns on one thread, and counts. The run
// (run.h) decides when it sends; routes (route.h) have joined its sockets. A load owns the sockets
// of its pairs and nothing else of the scene.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/load/latency.h"

namespace tandem::bench {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline Clock::duration to_duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// Counts since the load began. Of a pair whose ends are on two hosts each host has its own half.
struct Tally {
  std::uint64_t sent = 0;  // datagrams or messages; in bulk 0
  std::uint64_t sent_bytes = 0;
  std::uint64_t delivered = 0;  // each once
  std::uint64_t delivered_bytes = 0;
  std::uint64_t gaps = 0;  // numbers that later ones have overtaken: lost, or still to come
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;  // among the delivered
  std::uint64_t damaged = 0;    // altered, another flow's, or an end before its time
  std::uint64_t unsent = 0;     // the socket took none of it
  std::uint64_t late = 0;       // left more than kLate after they were due: the generator's fault
  std::uint64_t compared_bytes = 0;
  // Streams that something has come out of since stop(), and not yet all of it. At the end of a run
  // the route is slower than its buffers are deep: what is missing is under way and not lost.
  std::uint64_t unfinished = 0;
  std::uint64_t full_ns = 0;  // spent in turns that had all the work they can take

  static constexpr std::size_t kFields = 13;
  using Words = std::array<std::uint64_t, kFields>;
  [[nodiscard]] Words words() const { return std::bit_cast<Words>(*this); }
  [[nodiscard]] static Tally from(const Words& words) { return std::bit_cast<Tally>(words); }

  friend Tally operator+(const Tally& a, const Tally& b);
  friend Tally operator-(const Tally& a, const Tally& b);
  friend bool operator==(const Tally&, const Tally&) = default;
};
static_assert(sizeof(Tally) == sizeof(Tally::Words));

inline constexpr std::chrono::microseconds kLate{1000};

enum class Sending { off, on };
// A turn that was `full` could have gone on at once: the load itself may be what limits.
enum class Turn { idle, some, full };

class Load {
 public:
  virtual ~Load() = default;

  // On the thread that takes the turns, before the first one and again after a pause.
  virtual void start(Clock::time_point now) = 0;
  virtual Turn turn(Clock::time_point now, Sending sending) = 0;
  // Nothing more is to be sent: from now on turns only receive.
  virtual void stop() {}
  // So many a second from the next start() on; 0: a closed loop. For loads of datagrams.
  virtual void pace(double per_second);

  // All that was sent and can still come has come. False where only time can tell.
  [[nodiscard]] virtual bool drained() const = 0;
  // How long after stop() what is under way may take.
  [[nodiscard]] virtual Clock::duration drain_timeout() const = 0;

  [[nodiscard]] virtual Tally tally() const = 0;
  // Bytes delivered so far by each flow that ends here.
  [[nodiscard]] virtual std::vector<std::uint64_t> delivered_by_flow() const = 0;
  // Where messages are timed.
  [[nodiscard]] virtual LatencyMeter* latencies() { return nullptr; }
  // The time to warm up is over: what was timed in it is not told.
  virtual void forget_latencies();
  // Whether it waits in the kernel while there is nothing to do; if not, it spins.
  [[nodiscard]] virtual bool waits() const = 0;
};

}  // namespace tandem::bench
