// A client's lines: the verdict does not depend on how the bytes were cut, a line ends where it
// says, and written anew from what was understood it is understood alike.
#include <array>
#include <string>

#include "common/assert.h"
#include "common/base64url.h"
#include "relay/core/join_line.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

using Buffer = std::span<const uint8_t>;

// `parse` gives a result with progress and consumed.
template <class Parse>
auto parse_cut(Parse parse, Buffer buffer, size_t cut) {
  const auto whole = parse(buffer);
  const auto part = parse(buffer.first(std::min(cut, buffer.size())));
  TANDEM_CHECK(part.progress == LineProgress::need_more || part.progress == whole.progress);
  TANDEM_CHECK(part.consumed == 0 || part.consumed == whole.consumed);
  const bool complete = whole.progress == LineProgress::complete;
  TANDEM_CHECK(complete == (whole.consumed != 0));
  if (complete) {
    TANDEM_CHECK(whole.consumed <= std::min(buffer.size(), kJoinLineMax));
    TANDEM_CHECK(buffer[whole.consumed - 1] == '\n');
  }
  TANDEM_CHECK(whole.progress != LineProgress::need_more || buffer.size() < kJoinLineMax);
  return whole;
}

std::string written(const JoinLine& line) {
  const bool join = line.verb == JoinVerb::join;
  TokenBytes token{};
  std::ranges::copy(line.claims, token.begin());
  std::ranges::copy(line.secret, token.begin() + line.claims.size());
  std::string text(join ? "TANDEM/1 JOIN " : "TANDEM/1 PROVE ");
  const Buffer credential = join ? Buffer(token) : Buffer(line.claims);
  std::string encoded(base64url_size(credential.size()), '\0');
  base64url_encode(credential, encoded);
  text += encoded + " lane=" + std::to_string(line.lane);
  return text + (line.takeover ? " takeover=1\n" : "\n");
}

void check_join(Buffer buffer, size_t cut) {
  const auto result = parse_cut(parse_join_line, buffer, cut);
  if (result.progress != LineProgress::complete) return;
  const std::string text = written(result.line);
  const auto again = parse_join_line({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  TANDEM_CHECK(again.progress == LineProgress::complete);
  TANDEM_CHECK(written(again.line) == text);
}

void check_err_line(uint8_t code, uint32_t retry_after_s) {
  if (code == 0 || (code > 9 && code < 128) || code > 130) return;
  std::array<uint8_t, kErrLineMax> out;
  const size_t size = write_err_line(out, ErrorCode{code}, retry_after_s);
  TANDEM_CHECK(size <= out.size() && out[size - 1] == '\n');
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  const auto cut = input.take<uint8_t>();
  tandem::check_join(input.rest(), cut);
  tandem::parse_cut(tandem::parse_proof_line, input.rest(), cut);
  tandem::check_err_line(cut, input.take<uint32_t>());
  return 0;
}
