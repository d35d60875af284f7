#include "bench/load/quantities.h"

#include <charconv>
#include <cmath>
#include <stdexcept>

#include "bench/load/datagram_check.h"

namespace tandem::bench {

double parse_bit_rate(std::string_view text) {
  constexpr std::string_view kPrefixes = "kmgt";
  double rate = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  const auto unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  const auto prefix =
      unit.empty() ? std::string_view::npos : kPrefixes.find(static_cast<char>(unit[0] | 0x20));
  const bool bad_unit = !unit.empty() && (unit.size() > 1 || prefix == std::string_view::npos);
  if (!unit.empty()) rate *= std::pow(1000.0, static_cast<double>(prefix) + 1);
  if (error != std::errc{} || bad_unit || !(rate >= 0) || std::isinf(rate)) {
    throw std::invalid_argument("not a rate in bits a second, such as 2.5M: " + std::string(text));
  }
  return rate;
}

std::vector<std::size_t> parse_sizes(std::string_view text) {
  if (text == "imix") return {64, 64, 512, 64, 64, 512, 64, 512, 64, 64, 512, 1200};
  std::size_t size = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, size);
  if (error != std::errc{} || rest != end || size < kStampSize || size > kPayloadMax) {
    throw std::invalid_argument("not a payload of " + std::to_string(kStampSize) + " to " +
                                std::to_string(kPayloadMax) +
                                " bytes, nor imix: " + std::string(text));
  }
  return {size};
}

}  // namespace tandem::bench
