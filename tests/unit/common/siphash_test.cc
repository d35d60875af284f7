#include "common/siphash.h"

#include <doctest/doctest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace tandem {
namespace {

using Bytes = std::vector<std::uint8_t>;

SipKey counting_key() {
  SipKey key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  return key;
}

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST_CASE("the paper's appendix: key 00..0f, 15 bytes 00..0e") {
  CHECK(siphash24(counting_key(), counting(15)) == 0xa129ca6149be45e5);
}

TEST_CASE("vectors of the reference implementation") {
  CHECK(siphash24(counting_key(), counting(0)) == 0x726fdb47dd0e0e31);
  CHECK(siphash24(counting_key(), counting(1)) == 0x74f839c593dc67fd);
  CHECK(siphash24(counting_key(), counting(8)) == 0x93f5f5799a932462);
  CHECK(siphash24_128(counting_key(), counting(0)) ==
        std::array<std::uint8_t, 16>{0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6,
                                     0x72, 0x14, 0xc7, 0x55, 0x02, 0x93});
  CHECK(siphash24_128(counting_key(), counting(1)) ==
        std::array<std::uint8_t, 16>{0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76,
                                     0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45});
}

// OpenSSL's, with the rounds as parameters.
Bytes openssl_siphash(unsigned block_rounds, unsigned final_rounds, std::size_t size,
                      const SipKey& key, const Bytes& data) {
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(
      EVP_MAC_fetch(nullptr, "SIPHASH", nullptr), EVP_MAC_free);
  REQUIRE(mac);
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(
      EVP_MAC_CTX_new(mac.get()), EVP_MAC_CTX_free);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &block_rounds),
      OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &final_rounds),
      OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  Bytes out(size);
  REQUIRE(EVP_MAC_init(context.get(), key.data(), key.size(), parameters) == 1);
  REQUIRE(EVP_MAC_update(context.get(), data.data(), data.size()) == 1);
  REQUIRE(EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1);
  return out;
}

std::uint64_t as_word(const Bytes& bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 8; i-- > 0;) word = word << 8 | bytes[i];
  return word;
}

TEST_CASE("property: equal to an independent implementation for all lengths and keys") {
  std::mt19937 random(1);
  for (int i = 0; i < 600; ++i) {
    SipKey key;
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
    Bytes data(i < 300 ? static_cast<std::size_t>(i) : random() % 40);  // 256: the length wraps
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
    CAPTURE(data.size());
    REQUIRE(siphash24(key, data) == as_word(openssl_siphash(2, 4, 8, key, data)));
    REQUIRE(siphash13(key, data) == as_word(openssl_siphash(1, 3, 8, key, data)));
    const auto wide = siphash24_128(key, data);
    REQUIRE(Bytes(wide.begin(), wide.end()) == openssl_siphash(2, 4, 16, key, data));
  }
}

}  // namespace
}  // namespace tandem
