#include "bench/load/latency.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

TEST_CASE("jitter is the smoothed difference of neighbouring transit times (RFC 3550, 6.4.1)") {
  LatencyMeter meter(1);
  meter.record(0, 1000);
  CHECK(meter.jitter_ns() == 0);  // one message has no difference
  meter.record(0, 1160);          // D = 160: J = 160 / 16
  CHECK(meter.jitter_ns() == 10);
  meter.record(0, 1134);  // D = -26: J = 10 + (26 - 10) / 16
  CHECK(meter.jitter_ns() == 11);
  meter.record(0, 1134);  // D = 0: J = 11 - 11 / 16
  CHECK(meter.jitter_ns() == 10.3125);
}

TEST_CASE("each flow's differences are its own, and the mean is of those that have any") {
  LatencyMeter meter(4);
  meter.record(0, 1000);
  meter.record(1, 900'000);
  meter.record(0, 1160);
  meter.record(1, 900'480);
  meter.record(2, 5);
  CHECK(meter.jitter_ns() == (10 + 30) / 2.0);
  CHECK(meter.histogram().count() == 5);
  CHECK(meter.histogram().max_ns() == 900'480);
}

TEST_CASE("after clear() nothing is left, the last transit times neither") {
  LatencyMeter meter(1);
  meter.record(0, 1'000'000);
  meter.record(0, 2'000'000);
  meter.clear();
  CHECK(meter.histogram().count() == 0);
  meter.record(0, 100);
  CHECK(meter.jitter_ns() == 0);
  meter.record(0, 116);
  CHECK(meter.jitter_ns() == 1);
  CHECK(meter.histogram().count() == 2);
}

TEST_CASE("without messages there is no jitter") {
  CHECK(LatencyMeter(3).jitter_ns() == 0);
}

}  // namespace
}  // namespace tandem::bench
