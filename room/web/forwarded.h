// The client's real address behind proxies, from X-Forwarded-For. Text in, address out: whether the
// header is to be believed at all is the caller's business.
//
// Each proxy appends who came to it, so what is right of the last address that no trusted proxy has
// is true, and what is left of it anybody could have written.
#pragma once

#include <span>
#include <string_view>

#include "common/endpoint.h"

namespace tandem {

[[nodiscard]] bool is_trusted(const IpAddress& address, std::span<const Network> trusted);

// `peer` is a trusted proxy, `header` the values of all its X-Forwarded-For headers in their order,
// joined by commas. The rightmost address that is no trusted proxy's; the leftmost where all are.
// An entry that is no address (with or without a port) ends the search: the proxy that it came by
// is the client then.
[[nodiscard]] IpAddress forwarded_client(const IpAddress& peer, std::string_view header,
                                         std::span<const Network> trusted);

}  // namespace tandem
