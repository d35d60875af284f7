// JSON that tandem-bench is given: greetings for a pairing relay, and an operator's endpoint's
// answer with tokens. What is none is refused by the exception that the header names, and by no
// other.
#include <stdexcept>
#include <string_view>

#include "bench/load/hex.h"
#include "bench/load/route.h"
#include "bench/load/tokens.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

void check_greetings(std::string_view text) {
  try {
    for (const Greeting& greeting : parse_greetings(text)) {
      TANDEM_CHECK(from_hex(to_hex(greeting.a)) == greeting.a);
      TANDEM_CHECK(greeting.a.size() + greeting.b.size() + greeting.expected_by_a.size() +
                       greeting.expected_by_b.size() <=
                   text.size() / 2);
    }
  } catch (const std::invalid_argument& error) {
    TANDEM_CHECK(std::string_view(error.what()).starts_with("greetings, line "));
  }
}

void check_session_answer(std::string_view json) {
  try {
    const TokenPair tokens = parse_session_answer(json);
    for (const TokenBytes& token : {tokens.a, tokens.b}) {
      TANDEM_CHECK(parse_token_text(token_text(token)) == token);
    }
  } catch (const std::runtime_error& error) {
    TANDEM_CHECK(std::string_view(error.what()).find("POST /api/v1/sessions") !=
                 std::string_view::npos);
  }
}

}  // namespace
}  // namespace tandem::bench

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tandem::bench::check_greetings(text);
  tandem::bench::check_session_answer(text);
  return 0;
}
