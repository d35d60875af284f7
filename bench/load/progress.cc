#include "bench/load/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "common/units.h"

namespace tandem::bench {

Progress::Progress(const std::string& mode, bool json)
    : packets_(mode != "tcp"),
      unit_(mode == "rooms" || mode == "matches" ? "messages" : "datagrams"),
      json_(json),
      on_terminal_(::isatty(STDERR_FILENO) == 1),
      // Its notes are the trials: a result, not only a sign of life.
      lasting_notes_(mode == "find-limit" && !json) {}

void Progress::tell(const Interval& interval) {
  if (json_) {
    return note(fmt::format("{:.0f} s: {:.3f} Gbit/s", interval.to_s, interval.gbit_s()));
  }
  if (!headed_) {
    fmt::print("{:>15}  {:>10}  {:>14}  {}{:>10}  {:>10}\n", "seconds", "delivered", "rate",
               packets_ ? fmt::format("{:>12}  {:>9}  ", unit_, "lost") : "", "relay CPU",
               "own CPU");
    headed_ = true;
  }
  const double seconds = interval.to_s - interval.from_s;
  fmt::print("{:>7.2f}-{:<7.2f}  {:>10}  {:>7.3f} Gbit/s  {}{:>8.0f} %  {:>8.0f} %\n",
             interval.from_s, interval.to_s, format_bytes(interval.bytes), interval.gbit_s(),
             packets_ ? fmt::format("{:>7.1f} kpps  {:>9}  ", interval.kpps(), interval.lost) : "",
             100 * ratio(interval.relay_cpu_s, seconds),
             100 * ratio(interval.generator_cpu_s, seconds));
  std::fflush(stdout);
}

void Progress::note(const std::string& line) {
  if (lasting_notes_) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  } else if (on_terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    noted_ = true;
  }
}

void Progress::end() {
  if (noted_) fmt::print(stderr, "\r\x1b[K");
  noted_ = false;
}

}  // namespace tandem::bench
