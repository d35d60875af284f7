// Owns what both UDP loads share: the window, and the phases of a run with its report. Knows
// neither sockets nor shapes: a load is anything with turn(), sent() and check().
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "bench/load/cpu_account.h"
#include "bench/load/datagram_check.h"
#include "bench/load/udp_load.h"

namespace tandem::bench {

// How many datagrams may leave now. What has been silent for long is given up, so that a lost
// datagram does not narrow the window for good.
class SendWindow {
 public:
  using Clock = std::chrono::steady_clock;

  explicit SendWindow(std::size_t size) : size_(size) {}

  [[nodiscard]] std::size_t room(std::uint64_t sent, std::uint64_t delivered) const {
    const auto settled = delivered + given_up_;
    const auto under_way = sent > settled ? sent - settled : 0;
    return under_way < size_ ? size_ - under_way : 0;
  }

  enum class Silence { none, short_time, given_up };
  // Once a turn.
  Silence watch(std::uint64_t sent, std::uint64_t delivered, Clock::time_point now) {
    constexpr std::chrono::milliseconds kShort{2};
    constexpr std::chrono::milliseconds kGiveUp{20};
    if (delivered != last_delivered_ || sent == delivered + given_up_) {
      last_delivered_ = delivered;
      last_progress_ = now;
      return Silence::none;
    }
    if (now - last_progress_ < kShort) return Silence::none;
    if (now - last_progress_ < kGiveUp) return Silence::short_time;
    given_up_ = sent > delivered ? sent - delivered : 0;
    last_progress_ = now;
    return Silence::given_up;
  }

 private:
  std::size_t size_;
  std::uint64_t given_up_ = 0;
  std::uint64_t last_delivered_ = 0;
  Clock::time_point last_progress_ = Clock::now();
};

enum class Sending { on, off };

template <typename Load>
void turn_until(Load& load, SendWindow::Clock::time_point end, Sending sending) {
  for (auto now = SendWindow::Clock::now(); now < end; now = SendWindow::Clock::now()) {
    load.turn(now, sending);
    if (sending == Sending::off && load.check().delivered() >= load.sent()) return;
  }
}

template <typename Load>
Integrity run_and_report(Load& load, const UdpLoadOptions& options, const CpuAccount& account,
                         Report& report) {
  using Clock = SendWindow::Clock;
  const auto after_seconds = [](double s) {
    return Clock::now() +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  constexpr double kDrainSeconds = 0.5;
  turn_until(load, after_seconds(options.warm_up_s), Sending::on);
  const auto before = account.sample();
  const auto sent_before = load.sent();
  const auto delivered_before = load.check().delivered();
  turn_until(load, after_seconds(options.seconds), Sending::on);
  const auto after = account.sample();
  const auto offered = static_cast<double>(load.sent() - sent_before);
  const auto delivered = static_cast<double>(load.check().delivered() - delivered_before);
  turn_until(load, after_seconds(kDrainSeconds), Sending::off);

  const DatagramCheck& check = load.check();
  const auto use = use_between(before, after);
  const std::uint64_t lost = load.sent() - std::min(load.sent(), check.delivered());
  report.add("route", std::string(name_of(options.route.kind)));
  report.add("pairs", options.pairs);
  report.add("payload_bytes", options.payload);
  report.add("window", options.window);
  report.add("offered_kpps", ratio(offered / 1e3, use.wall_s));
  report.add("delivered_kpps", ratio(delivered / 1e3, use.wall_s));
  report.add("relay_cpu_s_per_mpkt", ratio(use.relay_s, delivered / 1e6));
  report.add("packets_per_relay_cpu_s", ratio(delivered, use.relay_s));
  report.add("machine_cpu_s_per_mpkt", ratio(use.machine_busy_s, delivered / 1e6));
  report.add("sent", load.sent());
  report.add("delivered", check.delivered());
  report.add("lost", lost);
  report.add("lost_fraction", ratio(static_cast<double>(lost), static_cast<double>(load.sent())));
  report.add("duplicated", check.duplicated());
  report.add("reordered", check.reordered());
  report.add("damaged", check.damaged());
  const bool intact = check.damaged() == 0 && check.duplicated() == 0 && check.delivered() > 0;
  report.add("intact", std::uint64_t{intact});
  report.add_use(use);
  return intact ? Integrity::intact : Integrity::damaged;
}

}  // namespace tandem::bench
