#include "room/admission/bearer_token.h"

#include <algorithm>

namespace tandem {
namespace {

// The scheme's name is case-insensitive (RFC 9110, 11.1).
bool is_bearer(std::string_view scheme) {
  constexpr std::string_view kBearer = "bearer";
  return std::equal(scheme.begin(), scheme.end(), kBearer.begin(), kBearer.end(),
                    [](char given, char wanted) {
                      return given == wanted || (given >= 'A' && given + ('a' - 'A') == wanted);
                    });
}

}  // namespace

std::string_view bearer_token(std::string_view authorization) {
  const std::size_t space = std::min(authorization.find(' '), authorization.size());
  if (!is_bearer(authorization.substr(0, space))) return {};
  std::string_view token = authorization.substr(space);
  token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
  return token;
}

}  // namespace tandem
