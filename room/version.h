// The version of this build, as meson.build has it ("0.1.0").
#pragma once

#include <string_view>

namespace tandem {

[[nodiscard]] std::string_view version();

}  // namespace tandem
