// Owns where the tokens of a run's sessions come from: minted with the relay's key, or asked from
// its operator's endpoint (POST /api/v1/sessions). Knows no load.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/load/http_client.h"
#include "bench/load/relay_client.h"
#include "bench/load/route.h"

namespace tandem::bench {

struct TokenSource {
  std::string key_file;  // or:
  std::string api;       // "http://HOST:PORT"
  std::string operator_token_file;
};

// Both tokens of `count` new sessions. Throws std::runtime_error.
[[nodiscard]] std::vector<TokenPair> make_tokens(const TokenSource& source, std::size_t count);

// The endpoint's answer: {"tokens": {"a", "b"}}, the rest is not looked at. Throws
// std::runtime_error.
[[nodiscard]] TokenPair parse_session_answer(std::string_view json);

}  // namespace tandem::bench
