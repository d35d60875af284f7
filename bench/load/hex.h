// Owns bytes as hex digits, as they stand in JSON. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace tandem::bench {

[[nodiscard]] std::string to_hex(std::string_view bytes);
// Either case; throws std::invalid_argument.
[[nodiscard]] std::string from_hex(std::string_view digits);

}  // namespace tandem::bench
