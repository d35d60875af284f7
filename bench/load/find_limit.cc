#include "bench/load/find_limit.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/load/quantities.h"
#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

// The trials of one search, on a leg that stays joined.
class Search {
 public:
  Search(const Scene& scene, const FindLimitOptions& options, const Leg& leg, std::string size)
      : scene_(scene), options_(options), leg_(leg), size_(std::move(size)) {
    scene_.timing.interval_s = 0;
    scene_.tell = {};
  }

  struct Found {
    double ndr_kpps;
    double pdr_kpps;
  };
  Found run();

  [[nodiscard]] const std::vector<LimitTrial>& trials() const { return trials_; }
  [[nodiscard]] bool damaged() const { return damaged_; }
  [[nodiscard]] bool interrupted() const { return interrupted_; }
  // A rate that the generator could not offer was refused by the generator, not by the route.
  [[nodiscard]] bool generator_limited() const { return generator_limited_; }

 private:
  // The share of the datagrams that were to be sent and that did not arrive, be it that the
  // generator could not offer them.
  double missing_at(double kpps);
  LimitTrial try_rate(double kpps);
  // The highest rate at which no more than that is missing, between one at which this is so and one
  // at which it is not.
  double bisect(double good, double bad, double lost_fraction_max);
  double rate_that_fails(double kpps, double step);
  double first_bad_rate();

  Scene scene_;
  const FindLimitOptions& options_;
  const Leg& leg_;
  std::string size_;
  std::vector<LimitTrial> trials_;
  bool damaged_ = false;
  bool interrupted_ = false;
  bool generator_limited_ = false;
};

double Search::missing_at(double kpps) {
  constexpr double kShortfallMax = 0.02;
  const LimitTrial trial = try_rate(kpps);
  trials_.push_back(trial);
  if (scene_.note) {
    scene_.note(fmt::format("{:>6} B  {:10.1f} kpps offered  {:10.1f} delivered  {:8.4f} % lost",
                            size_, trial.offered_kpps, trial.delivered_kpps,
                            100 * trial.lost_fraction));
  }
  const double shortfall = 1 - trial.offered_kpps / kpps;
  if (trial.lost_fraction > 0 || shortfall <= kShortfallMax) return trial.lost_fraction;
  generator_limited_ = true;
  return shortfall;
}

// 0 is the closed loop.
LimitTrial Search::try_rate(double kpps) {
  const Tally before = leg_.tally();
  leg_.pace(kpps * 1e3);
  const Measured measured =
      measure(leg_, scene_.timing, scene_.account, *scene_.interrupt, scene_.tell);
  const Tally whole = measured.overall - before;
  const auto sent = static_cast<double>(whole.sent + whole.unsent);
  const auto lost = sent - static_cast<double>(whole.delivered);
  if (whole.damaged + whole.duplicated > 0) damaged_ = true;
  interrupted_ = measured.interrupted;
  const auto per_ms = [&measured](std::uint64_t count) {
    return ratio(static_cast<double>(count) / 1e3, measured.use.wall_s);
  };
  return {.offered_kpps = per_ms(measured.during.sent),
          .delivered_kpps = per_ms(measured.during.delivered),
          .lost_fraction = std::max(0.0, ratio(lost, sent))};
}

double Search::bisect(double good, double bad, double lost_fraction_max) {
  // A trial of fewer datagrams says nothing: where even those were missing, no rate is good.
  constexpr double kDatagramsMin = 100;
  const double least_kpps = kDatagramsMin / 1e3 / scene_.timing.seconds;
  while (bad - good > options_.resolution * bad && bad > least_kpps && !interrupted_) {
    const double middle = (good + bad) / 2;
    (missing_at(middle) <= lost_fraction_max ? good : bad) = middle;
  }
  return good;
}

double Search::rate_that_fails(double kpps, double step) {
  constexpr double kMostKpps = 1e6;
  while (kpps < kMostKpps && !interrupted_ && missing_at(kpps) <= options_.lost_fraction_max) {
    kpps *= step;
  }
  return kpps;
}

// Between two hosts nothing closes the loop that tells where to begin.
double Search::first_bad_rate() {
  constexpr double kFirstKpps = 1;
  if (leg_.far) return rate_that_fails(kFirstKpps, 4);
  return rate_that_fails(1.2 * try_rate(0).delivered_kpps, 1.5);
}

Search::Found Search::run() {
  const double bad = first_bad_rate();
  const double ndr = bisect(0, bad, 0);
  return {.ndr_kpps = ndr, .pdr_kpps = bisect(ndr, bad, options_.lost_fraction_max)};
}

Limit::Rate spread_of(std::vector<double> kpps) {
  if (kpps.empty()) return {};
  std::ranges::sort(kpps);
  return {.kpps = kpps[kpps.size() / 2], .low = kpps.front(), .high = kpps.back()};
}

}  // namespace

Integrity run_find_limit(const Scene& scene, const FindLimitOptions& options, Report& report) {
  bool damaged = false;
  bool generator_limited = false;
  for (const std::string& size : options.sizes) {
    const Leg leg =
        datagram_leg(scene, UdpShape::scattered, {.shape = {.sizes = parse_sizes(size)}});
    Limit limit{.size = size, .ndr = {}, .pdr = {}, .trials = {}};
    std::vector<double> ndr;
    std::vector<double> pdr;
    while (ndr.size() < options.repeat && !report.interrupted) {
      Search search(scene, options, leg, size);
      const auto found = search.run();
      damaged = damaged || search.damaged();
      generator_limited = generator_limited || search.generator_limited();
      report.interrupted = search.interrupted();
      limit.trials.insert(limit.trials.end(), search.trials().begin(), search.trials().end());
      if (report.interrupted) break;
      ndr.push_back(found.ndr_kpps);
      pdr.push_back(found.pdr_kpps);
    }
    limit.ndr = spread_of(ndr);
    limit.pdr = spread_of(pdr);
    report.limits.push_back(limit);
    report.summary.add("ndr_kpps_" + size, limit.ndr.kpps);
    report.summary.add("pdr_kpps_" + size, limit.pdr.kpps);
    if (report.interrupted) break;
  }
  report.summary.add("intact", std::uint64_t{!damaged});
  if (damaged) report.warnings.emplace_back("the traffic was damaged");
  if (report.interrupted)
    report.warnings.emplace_back("interrupted: the last size is not finished");
  if (generator_limited) {
    report.warnings.emplace_back(
        "the generator was the limit at some rates: the route may carry more than is told");
  }
  return damaged ? Integrity::damaged : Integrity::intact;
}

}  // namespace tandem::bench
