#include "bench/load/figure_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>

namespace tandem::bench {
namespace {

using Words = std::vector<std::string_view>;

// Bits a second, "bit_s" and "gbit_s", are one word.
Words words_of(std::string_view key) {
  Words words;
  for (std::size_t at = 0; at <= key.size();) {
    const std::size_t end = std::min(key.find('_', at), key.size());
    const std::string_view word = key.substr(at, end - at);
    if (word == "s" && !words.empty() && words.back().ends_with("bit")) {
      const std::size_t from = at - 1 - words.back().size();
      words.back() = key.substr(from, end - from);
    } else {
      words.push_back(word);
    }
    at = end + 1;
  }
  return words;
}

enum class Unit : std::uint8_t { none, gbit_s, bit_s, kpps, bytes, us, s, share, percent };

struct UnitWord {
  std::string_view word;
  Unit unit;
  bool in_name;  // says something beside the unit
};
constexpr std::array<UnitWord, 9> kUnitWords{{{"gbit_s", Unit::gbit_s, false},
                                              {"bit_s", Unit::bit_s, false},
                                              {"kpps", Unit::kpps, false},
                                              {"bytes", Unit::bytes, false},
                                              {"us", Unit::us, false},
                                              {"s", Unit::s, false},
                                              {"share", Unit::share, true},
                                              {"fraction", Unit::share, true},
                                              {"percent", Unit::percent, false}}};

// The unit stands before what the figure is counted per: seconds in relay_cpu_s_per_gb, and none in
// packets_per_relay_cpu_s. A key of one word is a name.
struct Parsed {
  Unit unit = Unit::none;
  Words name;
};
Parsed parse(std::string_view key) {
  Parsed parsed{.name = words_of(key)};
  auto& name = parsed.name;
  const auto per = std::find(name.begin(), name.end(), "per");
  const auto is_unit = [&](const UnitWord& unit) {
    return std::find(name.begin(), per, unit.word) != per;
  };
  const auto* known = std::find_if(kUnitWords.begin(), kUnitWords.end(), is_unit);
  if (known == kUnitWords.end() || name.size() == 1) return parsed;
  parsed.unit = known->unit;
  if (!known->in_name) name.erase(std::find(name.begin(), per, known->word));
  return parsed;
}

std::string_view in_words(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kSpelled{
      {{"cpu", "CPU"},
       {"gb", "GB"},
       {"mpkt", "Mpkt"},
       {"tcp", "TCP"},
       {"udp", "UDP"},
       {"mtu", "MTU"},
       {"ndr", "NDR"},
       {"pdr", "PDR"},
       {"p999", "p99.9"},
       {"p9999", "p99.99"}}};
  for (const auto& [from, to] : kSpelled)
    if (from == word) return to;
  return word;
}

// In the largest of the units, each `step` of the one before, that leaves a whole number.
std::string scaled(double value, double step, std::span<const std::string_view> units) {
  std::size_t unit = 0;
  for (; std::abs(value) >= step && unit + 1 < units.size(); ++unit) value /= step;
  return fmt::format("{} {}", number_text(value), units[unit]);
}

std::string with_unit(Unit unit, double value) {
  constexpr std::array<std::string_view, 4> kBitsPerS{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
  constexpr std::array<std::string_view, 6> kBytes{"B", "kB", "MB", "GB", "TB", "PB"};
  constexpr std::array<std::string_view, 3> kTimes{"us", "ms", "s"};
  switch (unit) {
    case Unit::none:
      return number_text(value);
    case Unit::gbit_s:
      return number_text(value) + " Gbit/s";
    case Unit::bit_s:
      return scaled(value, 1000, kBitsPerS);
    case Unit::kpps:
      return number_text(value) + " kpps";
    case Unit::bytes:
      return scaled(value, 1000, kBytes);
    case Unit::us:
      return scaled(value, 1000, kTimes);
    case Unit::s:
      return number_text(value) + " s";
    case Unit::share:
      return number_text(100 * value) + " %";
    case Unit::percent:
      return number_text(value) + " %";
  }
  return {};
}

std::string thousands_apart(std::string digits) {
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

}  // namespace

std::string figure_name(std::string_view key) {
  std::string name;
  for (const std::string_view word : parse(key).name) {
    // CPU-seconds are one word.
    if (!name.empty()) name += word == "s" && name.ends_with("CPU") ? '-' : ' ';
    name += in_words(word);
  }
  return name;
}

std::string figure_text(std::string_view key, const Figures::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* whole = std::get_if<std::uint64_t>(&value);
  if (key == "intact" && whole != nullptr) return *whole != 0 ? "yes" : "no";
  const Unit unit = parse(key).unit;
  if (whole != nullptr && unit == Unit::none) return number_text(*whole);
  const double real = whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
  return std::isfinite(real) ? with_unit(unit, real) : "-";
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "-";
  if (std::abs(value) < 999.95) return fmt::format("{:.4g}", value);
  return thousands_apart(fmt::format("{:.0f}", value));
}

std::string number_text(std::uint64_t value) {
  return thousands_apart(fmt::format("{}", value));
}

}  // namespace tandem::bench
