#include "bench/load/metrics_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace tandem::bench {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kSpace = " \t";

bool is_name(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || letter == '_' || letter == ':';
}

// What the reading of one line has left.
class Cursor {
 public:
  explicit Cursor(std::string_view line) : rest_(line) {}

  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size()));
  }
  bool take(char letter) {
    skip_space();
    if (!rest_.starts_with(letter)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string name() {
    skip_space();
    const auto end = std::ranges::find_if_not(rest_, is_name) - rest_.begin();
    std::string name(rest_.substr(0, static_cast<std::size_t>(end)));
    rest_.remove_prefix(name.size());
    return name;
  }
  // Between quotes, with the three escapes of the format.
  std::optional<std::string> quoted() {
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      const char letter = rest_.front();
      rest_.remove_prefix(1);
      if (letter == '"') return text;
      if (letter != '\\') {
        text.push_back(letter);
        continue;
      }
      if (rest_.empty()) return std::nullopt;
      text.push_back(rest_.front() == 'n' ? '\n' : rest_.front());
      rest_.remove_prefix(1);
    }
    return std::nullopt;
  }
  std::optional<double> number() {
    skip_space();
    const auto text = rest_.substr(0, rest_.find_first_of(kSpace));
    if (text == "+Inf") return INFINITY;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

 private:
  std::string_view rest_;
};

std::optional<Labels> parse_labels(Cursor& cursor) {
  constexpr std::size_t kLabelsMax = 64;
  Labels labels;
  while (!cursor.take('}')) {
    std::string key = cursor.name();
    if (key.empty() || !cursor.take('=')) return std::nullopt;
    auto value = cursor.quoted();
    if (!value || labels.size() == kLabelsMax) return std::nullopt;
    labels.emplace_back(std::move(key), std::move(*value));
    if (cursor.take(',')) continue;
    if (!cursor.take('}')) return std::nullopt;
    break;
  }
  return labels;
}

std::optional<MetricSample> parse_sample(std::string_view line) {
  Cursor cursor(line);
  MetricSample sample{.name = cursor.name(), .labels = {}};
  if (sample.name.empty()) return std::nullopt;
  if (cursor.take('{')) {
    auto labels = parse_labels(cursor);
    if (!labels) return std::nullopt;
    sample.labels = std::move(*labels);
  }
  const auto value = cursor.number();
  if (!value) return std::nullopt;
  sample.value = *value;
  return sample;
}

// The sum over all shards, by one label's values in the order in which they come.
std::vector<std::pair<std::string, double>> sum_by(const std::vector<MetricSample>& samples,
                                                   std::string_view name, std::string_view label) {
  std::vector<std::pair<std::string, double>> sums;
  for (const auto& sample : samples) {
    if (sample.name != name) continue;
    const std::string key(sample.label(label));
    const auto found = std::ranges::find(sums, key, [](const auto& sum) { return sum.first; });
    if (found == sums.end()) {
      sums.emplace_back(key, sample.value);
    } else {
      found->second += sample.value;
    }
  }
  return sums;
}

std::vector<std::pair<std::string, std::uint64_t>> growth_by(
    const std::vector<MetricSample>& before, const std::vector<MetricSample>& after,
    std::string_view name, std::string_view label) {
  const auto earlier = sum_by(before, name, label);
  std::vector<std::pair<std::string, std::uint64_t>> growth;
  for (const auto& [key, value] : sum_by(after, name, label)) {
    const auto found = std::ranges::find(earlier, key, [](const auto& sum) { return sum.first; });
    const double grown = value - (found == earlier.end() ? 0 : found->second);
    // A page's numbers are anybody's: what does not count up counts as nothing.
    growth.emplace_back(key, grown >= 1 && grown < 1e18 ? static_cast<std::uint64_t>(grown) : 0);
  }
  return growth;
}

}  // namespace

std::string_view MetricSample::label(std::string_view key) const {
  const auto found = std::ranges::find(labels, key, [](const auto& label) { return label.first; });
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

Result<std::vector<MetricSample>, std::string> parse_metrics(std::string_view page) {
  std::vector<MetricSample> samples;
  for (std::size_t number = 1; !page.empty(); ++number) {
    const auto end = page.find('\n');
    auto line = page.substr(0, end);
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto first = line.find_first_not_of(kSpace);
    if (first == std::string_view::npos || line[first] == '#') continue;
    auto sample = parse_sample(line);
    if (!sample) return unexpected("line " + std::to_string(number) + " is no sample");
    samples.push_back(std::move(*sample));
  }
  return samples;
}

RelayTold told_between(const std::vector<MetricSample>& before,
                       const std::vector<MetricSample>& after) {
  RelayTold told;
  // A histogram's buckets are cumulative.
  std::uint64_t below = 0;
  for (const auto& [le, count] :
       growth_by(before, after, "tandem_datagram_batch_size_bucket", "le")) {
    told.batch_sizes.emplace_back(le, count - std::min(count, below));
    below = count;
  }
  double zero_copied = 0;
  double sent = 0;
  for (const auto& [how, bytes] :
       growth_by(before, after, "tandem_stream_sent_bytes_total", "how")) {
    sent += static_cast<double>(bytes);
    if (how != "copied") zero_copied += static_cast<double>(bytes);
  }
  if (sent > 0) told.zero_copy_share = zero_copied / sent;
  for (auto& reason : growth_by(before, after, "tandem_datagrams_dropped_total", "reason")) {
    if (reason.second > 0) told.dropped.push_back(std::move(reason));
  }
  for (const auto& [none, pauses] : growth_by(before, after, "tandem_rate_pauses_total", "")) {
    if (pauses > 0) told.dropped.emplace_back("paused_at_bandwidth_cap", pauses);
  }
  return told;
}

}  // namespace tandem::bench
