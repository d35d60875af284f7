// A reply's bytes: the status line, the headers that all replies have and those of this one.
// Knows no socket.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.h"
#include "room/web/http_message.h"

namespace tandem {

// How a reply answers the request that it is for.
struct ReplyFrame {
  bool version_1_0 = false;
  bool keep_alive = false;
  bool with_body = true;  // not for HEAD, which only wants to know
};

// `more` is header lines with their CR LF. `now` is for the Date.
[[nodiscard]] std::string write_reply(const HttpReply& reply, ReplyFrame frame,
                                      std::string_view more, UnixSeconds now);

// IMF-fixdate (RFC 9110, 5.6.7).
[[nodiscard]] std::string http_date(UnixSeconds now);

}  // namespace tandem
