// The admin socket's codec: whatever a line holds there is a request or one error that is said in
// one line, a request that was read is written and read to the same, and no answer is taken for a
// success that does not say so.
#include <string_view>

#include "common/assert.h"
#include "room/operator/admin_protocol.h"

namespace tandem {
namespace {

void check_request(std::string_view line) {
  const auto request = decode_request(line);
  if (!request) {
    const std::string answer = encode_error(request.error());
    TANDEM_CHECK(answer.find('\n') == std::string::npos);
    TANDEM_CHECK(refusal_in(answer)->code == AdminErrorCode::bad_request);
    return;
  }
  const std::string written = encode_request(*request);
  TANDEM_CHECK(written.size() < kAdminRequestMax && written.find('\n') == std::string::npos);
  const auto again = decode_request(written);
  TANDEM_CHECK(again && *again == *request);
}

void check_path(std::string_view path) {
  if (!is_admin_path(path)) return;
  const AdminRequest backup = admin::Backup{std::string(path)};
  const auto again = decode_request(encode_request(backup));
  TANDEM_CHECK(again && *again == backup);
}

void check_answer(std::string_view answer) {
  if (!refusal_in(answer))
    TANDEM_CHECK(answer.find("\"ok\"") != std::string_view::npos ||
                 answer.find('\\') != std::string_view::npos);
  // A reason that came from outside stays within its line.
  const AdminError error{AdminErrorCode::failed, std::string(answer)};
  TANDEM_CHECK(encode_error(error).find('\n') == std::string::npos);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tandem::check_request(text);
  tandem::check_answer(text);
  tandem::check_path(text);
  return 0;
}
