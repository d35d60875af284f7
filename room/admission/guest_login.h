// POST /api/v1/auth/guest without its HTTP: what is asked for, what is answered. Pure; the clock
// and the new client's id are arguments.
//
//   {"username":"Ada","platform":"linux","version":"1.2.0"}
//   {"token":"eyJ...","clientId":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","expiresIn":86400}
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"
#include "room/admission/jwt.h"

namespace tandem {

inline constexpr std::size_t kPlatformMax = 16;  // code points; of version too

struct GuestRequest {
  std::string username;  // 1 to kUserNameMax code points, none of them a control character
  std::string platform;  // both may be empty
  std::string version;

  friend bool operator==(const GuestRequest&, const GuestRequest&) = default;
};

// `body` is anything; members of other names are passed over. The error is a sentence that names
// the member.
[[nodiscard]] Result<GuestRequest, std::string> parse_guest_request(std::string_view body);

struct GuestRules {
  JwtRules jwt = {};
  std::uint32_t lifetime_s = 0;  // room.token_lifetime_s
};

// The answer's body. `client_id` is fresh (make_uuid()), the keys are not empty.
[[nodiscard]] std::string grant_guest(const GuestRequest& request, std::string_view client_id,
                                      const JwtKeys& keys, const GuestRules& rules,
                                      UnixSeconds now);

}  // namespace tandem
