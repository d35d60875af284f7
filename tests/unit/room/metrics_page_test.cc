#include "room/metrics_page.h"

#include <doctest/doctest.h>

#include <limits>

#include "room/process_metrics.h"
#include "tests/unit/room/fake_relay.h"
#include "tests/unit/room/loopback.h"

namespace tandem {
namespace {

using enum MetricType;

TEST_CASE("samples of one name stand together under one header") {
  const Metrics metrics{{"a_total", "A.", counter, "x=\"1\"", 1},
                        {"b", "B.", gauge, {}, 2.5},
                        {"a_total", "A.", counter, "x=\"2\"", 3}};
  CHECK(render_metrics(metrics) ==
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 3\n"
        "# HELP b B.\n# TYPE b gauge\nb 2.5\n");
}

TEST_CASE("a histogram is one metric of buckets that count those before them, a sum and a count") {
  SizeHistogram<2> sizes;
  for (const std::uint64_t size : {1, 1, 2, 7}) sizes.count(size);
  Metrics metrics;
  append_histogram(metrics, "a_size", "A.", "x=\"1\"", sizes.buckets(), sizes.sum());
  append_histogram(metrics, "b_size", "B.", {}, SizeHistogram<1>().buckets(), 0);
  CHECK(render_metrics(metrics) ==
        "# HELP a_size A.\n# TYPE a_size histogram\n"
        "a_size_bucket{x=\"1\",le=\"1\"} 2\na_size_bucket{x=\"1\",le=\"2\"} 3\n"
        "a_size_bucket{x=\"1\",le=\"+Inf\"} 4\na_size_sum{x=\"1\"} 11\na_size_count{x=\"1\"} 4\n"
        "# HELP b_size B.\n# TYPE b_size histogram\n"
        "b_size_bucket{le=\"1\"} 0\nb_size_bucket{le=\"+Inf\"} 0\nb_size_sum 0\nb_size_count 0\n");
}

TEST_CASE("no samples, no page") {
  CHECK(render_metrics({}).empty());
}

TEST_CASE("help keeps quotes, a label does not; both escape what would end the line") {
  CHECK(metric_label("path", "a\\b\"c\nd") == "path=\"a\\\\b\\\"c\\nd\"");
  const std::string page = render_metrics({{"a", "say \"a\\b\"\nc", gauge, {}, 0}});
  CHECK(page.starts_with("# HELP a say \"a\\\\b\"\\nc\n"));
}

TEST_CASE("figures") {
  const auto written = [](double value) {
    const std::string page = render_metrics({{"a", "A.", gauge, {}, value}});
    return page.substr(page.rfind("a ") + 2);
  };
  CHECK(written(0) == "0\n");
  CHECK(written(-3) == "-3\n");
  CHECK(written(1e15) == "1000000000000000\n");
  CHECK(written(9007199254740992.0) == "9007199254740992\n");
  CHECK(written(1.8446744073709552e19) == "1.8446744073709552e+19\n");
  CHECK(written(0.1) == "0.1\n");
  CHECK(written(std::numeric_limits<double>::infinity()) == "+Inf\n");
  CHECK(written(-std::numeric_limits<double>::infinity()) == "-Inf\n");
  CHECK(written(std::numeric_limits<double>::quiet_NaN()) == "NaN\n");
}

TEST_CASE("promtool has no complaint" * doctest::skip(!is_installed("promtool"))) {
  Metrics metrics;
  FakeRelay().collect(metrics);
  append_process_metrics(sample_process(), metrics);
  metrics.push_back({"tandem_odd_total", "A label of every kind.", counter,
                     metric_label("odd", "a\\b\"c\nd"), 1});
  SizeHistogram<3> sizes;
  sizes.count(5);
  append_histogram(metrics, "tandem_odd_size", "A histogram.", "shard=\"0\"", sizes.buckets(),
                   sizes.sum());
  const ProgramEnd end = run_program({"promtool", "check", "metrics"}, render_metrics(metrics));
  CHECK(end.code == 0);
  CHECK(end.output + end.errors == "");
}

}  // namespace
}  // namespace tandem
