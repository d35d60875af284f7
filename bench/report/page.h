// Owns the report's page (page.html beside this file, built in) in the two halves between which a
// report's JSON belongs. Whoever puts it there escapes its "<".
#pragma once

#include <string_view>

namespace tandem::bench {

[[nodiscard]] std::string_view page_before_report();
[[nodiscard]] std::string_view page_after_report();

}  // namespace tandem::bench
