#include "common/proxy_protocol.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tandem {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
ProxyHeader parse(std::string_view text) {
  return parse_proxy_header(bytes_of(text));
}

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string v2(unsigned version_command, unsigned family, const std::string& rest) {
  std::string header = kSignature;
  header += static_cast<char>(version_command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  return header + rest;
}

const std::string kTcp4("\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x1e\x61", 12);

// The header alone, with what follows it, and every part of it.
void check_complete(const std::string& header, ProxySource kind, const char* source) {
  const auto whole = parse(header + "TANDEM/1");
  CHECK(whole.progress == ProxyProgress::complete);
  CHECK(whole.kind == kind);
  CHECK(whole.consumed == header.size());
  if (source != nullptr) CHECK(whole.source == *Endpoint::parse(source));
  for (size_t size = 0; size < header.size(); ++size)
    CHECK(parse(header.substr(0, size)).progress == ProxyProgress::need_more);
}

void check_bad(const std::string& header) {
  INFO(header);
  CHECK(parse(header).progress == ProxyProgress::bad);
  for (size_t size = 0; size < header.size(); ++size)
    CHECK(parse(header.substr(0, size)).progress != ProxyProgress::complete);
}

TEST_CASE("version 1") {
  check_complete("PROXY TCP4 192.0.2.1 198.51.100.2 40000 7777\r\n", ProxySource::proxied,
                 "192.0.2.1:40000");
  check_complete("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", ProxySource::proxied,
                 "[2001:db8::1]:1");
  check_complete("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 40000 7777\r\n",
                 ProxySource::proxied, "192.0.2.1:40000");
  check_complete("PROXY UNKNOWN\r\n", ProxySource::unknown, nullptr);
  check_complete("PROXY UNKNOWN whatever 1 2 3\r\n", ProxySource::unknown, nullptr);
}

TEST_CASE("version 1: the longest line that the specification knows") {
  std::string line = "PROXY UNKNOWN ";
  line +=
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
      "65535\r\n";
  REQUIRE(line.size() == kProxyV1Max);
  check_complete(line, ProxySource::unknown, nullptr);
  check_bad("PROXY UNKNOWN " + std::string(200, 'x'));
  check_bad("PROXY UNKNOWN " + std::string(kProxyV1Max - 15, 'x') + "\r\n");
}

TEST_CASE("version 1: what is not of its form is refused") {
  for (const char* line : {"PROXY \r\n",
                           "PROXY TCP4\r\n",
                           "PROXY TCP4 \r\n",
                           "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
                           "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
                           "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 x 1 2\r\n",
                           "PROXY TCP4 ::1 ::1 1 2\r\n",
                           "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
                           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx",
                           "PROXY UNKNOWNX\r\n",
                           "PROXY\tTCP4",
                           "proxy",
                           "TANDEM/1 JOIN",
                           "\x16\x03\x01"})
    check_bad(line);
}

TEST_CASE("version 2") {
  check_complete(v2(0x21, 0x11, kTcp4), ProxySource::proxied, "192.0.2.1:40000");
  const std::string a6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
  const std::string b6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
  check_complete(v2(0x21, 0x21, a6 + b6 + kTcp4.substr(8)), ProxySource::proxied,
                 "[2001:db8::1]:40000");
  check_complete(v2(0x21, 0x11, kTcp4 + std::string("\x04\0\x03xyz", 6)), ProxySource::proxied,
                 "192.0.2.1:40000");
  check_complete(v2(0x20, 0x00, ""), ProxySource::local, nullptr);
  check_complete(v2(0x20, 0x11, kTcp4), ProxySource::local, nullptr);
  check_complete(v2(0x21, 0x00, "ignored"), ProxySource::unknown, nullptr);
}

TEST_CASE("version 2: bounded, and TCP alone") {
  check_complete(v2(0x21, 0x11, kTcp4 + std::string(kProxyHeaderMax - 28, 'x')),
                 ProxySource::proxied, "192.0.2.1:40000");
  check_bad(v2(0x21, 0x11, kTcp4 + std::string(kProxyHeaderMax - 27, 'x')));
  check_bad(v2(0x21, 0x11, kTcp4.substr(1)));
  check_bad(v2(0x21, 0x21, std::string(35, 'x')));
  for (const unsigned family : {0x01u, 0x10u, 0x12u, 0x22u, 0x31u, 0x32u, 0x41u, 0xffu})
    check_bad(v2(0x21, family, std::string(216, '\0')));
  for (const unsigned version_command : {0x00u, 0x11u, 0x22u, 0x2fu, 0x31u})
    check_bad(v2(version_command, 0x11, kTcp4));
  auto wrong = v2(0x21, 0x11, kTcp4);
  wrong[11] = 'x';
  check_bad(wrong);
}

}  // namespace
}  // namespace tandem
