#include "common/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include <algorithm>

#include "common/assert.h"

namespace tandem {
namespace {

// Fetching walks the providers under a lock, so it is done once; a context then copies what it
// needs.
EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  TANDEM_CHECK(algorithm != nullptr);
  return algorithm;
}

EvpMacContext new_context() {
  EvpMacContext context(EVP_MAC_CTX_new(hmac_algorithm()));
  TANDEM_CHECK(context != nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  TANDEM_CHECK(EVP_MAC_CTX_set_params(context.get(), parameters) == 1);
  return context;
}

// A failure here is memory that is gone or a provider without SHA-256: nothing a peer can cause.
WholeMac finish(EVP_MAC_CTX* context, std::span<const std::uint8_t> data) {
  WholeMac mac;
  std::size_t size = 0;
  TANDEM_CHECK(EVP_MAC_update(context, data.data(), data.size()) == 1);
  TANDEM_CHECK(EVP_MAC_final(context, mac.data(), &size, mac.size()) == 1 && size == mac.size());
  return mac;
}

Secret cut(const WholeMac& mac) {
  Secret secret;
  std::copy_n(mac.begin(), secret.size(), secret.begin());
  return secret;
}

}  // namespace

Hmac::Hmac(std::span<const std::uint8_t> key) : context_(new_context()) {
  TANDEM_CHECK(EVP_MAC_init(context_.get(), key.data(), key.size(), nullptr) == 1);
}

// Without a key it starts over from the key's prepared state (EVP_MAC(3), EVP_MAC_init).
Secret Hmac::mac16(std::span<const std::uint8_t> data) {
  TANDEM_CHECK(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1);
  return cut(finish(context_.get(), data));
}

Secret mac16(std::span<const std::uint8_t> key, std::span<const std::uint8_t> data) {
  return cut(mac32(key, data));
}

WholeMac mac32(std::span<const std::uint8_t> key, std::span<const std::uint8_t> data) {
  // one for each thread, so that a call only keys it
  thread_local const EvpMacContext context(new_context());
  TANDEM_CHECK(EVP_MAC_init(context.get(), key.data(), key.size(), nullptr) == 1);
  return finish(context.get(), data);
}

bool constant_time_equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tandem
