#include "room/socket_io/random_id.h"

#include <sys/random.h>

#include <cstdint>

#include "common/assert.h"
#include "common/base64url.h"

namespace tandem {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
  std::array<std::uint8_t, N> bytes;
  // Up to 256 bytes a call are never short (getrandom(2)).
  static_assert(N <= 256);
  TANDEM_CHECK(::getrandom(bytes.data(), N, 0) == static_cast<ssize_t>(N));
  return bytes;
}

}  // namespace

RandomId random_id() {
  RandomId id;
  static_assert(base64url_size(15) == std::tuple_size_v<RandomId>);
  base64url_encode(random_bytes<15>(), id);
  return id;
}

std::array<std::uint8_t, 16> random_key() {
  return random_bytes<16>();
}

}  // namespace tandem
