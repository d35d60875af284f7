// The operator's requests: a line of method and target, and the body behind it. Whatever they hold
// is a request within its bounds, or a refusal that is sound JSON and says what would be right.
#include <algorithm>
#include <string_view>
#include <variant>

#include "common/assert.h"
#include "common/overloaded.h"
#include "room/operator/operator_request.h"
#include "room/text/json_scan.h"

namespace tandem {
namespace {

void check_refusal(const HttpReply& reply) {
  TANDEM_CHECK(reply.status == 400 || reply.status == 404 || reply.status == 405);
  TANDEM_CHECK(reply.allow.empty() == (reply.status != 405));
  TANDEM_CHECK(scan_json(reply.body, 2).has_value());
}

void check_request(const OperatorRequest& request) {
  std::visit(Overloaded{
                 [](const admin::Sessions& sessions) {
                   TANDEM_CHECK(sessions.max >= 1 && sessions.max <= kOperatorSessionsMax);
                 },
                 [](const admin::Block& block) {
                   TANDEM_CHECK(Network::parse(to_string(block.network)) == block.network);
                 },
                 [](const admin::Unblock& unblock) {
                   TANDEM_CHECK(Network::parse(to_string(unblock.network)) == unblock.network);
                 },
                 [](const operation::CloseRoom& close) {
                   TANDEM_CHECK(!close.id.empty() && close.id.size() <= 64);
                   // It goes into JSON and into the log as it stands.
                   TANDEM_CHECK(close.id.find_first_of("\"\\/ %") == std::string::npos);
                 },
                 [](const auto&) {},
             },
             request);
}

void check(const HttpRequest& request) {
  const auto parsed = parse_operator_request(request);
  if (!parsed) return check_refusal(parsed.error());
  TANDEM_CHECK(is_operator_request(request));
  check_request(*parsed);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::string_view body = text.substr(std::min(line.size() + 1, text.size()));
  const std::size_t space = std::min(line.find(' '), line.size());
  tandem::check({.method = line.substr(0, space),
                 .target = line.substr(std::min(space + 1, line.size())),
                 .body = body});
  return 0;
}
