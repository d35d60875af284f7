// Sizes as an operator writes them and figures as an operator reads them. Knows no configuration
// key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace tandem {

// "4096", "64k", "1mb", "2G": decimal digits, then nothing or k, m or g with or without b, in any
// case, 1024-based; no sign, space or fraction. The error is a sentence without the key's name.
[[nodiscard]] Result<std::uint64_t, std::string> parse_size(std::string_view text);

// For human tables, at most three significant digits of the largest unit that fits: "812 B",
// "1.50 KiB", "10.0 MiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

// The same for time: "850 ns", "12.3 us", "1.50 s"; from a minute on the two largest units:
// "2m 05s", "3h 20m", "4d 07h". Negative durations carry a minus.
[[nodiscard]] std::string format_duration(Nanos duration);

}  // namespace tandem
