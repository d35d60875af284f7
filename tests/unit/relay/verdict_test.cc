#include "relay/core/verdict.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace tandem {
namespace {

TEST_CASE("every reason has a name of its own that a metric can bear") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kDropReasons; ++i) {
    const std::string_view name = drop_reason_text(static_cast<DropReason>(i));
    CHECK(names.insert(name).second);
    CHECK(std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; }));
  }
}

}  // namespace
}  // namespace tandem
