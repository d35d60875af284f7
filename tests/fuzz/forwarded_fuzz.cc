// X-Forwarded-For: the client is an address that the header has or the peer, and what is left of
// the client's entry makes no difference, since anybody could have written it.
#include <array>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "room/web/forwarded.h"

namespace tandem {
namespace {

void check(std::string_view header) {
  const std::array trusted = {*Network::parse("10.0.0.0/8"), *Network::parse("fd00::/8")};
  const IpAddress peer = IpAddress::v4(10, 0, 0, 1);
  const IpAddress client = forwarded_client(peer, header, trusted);
  // A trusted address is only told where no other one was found.
  if (is_trusted(client, trusted)) {
    const std::string forged = std::string("192.0.2.66,").append(header);
    const IpAddress again = forwarded_client(peer, forged, trusted);
    TANDEM_CHECK(again == client || again == IpAddress::v4(192, 0, 2, 66));
    return;
  }
  const std::string forged = std::string("192.0.2.66, nonsense,,").append(header);
  TANDEM_CHECK(forwarded_client(peer, forged, trusted) == client);
  // A proxy that appends itself changes nothing.
  const std::string through = std::string(header).append(", 10.9.9.9");
  TANDEM_CHECK(forwarded_client(peer, through, trusted) == client);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
