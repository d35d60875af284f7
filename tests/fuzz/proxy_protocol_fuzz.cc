// PROXY headers: the verdict does not depend on how the bytes were cut, and a header is bounded.
#include "common/assert.h"
#include "common/proxy_protocol.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

void check_header(std::span<const uint8_t> buffer, size_t cut) {
  const ProxyHeader whole = parse_proxy_header(buffer);
  const ProxyHeader part = parse_proxy_header(buffer.first(std::min(cut, buffer.size())));
  TANDEM_CHECK(part.progress == ProxyProgress::need_more || part.progress == whole.progress);

  const bool complete = whole.progress == ProxyProgress::complete;
  TANDEM_CHECK(complete == (whole.consumed != 0));
  TANDEM_CHECK(whole.consumed <= std::min(buffer.size(), kProxyHeaderMax));
  TANDEM_CHECK(whole.progress != ProxyProgress::need_more || buffer.size() < kProxyHeaderMax);
  if (complete) {
    const ProxyHeader alone = parse_proxy_header(buffer.first(whole.consumed));
    TANDEM_CHECK(alone.progress == ProxyProgress::complete && alone.kind == whole.kind &&
                 alone.source == whole.source);
    const ProxyHeader short_of_one = parse_proxy_header(buffer.first(whole.consumed - 1));
    TANDEM_CHECK(short_of_one.progress == ProxyProgress::need_more);
  }
  if (whole.kind != ProxySource::proxied) TANDEM_CHECK(whole.source == Endpoint{});
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  const auto cut = input.take<uint16_t>();
  tandem::check_header(input.rest(), cut);
  return 0;
}
