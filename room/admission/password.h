// Room passwords as salted verifiers: scrypt (RFC 7914) through OpenSSL. Pure, and slow on purpose:
// password_worker.h keeps it off the control thread. Knows no room.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "room/lobby/room_types.h"

namespace tandem {

// kPasswordMax code points of UTF-8.
inline constexpr std::size_t kPasswordBytesMax = 4 * kPasswordMax;

// 1 to kPasswordBytesMax bytes without a NUL: HMAC fills a key up with them, so that "x" and "x\0"
// would open the same doors.
[[nodiscard]] bool is_password(std::string_view text);

using PasswordSalt = std::array<std::uint8_t, 16>;

// N = 2^log2_n. Memory is 128 * N * r bytes while one is computed.
struct ScryptCost {
  std::uint32_t log2_n = 14;
  std::uint32_t r = 8;
  std::uint32_t p = 1;

  friend bool operator==(const ScryptCost&, const ScryptCost&) = default;
};
// 16 MiB and 44 ms of a server's core: each guess at a stolen verifier costs as much, and tries are
// limited long before it costs the node a core. Stored with each verifier, so another choice leaves
// those that are there good.
inline constexpr ScryptCost kPasswordCost{};

// "scrypt:14:8:1:<salt>:<hash>", both in base64url. The password is one by is_password(), the cost
// within what check_password() takes.
[[nodiscard]] std::string make_verifier(std::string_view password, const PasswordSalt& salt,
                                        const ScryptCost& cost = kPasswordCost);

enum class PasswordVerdict : std::uint8_t {
  right,
  wrong,
  bad_verifier,  // not a text of make_verifier(), or one that asks for over 64 MiB or p over 4
};

// In time that does not depend on where the two differ. What is_password() is not is wrong.
[[nodiscard]] PasswordVerdict check_password(std::string_view password, std::string_view verifier);

}  // namespace tandem
