#include "common/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace tandem {
namespace {

constexpr std::string_view kV1Prefix = "PROXY ";
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2HeaderSize = 16;

uint16_t big_endian_16(const uint8_t* from) {
  return static_cast<uint16_t>(from[0] << 8 | from[1]);
}
uint32_t big_endian_32(const uint8_t* from) {
  return uint32_t{big_endian_16(from)} << 16 | big_endian_16(from + 2);
}

constexpr ProxyHeader kBad{.progress = ProxyProgress::bad};

// ---- version 1: one line of text (section 2.1) ----

struct TextLine {
  ProxyProgress progress;
  size_t consumed = 0;
  std::string_view words = {};  // without prefix and line end
};

TextLine read_text_line(std::string_view text) {
  text = text.substr(0, kProxyV1Max);
  for (size_t i = kV1Prefix.size(); i < text.size(); ++i) {
    if (text[i] == '\r') {
      if (i + 1 == text.size()) break;
      if (text[i + 1] != '\n') return {ProxyProgress::bad};
      return {ProxyProgress::complete, i + 2, text.substr(kV1Prefix.size(), i - kV1Prefix.size())};
    }
    if (text[i] < ' ' || text[i] > '~') return {ProxyProgress::bad};
  }
  return {text.size() == kProxyV1Max ? ProxyProgress::bad : ProxyProgress::need_more};
}

// Exactly `N` words with one space between each.
template <size_t N>
std::optional<std::array<std::string_view, N>> split(std::string_view text) {
  std::array<std::string_view, N> words;
  for (size_t i = 0; i < N; ++i) {
    const size_t space = text.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == N)) return std::nullopt;
    words[i] = text.substr(0, space);
    text.remove_prefix(i + 1 == N ? text.size() : space + 1);
  }
  return words;
}

enum class Family : uint8_t { v4, v6 };

std::optional<IpAddress> parse_address(std::string_view text, Family family) {
  const bool v6_text = text.find(':') != std::string_view::npos;
  if (v6_text != (family == Family::v6)) return std::nullopt;
  return IpAddress::parse(text);
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// The destination is no concern of ours, but it has to be one: else the line is not what it says.
std::optional<Endpoint> parse_addresses(std::string_view text, Family family) {
  const auto words = split<4>(text);
  if (!words) return std::nullopt;
  const auto [source, destination, source_port, destination_port] = *words;
  const auto address = parse_address(source, family);
  const auto port = parse_port(source_port);
  if (!address || !port || !parse_address(destination, family) || !parse_port(destination_port))
    return std::nullopt;
  return Endpoint{*address, *port};
}

ProxyHeader parse_v1(std::string_view text) {
  const TextLine line = read_text_line(text);
  if (line.progress != ProxyProgress::complete) return {.progress = line.progress};
  const std::string_view protocol = line.words.substr(0, line.words.find(' '));
  if (protocol == "UNKNOWN")  // whatever follows up to the line end is to be ignored
    return {ProxyProgress::complete, ProxySource::unknown, {}, line.consumed};
  if (protocol != "TCP4" && protocol != "TCP6") return kBad;
  if (protocol.size() == line.words.size()) return kBad;
  const auto source = parse_addresses(line.words.substr(protocol.size() + 1),
                                      protocol == "TCP4" ? Family::v4 : Family::v6);
  if (!source) return kBad;
  return {ProxyProgress::complete, ProxySource::proxied, *source, line.consumed};
}

// ---- version 2: binary (section 2.2) ----

enum class V2Content : uint8_t { local, unknown, tcp4, tcp6, refused };

// Of byte 12, version and command, and byte 13, family and transport.
V2Content content_of(uint8_t version_command, uint8_t family_transport) {
  if (version_command == 0x20) return V2Content::local;  // the family is to be ignored
  if (version_command != 0x21) return V2Content::refused;
  switch (family_transport) {
    case 0x00:
      return V2Content::unknown;
    case 0x11:
      return V2Content::tcp4;
    case 0x21:
      return V2Content::tcp6;
    default:  // UDP, UNIX and what is not assigned
      return V2Content::refused;
  }
}

// Source address, destination address, source port, destination port.
constexpr size_t addresses_size(V2Content content) {
  switch (content) {
    case V2Content::tcp4:
      return 4 + 4 + 2 + 2;
    case V2Content::tcp6:
      return 16 + 16 + 2 + 2;
    case V2Content::local:
    case V2Content::unknown:
    case V2Content::refused:
      return 0;
  }
  return 0;
}

Endpoint source_of(V2Content content, const uint8_t* addresses) {
  Endpoint source;
  if (content == V2Content::tcp4) {
    source.address = IpAddress::from_v4(big_endian_32(addresses));
    source.port = big_endian_16(addresses + 4 + 4);
  } else {
    std::copy_n(addresses, source.address.bytes.size(), source.address.bytes.begin());
    source.port = big_endian_16(addresses + 16 + 16);
  }
  return source;
}

ProxyHeader parse_v2(std::span<const uint8_t> buffer) {
  if (buffer.size() < kV2HeaderSize) return {};
  const V2Content content = content_of(buffer[12], buffer[13]);
  const size_t length = big_endian_16(&buffer[14]);
  if (content == V2Content::refused || length < addresses_size(content) ||
      kV2HeaderSize + length > kProxyHeaderMax)
    return kBad;
  if (buffer.size() < kV2HeaderSize + length) return {};

  ProxyHeader header{.progress = ProxyProgress::complete, .consumed = kV2HeaderSize + length};
  if (content == V2Content::local) header.kind = ProxySource::local;
  if (addresses_size(content) != 0) {
    header.kind = ProxySource::proxied;
    header.source = source_of(content, &buffer[kV2HeaderSize]);
  }
  return header;
}

}  // namespace

ProxyHeader parse_proxy_header(std::span<const uint8_t> buffer) {
  const std::string_view text(reinterpret_cast<const char*>(buffer.data()), buffer.size());
  if (text.starts_with(kV1Prefix)) return parse_v1(text);
  if (text.starts_with(kV2Signature)) return parse_v2(buffer);
  // They differ in their first byte, so that one decides which it may become.
  const bool may_become = kV1Prefix.starts_with(text) || kV2Signature.starts_with(text);
  return may_become ? ProxyHeader{} : kBad;
}

}  // namespace tandem
