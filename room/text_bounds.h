// Lengths of UTF-8 texts as people count them, and what may not stand in them. The texts are UTF-8
// already; of others the result is some number, and no more bytes are read than there are.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem {

[[nodiscard]] std::size_t code_points(std::string_view text);
// C0 (below U+0020), DEL and C1 (U+0080 to U+009F).
[[nodiscard]] bool has_control(std::string_view text);
// Without its control characters, cut behind `most` code points.
[[nodiscard]] std::string clean_text(std::string_view text, std::size_t most);

}  // namespace tandem
