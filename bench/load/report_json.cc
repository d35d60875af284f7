#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/load/report.h"

namespace tandem::bench {
namespace {

using Json = nlohmann::ordered_json;

// NaN and infinity are no JSON. Null, so that nobody takes for a measurement what is none.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json of(const Figures& figures) {
  Json object = Json::object();
  for (const auto& [key, value] : figures.all()) {
    if (const auto* real = std::get_if<double>(&value)) {
      object[key] = number(*real);
    } else {
      std::visit([&object, &key = key](const auto& exact) { object[key] = exact; }, value);
    }
  }
  return object;
}

Json of(const Machine& machine) {
  return {{"kernel", machine.kernel}, {"cpu", machine.cpu}, {"cores", machine.cores}};
}

Json of(const Interval& interval) {
  return {{"from_s", number(interval.from_s)},
          {"to_s", number(interval.to_s)},
          {"bytes", interval.bytes},
          {"packets", interval.packets},
          {"lost", interval.lost},
          {"gbit_s", number(interval.gbit_s())},
          {"kpps", number(interval.kpps())},
          {"relay_cpu_s", number(interval.relay_cpu_s)},
          {"generator_cpu_s", number(interval.generator_cpu_s)},
          {"machine_cpu_s", number(interval.machine_cpu_s)}};
}

Json of(const Latencies& latencies) {
  const Histogram& histogram = latencies.histogram;
  const auto us = [](auto ns) { return number(static_cast<double>(ns) / 1e3); };
  Json buckets = Json::array();
  for (const auto& [upper_ns, count] : histogram.buckets()) {
    buckets.push_back(Json::array({us(upper_ns), count}));
  }
  return {{"name", latencies.name},
          {"count", histogram.count()},
          {"p50_us", us(histogram.quantile_ns(0.5))},
          {"p90_us", us(histogram.quantile_ns(0.9))},
          {"p95_us", us(histogram.quantile_ns(0.95))},
          {"p99_us", us(histogram.quantile_ns(0.99))},
          {"p999_us", us(histogram.quantile_ns(0.999))},
          {"p9999_us", us(histogram.quantile_ns(0.9999))},
          {"max_us", us(histogram.max_ns())},
          {"mean_us", us(histogram.mean_ns())},
          {"jitter_us", us(latencies.jitter_ns)},
          {"buckets", std::move(buckets)}};
}

template <class Value>
Json list(const std::vector<Value>& values);

Json of(const LimitTrial& trial) {
  return {{"offered_kpps", number(trial.offered_kpps)},
          {"delivered_kpps", number(trial.delivered_kpps)},
          {"lost_fraction", number(trial.lost_fraction)}};
}

Json of(const Limit& limit) {
  return {{"size", limit.size},
          {"ndr_kpps", number(limit.ndr.kpps)},
          {"ndr_low", number(limit.ndr.low)},
          {"ndr_high", number(limit.ndr.high)},
          {"pdr_kpps", number(limit.pdr.kpps)},
          {"pdr_low", number(limit.pdr.low)},
          {"pdr_high", number(limit.pdr.high)},
          {"trials", list(limit.trials)}};
}

Json of(const RampStep& step) {
  return {{"clients", step.clients},
          {"rooms", step.rooms},
          {"resident_bytes", number(step.resident_bytes)},
          {"cpu_percent", number(step.cpu_percent)},
          {"sent_per_s", number(step.sent_per_s)},
          {"delivered_per_s", number(step.delivered_per_s)},
          {"p50_us", number(step.p50_us)},
          {"p95_us", number(step.p95_us)},
          {"p99_us", number(step.p99_us)},
          {"errors", step.errors}};
}

Json of(const RelayTold& relay) {
  Json batch_sizes = Json::array();
  for (const auto& [up_to, count] : relay.batch_sizes) {
    batch_sizes.push_back(Json::array({up_to, count}));
  }
  Json object{{"batch_sizes", std::move(batch_sizes)}};
  if (relay.zero_copy_share) object["zero_copy_share"] = number(*relay.zero_copy_share);
  object["dropped"] = Json::object();
  for (const auto& [reason, count] : relay.dropped) object["dropped"][reason] = count;
  return object;
}

template <class Value>
Json list(const std::vector<Value>& values) {
  Json array = Json::array();
  for (const Value& value : values) array.push_back(of(value));
  return array;
}

}  // namespace

std::string to_json(const Report& report) {
  Json object{{"tool", "tandem-bench"},
              {"version", TANDEM_VERSION},
              {"mode", report.mode},
              {"started_at", report.started_at},
              {"interrupted", report.interrupted},
              {"machine", of(report.machine)},
              {"options", of(report.options)},
              {"summary", of(report.summary)}};
  if (!report.intervals.empty()) object["intervals"] = list(report.intervals);
  if (!report.latencies.empty()) object["latency"] = list(report.latencies);
  if (!report.limits.empty()) object["limits"] = list(report.limits);
  if (!report.steps.empty()) object["steps"] = list(report.steps);
  if (!report.errors.empty()) {
    object["errors"] = Json::object();
    for (const auto& [code, count] : report.errors) object["errors"][code] = count;
  }
  if (report.relay) object["relay"] = of(*report.relay);
  object["warnings"] = report.warnings;
  // A relay's or a file's text may stand in it: what is not UTF-8 is replaced rather than thrown
  // over.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace tandem::bench
