// What one tandem-bench is told by another: a request or an answer that was taken is within every
// bound and is written and read to the same; else there is one sentence, which can be told back.
#include <algorithm>
#include <string>
#include <string_view>

#include "bench/load/far_request.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

void check_refusal(const std::string& error) {
  TANDEM_CHECK(!error.empty());
  const auto told = parse_answer(encode_answer({.error = error}));
  TANDEM_CHECK(told && !told->error.empty());
}

void check_bounds(const FarRequest& request) {
  TANDEM_CHECK(request.pairs >= 1 && request.pairs <= kFarPairsMax);
  const bool joins = request.route == RouteKind::relay || request.route == RouteKind::greeted;
  TANDEM_CHECK(request.joins.size() == (joins ? request.pairs : 0));
  TANDEM_CHECK(request.expected.size() ==
               (request.route == RouteKind::greeted ? request.pairs : 0));
  const BulkOptions& bulk = request.bulk;
  TANDEM_CHECK(bulk.chunk >= 1 && bulk.chunk <= 16 << 20);
  TANDEM_CHECK(bulk.bytes_per_second_each >= 0 && bulk.bytes_per_second_each <= 1e12);
  TANDEM_CHECK(bulk.socket_buffer >= 0);
  const UdpOptions& udp = request.udp;
  TANDEM_CHECK(!udp.shape.sizes.empty() && udp.shape.sizes.size() <= 64);
  TANDEM_CHECK(std::ranges::all_of(
      udp.shape.sizes, [](auto size) { return size >= kStampSize && size <= kPayloadMax; }));
  TANDEM_CHECK(udp.per_second >= 0 && udp.per_second <= 1e9);
  TANDEM_CHECK(udp.window >= 1 && udp.window <= 1 << 20);
  TANDEM_CHECK(udp.batch >= 1 && udp.batch <= 1024);
  TANDEM_CHECK(udp.train >= 1 && udp.train <= 64);
}

void check_request(std::string_view line) {
  const auto request = parse_request(line);
  if (!request) return check_refusal(request.error());
  check_bounds(*request);
  const std::string written = encode_request(*request);
  TANDEM_CHECK(written.find('\n') == std::string::npos);
  const auto again = parse_request(written);
  TANDEM_CHECK(again && encode_request(*again) == written);
}

void check_answer(std::string_view line) {
  const auto answer = parse_answer(line);
  if (!answer) return check_refusal(answer.error());
  TANDEM_CHECK(answer->cpu_s >= 0);
  const std::string written = encode_answer(*answer);
  TANDEM_CHECK(written.find('\n') == std::string::npos);
  const auto again = parse_answer(written);
  TANDEM_CHECK(again && again->tally == answer->tally && encode_answer(*again) == written);
}

}  // namespace
}  // namespace tandem::bench

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  tandem::bench::check_request(line);
  tandem::bench::check_answer(line);
  return 0;
}
