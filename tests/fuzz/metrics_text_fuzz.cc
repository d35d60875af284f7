// A metrics page: whatever it holds is read to its end or refused by a line's number, what was read
// is the page's, and what two pages tell is a number of everything.
#include <cmath>
#include <string>
#include <string_view>

#include "bench/load/metrics_text.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

std::vector<MetricSample> check_page(std::string_view page) {
  auto samples = parse_metrics(page);
  if (!samples) {
    TANDEM_CHECK(samples.error().starts_with("line "));
    return {};
  }
  std::size_t size = 0;
  for (const auto& sample : *samples) {
    TANDEM_CHECK(!sample.name.empty());
    size += sample.name.size();
    for (const auto& [key, value] : sample.labels) {
      TANDEM_CHECK(!key.empty());
      size += key.size() + value.size();
    }
  }
  TANDEM_CHECK(size <= page.size());
  return std::move(*samples);
}

void check_told(const std::vector<MetricSample>& before, const std::vector<MetricSample>& after) {
  const RelayTold told = told_between(before, after);
  for (const auto& [reason, count] : told.dropped) TANDEM_CHECK(count > 0);
  if (told.zero_copy_share) {
    TANDEM_CHECK(*told.zero_copy_share >= 0 && *told.zero_copy_share <= 1);
  }
}

}  // namespace
}  // namespace tandem::bench

// The two pages are apart by a line of its own, "---".
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem::bench;
  constexpr std::string_view kApart = "\n---\n";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto apart = text.find(kApart);
  const auto before = check_page(text.substr(0, apart));
  if (apart == std::string_view::npos) return 0;
  const auto after = check_page(text.substr(apart + kApart.size()));
  check_told(before, after);
  check_told(after, before);
  return 0;
}
