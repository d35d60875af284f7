#include "room/web/websocket_handshake.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "common/assert.h"
#include "room/web/http_reader.h"

namespace tandem {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kSha1Size = 20;
constexpr std::size_t kKeySize = 24;  // 16 bytes as base64

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

// Whether a comma-separated list has the word, in any case; `word` is lower case.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (std::ranges::equal(item, word, {}, lower)) return true;
  }
  return false;
}

bool is_base64(char letter) {
  return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
         (letter >= '0' && letter <= '9') || letter == '+' || letter == '/';
}

// 22 digits, and == for the bytes that are missing to a multiple of three.
bool is_key(std::string_view key) {
  return key.size() == kKeySize && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, kKeySize - 2), is_base64);
}

}  // namespace

WebSocketHandshake judge_handshake(const HttpReader& request) {
  if (!lists(request.joined_field("Upgrade"), "websocket")) return WebSocketHandshake::none;
  // HTTP/1.0 has no Upgrade: RFC 9110, 7.8, wants it ignored.
  if (request.is_version_1_0()) return WebSocketHandshake::none;
  if (request.method() != "GET" || !request.body().empty() ||
      !lists(request.joined_field("Connection"), "upgrade"))
    return WebSocketHandshake::malformed;
  if (request.field("Sec-WebSocket-Version") != "13") return WebSocketHandshake::wrong_version;
  return is_key(request.field("Sec-WebSocket-Key")) ? WebSocketHandshake::sound
                                                    : WebSocketHandshake::malformed;
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  TANDEM_CHECK(EVP_Digest(text.data(), text.size(), digest, &digest_size, EVP_sha1(), nullptr) ==
               1);
  TANDEM_CHECK(digest_size == kSha1Size);
  unsigned char encoded[(kSha1Size + 2) / 3 * 4 + 1];
  const int size = EVP_EncodeBlock(encoded, digest, kSha1Size);
  return {reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(size)};
}

std::string handshake_reply(std::string_view key) {
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n\r\n",
      websocket_accept(key));
}

}  // namespace tandem
