// Texts that strangers choose and others see: names, titles. Whether one is UTF-8 without anything
// that moves the cursor, and how long it is for a reader. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tandem {

// The number of code points; nothing where `text` is not UTF-8 (RFC 3629: no surrogates, nothing
// overlong, nothing past U+10FFFF) or holds a control character (C0, DEL, C1), a line or paragraph
// separator, or one of the embeddings, overrides and isolates that turn the text behind them around
// (UAX 9).
[[nodiscard]] std::optional<std::size_t> visible_code_points(std::string_view text);

// The first `code_points_max` code points of a text that has a number of them.
[[nodiscard]] std::string_view cut_to_code_points(std::string_view text,
                                                  std::size_t code_points_max);

// Without what visible_code_points() refuses, and of that the first `code_points_max`.
[[nodiscard]] std::string visible_part(std::string_view text, std::size_t code_points_max);

}  // namespace tandem
