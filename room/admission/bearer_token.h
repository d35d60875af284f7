// The token of an Authorization header (RFC 6750, 2.1). Pure.
#pragma once

#include <string_view>

namespace tandem {

// Empty where there is no header, another scheme or no token. The token is what is left of the
// header, whatever it holds.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization);

}  // namespace tandem
