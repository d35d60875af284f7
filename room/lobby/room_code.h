// Names of rooms: UUIDs (RFC 9562, version 4) and codes for people, Crockford base 32. Pure: the
// randomness is an argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tandem {

// Whoever names things asks this. The server's is the kernel's generator, a test's has a seed.
class RandomSource {
 public:
  virtual void fill(std::span<std::uint8_t> bytes) = 0;

 protected:
  ~RandomSource() = default;
};

inline constexpr std::size_t kRoomCodeMin = 6;
inline constexpr std::size_t kRoomCodeMax = 8;

[[nodiscard]] std::string make_uuid(RandomSource& random);
// `length` characters of 0-9 and A-Z without I, L, O and U; 5 bits of randomness each.
[[nodiscard]] std::string make_room_code(RandomSource& random, std::size_t length);

// As people type it: lower case, O for 0, I and L for 1, hyphens anywhere. Nothing where it cannot
// be a code.
[[nodiscard]] std::optional<std::string> normalize_room_code(std::string_view typed);

}  // namespace tandem
