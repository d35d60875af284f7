#include "room/admission/password.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <charconv>
#include <optional>
#include <span>

#include "common/assert.h"
#include "common/base64url.h"
#include "common/hmac.h"

namespace tandem {
namespace {

constexpr std::string_view kScheme = "scrypt";
constexpr std::size_t kHashBytes = 32;
using PasswordHash = std::array<std::uint8_t, kHashBytes>;

constexpr std::uint64_t kMemoryMax = 64 * 1024 * 1024;
constexpr std::uint32_t kParallelMax = 4;
// Above what OpenSSL counts: the blocks of all lanes and its scratch space.
constexpr std::uint64_t kMemoryMargin = 1024 * 1024;

bool is_bearable(const ScryptCost& cost) {
  if (cost.log2_n < 1 || cost.log2_n > 20 || cost.r < 1 || cost.r > 64) return false;
  if (cost.p < 1 || cost.p > kParallelMax) return false;
  return (std::uint64_t{128} << cost.log2_n) * cost.r <= kMemoryMax;
}

// A failure here is memory that is gone or a provider without scrypt: nothing a client can cause.
PasswordHash hash_of(std::string_view password, const PasswordSalt& salt, const ScryptCost& cost) {
  PasswordHash hash;
  TANDEM_CHECK(EVP_PBE_scrypt(password.data(), password.size(), salt.data(), salt.size(),
                              std::uint64_t{1} << cost.log2_n, cost.r, cost.p,
                              kMemoryMax + kMemoryMargin, hash.data(), hash.size()) == 1);
  return hash;
}

struct Verifier {
  ScryptCost cost;
  PasswordSalt salt;
  PasswordHash hash;
};

std::string_view take_field(std::string_view& text) {
  const std::string_view field = text.substr(0, text.find(':'));
  text.remove_prefix(std::min(field.size() + 1, text.size()));
  return field;
}

bool read_number(std::string_view text, std::uint32_t& into) {
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, into);
  return error == std::errc{} && after == end;
}

std::optional<Verifier> parse_verifier(std::string_view text) {
  Verifier verifier;
  if (take_field(text) != kScheme) return std::nullopt;
  if (!read_number(take_field(text), verifier.cost.log2_n)) return std::nullopt;
  if (!read_number(take_field(text), verifier.cost.r)) return std::nullopt;
  if (!read_number(take_field(text), verifier.cost.p)) return std::nullopt;
  if (!is_bearable(verifier.cost)) return std::nullopt;
  if (!base64url_decode(take_field(text), verifier.salt)) return std::nullopt;
  if (!base64url_decode(text, verifier.hash)) return std::nullopt;
  return verifier;
}

std::string encode(std::span<const std::uint8_t> bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

}  // namespace

bool is_password(std::string_view text) {
  return !text.empty() && text.size() <= kPasswordBytesMax && text.find('\0') == text.npos;
}

std::string make_verifier(std::string_view password, const PasswordSalt& salt,
                          const ScryptCost& cost) {
  TANDEM_CHECK(is_password(password) && is_bearable(cost));
  return fmt::format("{}:{}:{}:{}:{}:{}", kScheme, cost.log2_n, cost.r, cost.p, encode(salt),
                     encode(hash_of(password, salt, cost)));
}

PasswordVerdict check_password(std::string_view password, std::string_view verifier) {
  const auto known = parse_verifier(verifier);
  if (!known) return PasswordVerdict::bad_verifier;
  if (!is_password(password)) return PasswordVerdict::wrong;
  const PasswordHash hash = hash_of(password, known->salt, known->cost);
  return constant_time_equal(hash, known->hash) ? PasswordVerdict::right : PasswordVerdict::wrong;
}

}  // namespace tandem
