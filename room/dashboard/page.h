// Owns the operator's dashboard (page.html beside this file, built in) and the policy under which
// it runs. Knows no figure: the page asks the operator's routes for them.
#pragma once

#include <string_view>

namespace tandem {

[[nodiscard]] std::string_view dashboard_page();
// The Content-Security-Policy that goes with it; others would keep its script from running.
[[nodiscard]] std::string_view dashboard_policy();

}  // namespace tandem
