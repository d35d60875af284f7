// Owns how a figure reads to people: its name in words and its value with a unit, both told by its
// key. bench/report/page.html has the same rules for browsers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/report.h"

namespace tandem::bench {

// "relay CPU per GB" for relay_cpu_s_per_gb, "latency p99.9" for latency_p999_us.
[[nodiscard]] std::string figure_name(std::string_view key);

// With thousands apart and the key's unit, bytes and times in the one that suits them: "18.71
// Gbit/s", "1.5 ms" for latency_p99_us. "-" for what is not a number.
[[nodiscard]] std::string figure_text(std::string_view key, const Figures::Value& value);

// Four digits, from a thousand on whole numbers with thousands apart: "0.4543", "18.71", "12,345".
[[nodiscard]] std::string number_text(double value);
[[nodiscard]] std::string number_text(std::uint64_t value);

}  // namespace tandem::bench
