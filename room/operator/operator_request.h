// What the operator asks for over HTTP, read from method, target and body. Pure: knows neither who
// asks nor what is done about it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/result.h"
#include "room/operator/admin_protocol.h"
#include "room/web/http_message.h"

namespace tandem {

namespace operation {

struct Page {};  // the dashboard; the only one that wants no token
struct Overview {};
// Some of every one, listed or not.
struct Rooms {
  std::uint32_t limit = 50;  // 1 to kOperatorRoomsMax
  std::uint32_t cursor = 0;  // where the page before ended
};
struct CloseRoom {
  std::string id;  // 1 to 64 letters, digits and hyphens
};

}  // namespace operation

// Beside these the requests of the admin socket that mean the same.
using OperatorRequest =
    std::variant<operation::Page, operation::Overview, operation::Rooms, operation::CloseRoom,
                 admin::Sessions, admin::Session, admin::Kick, admin::Blocks, admin::Block,
                 admin::Unblock, admin::SetDraining>;

inline constexpr std::uint32_t kOperatorSessionsMax = 1000;  // of ?limit=
inline constexpr std::uint32_t kOperatorRoomsMax = 200;      // each up to 4 KiB and more

// By path, and by more where others share the path: POST /api/v1/sessions mints, GET
// /api/v1/rooms/{id} is public, and so is /api/v1/rooms without ?all=true.
[[nodiscard]] bool is_operator_request(const HttpRequest& request);

// All but the page, which has to be there to ask for it.
[[nodiscard]] bool wants_operator(const HttpRequest& request);

// Of what is_operator_request(). The error is the reply: 400, 404 or 405.
[[nodiscard]] Result<OperatorRequest, HttpReply> parse_operator_request(const HttpRequest& request);

}  // namespace tandem
