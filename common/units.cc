#include "common/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace tandem {
namespace {

// How far to shift for a suffix.
std::optional<int> shift_of(std::string_view suffix) {
  if (suffix.empty()) return 0;
  if (suffix.size() > 2 || (suffix.size() == 2 && suffix[1] != 'b' && suffix[1] != 'B'))
    return std::nullopt;
  switch (suffix[0]) {
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    default:
      return std::nullopt;
  }
}

// Three significant digits, never rounded up to a fourth: 999.7 is "999".
std::string three_digits(double value, std::string_view unit) {
  const auto cut = [value](double steps) {
    return static_cast<double>(static_cast<std::uint64_t>(value * steps)) / steps;
  };
  if (value < 10) return fmt::format("{:.2f} {}", cut(100), unit);
  if (value < 100) return fmt::format("{:.1f} {}", cut(10), unit);
  return fmt::format("{:.0f} {}", cut(1), unit);
}

}  // namespace

Result<std::uint64_t, std::string> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::result_out_of_range)
    return unexpected(fmt::format("\"{}\" is more than 64 bits hold", text));
  const auto shift = shift_of({after, static_cast<std::size_t>(end - after)});
  if (error != std::errc{} || !shift)
    return unexpected(
        fmt::format("\"{}\" is not a size: write digits and then nothing, k, m or g", text));
  if (number > std::numeric_limits<std::uint64_t>::max() >> *shift)
    return unexpected(fmt::format("\"{}\" is more than 64 bits hold", text));
  return number << *shift;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 7> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return three_digits(value, kUnits[unit]);
}

std::string format_duration(Nanos duration) {
  if (duration < 0) {
    // the most negative one has no positive counterpart; a nanosecond in 292 years is not missed
    constexpr Nanos kMost = std::numeric_limits<Nanos>::max();
    return fmt::format("-{}", format_duration(duration < -kMost ? kMost : -duration));
  }
  if (duration < kNanosPerMicrosecond) return fmt::format("{} ns", duration);
  const auto value = static_cast<double>(duration);
  if (duration < kNanosPerMillisecond) return three_digits(value / 1e3, "us");
  if (duration < kNanosPerSecond) return three_digits(value / 1e6, "ms");
  if (duration < kNanosPerMinute) return three_digits(value / 1e9, "s");
  const auto two = [duration](Nanos large, char large_name, Nanos small, char small_name) {
    return fmt::format("{}{} {:02}{}", duration / large, large_name, duration % large / small,
                       small_name);
  };
  if (duration < kNanosPerHour) return two(kNanosPerMinute, 'm', kNanosPerSecond, 's');
  if (duration < kNanosPerDay) return two(kNanosPerHour, 'h', kNanosPerMinute, 'm');
  return two(kNanosPerDay, 'd', kNanosPerHour, 'h');
}

}  // namespace tandem
