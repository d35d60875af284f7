#include "relay/core/stun.h"

#include <algorithm>
#include <array>

#include "relay/core/wire.h"

namespace tandem {
namespace {

constexpr size_t kHeaderSize = 20;
constexpr size_t kTransactionOffset =
    4;  // magic cookie and transaction id, copied and XORed as one
constexpr size_t kTransactionSize = 16;
constexpr size_t kAttributeHeaderSize = 4;
constexpr size_t kFingerprintSize = kAttributeHeaderSize + 4;
constexpr uint32_t kFingerprintXor = 0x5354554e;  // section 14.7: "STUN"

// Method Binding (1) in the classes request, success response and error response.
constexpr uint16_t kBindingRequest = 0x0001;
constexpr uint16_t kBindingSuccess = 0x0101;
constexpr uint16_t kBindingError = 0x0111;

constexpr uint16_t kErrorCode = 0x0009;
constexpr uint16_t kMessageIntegrity = 0x0008;
constexpr uint16_t kUnknownAttributes = 0x000A;
constexpr uint16_t kMessageIntegritySha256 = 0x001C;
constexpr uint16_t kXorMappedAddress = 0x0020;
constexpr uint16_t kFingerprint = 0x8028;

// Section 18.3.1, "Comprehension-required range", as RFC 8489 defines it.
constexpr std::array<uint16_t, 11> kUnderstood = {
    0x0001,  // MAPPED-ADDRESS
    0x0006,  // USERNAME
    kMessageIntegrity,
    kErrorCode,
    kUnknownAttributes,
    0x0014,  // REALM
    0x0015,  // NONCE
    kMessageIntegritySha256,
    0x001D,  // PASSWORD-ALGORITHM
    0x001E,  // USERHASH
    kXorMappedAddress,
};

constexpr bool must_be_understood(uint16_t type) {
  return type < 0x8000;
}

// CRC-32 of ISO 3309, which FINGERPRINT is made of: reflected, polynomial 0x04C11DB7.
constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

uint32_t fingerprint_of(std::span<const uint8_t> message) {
  uint32_t crc = 0xFFFFFFFF;
  for (const uint8_t byte : message) crc = crc >> 8 ^ kCrcTable[(crc ^ byte) & 0xFF];
  return ~crc ^ kFingerprintXor;
}

struct Request {
  bool fingerprinted = false;
  size_t unknown_size = 0;
  std::array<uint16_t, kStunUnknownMax> unknown;
};

enum class RequestVerdict : uint8_t { ok, malformed };

// Whether the FINGERPRINT whose header is at `at` is the last attribute (section 14.7) and holds.
RequestVerdict check_fingerprint(std::span<const uint8_t> message, size_t at) {
  if (at + kFingerprintSize != message.size()) return RequestVerdict::malformed;
  if (load_big_endian<uint16_t>(&message[at + 2]) != 4) return RequestVerdict::malformed;
  const uint32_t told = load_big_endian<uint32_t>(&message[at + kAttributeHeaderSize]);
  return told == fingerprint_of(message.first(at)) ? RequestVerdict::ok : RequestVerdict::malformed;
}

RequestVerdict read_attributes(std::span<const uint8_t> message, Request& request) {
  bool ignored = false;  // what follows an integrity attribute, FINGERPRINT apart (section 14.5)
  for (size_t at = kHeaderSize; at < message.size();) {
    // The message's length is a multiple of 4, so an attribute's header is always there.
    const auto type = load_big_endian<uint16_t>(&message[at]);
    const size_t padded = (load_big_endian<uint16_t>(&message[at + 2]) + 3u) & ~size_t{3};
    if (padded > message.size() - at - kAttributeHeaderSize) return RequestVerdict::malformed;
    if (type == kFingerprint) {
      request.fingerprinted = true;
      return check_fingerprint(message, at);
    }
    if (!ignored && must_be_understood(type) && !std::ranges::count(kUnderstood, type) &&
        request.unknown_size < kStunUnknownMax)
      request.unknown[request.unknown_size++] = type;
    ignored = ignored || type == kMessageIntegrity || type == kMessageIntegritySha256;
    at += kAttributeHeaderSize + padded;
  }
  return RequestVerdict::ok;
}

class Response {
 public:
  Response(std::span<uint8_t, kStunReplyMax> out, uint16_t type, std::span<const uint8_t> request)
      : out_(out) {
    store_big_endian(&out_[0], type);
    std::ranges::copy(request.subspan(kTransactionOffset, kTransactionSize),
                      &out_[kTransactionOffset]);
  }

  // Gives the value's bytes, zeroed and with their padding.
  std::span<uint8_t> add(uint16_t type, size_t length) {
    store_big_endian(&out_[size_], type);
    store_big_endian(&out_[size_ + 2], static_cast<uint16_t>(length));
    const auto value = out_.subspan(size_ + kAttributeHeaderSize, (length + 3) & ~size_t{3});
    std::ranges::fill(value, uint8_t{0});
    size_ += kAttributeHeaderSize + value.size();
    return value;
  }

  // The length that the fingerprint is over counts the fingerprint itself (section 14.7).
  size_t finish(const Request& request) {
    const size_t size = size_ + (request.fingerprinted ? kFingerprintSize : 0);
    store_big_endian(&out_[2], static_cast<uint16_t>(size - kHeaderSize));
    if (request.fingerprinted) {
      const uint32_t fingerprint = fingerprint_of(out_.first(size_));
      store_big_endian(add(kFingerprint, 4).data(), fingerprint);
    }
    return size_;
  }

 private:
  std::span<uint8_t, kStunReplyMax> out_;
  size_t size_ = kHeaderSize;
};

void add_xor_mapped_address(Response& response, const Endpoint& client,
                            std::span<const uint8_t> request) {
  const bool v4 = client.address.is_v4();
  const auto address = std::span(client.address.bytes).last(v4 ? 4 : 16);
  const auto mask = request.subspan(kTransactionOffset, kTransactionSize);
  const auto value = response.add(kXorMappedAddress, 4 + address.size());
  value[1] = v4 ? 1 : 2;
  store_big_endian(&value[2], static_cast<uint16_t>(client.port ^ (kStunMagicCookie >> 16)));
  for (size_t i = 0; i < address.size(); ++i) value[4 + i] = address[i] ^ mask[i];
}

void add_unknown_attributes(Response& response, const Request& request) {
  const auto error = response.add(kErrorCode, 4);
  error[2] = 4;  // 420
  error[3] = 20;
  const auto types = response.add(kUnknownAttributes, 2 * request.unknown_size);
  for (size_t i = 0; i < request.unknown_size; ++i)
    store_big_endian(&types[2 * i], request.unknown[i]);
}

}  // namespace

StunAnswer answer_stun(std::span<const uint8_t> request, const Endpoint& client,
                       std::span<uint8_t, kStunReplyMax> out) {
  if (request.size() < kHeaderSize || request.size() > kStunRequestMax || request.size() % 4 != 0 ||
      load_big_endian<uint16_t>(&request[2]) != request.size() - kHeaderSize ||
      load_big_endian<uint32_t>(&request[4]) != kStunMagicCookie || request[0] > 3)
    return {StunVerdict::malformed, 0};
  if (load_big_endian<uint16_t>(&request[0]) != kBindingRequest)
    return {StunVerdict::unexpected_method, 0};
  Request attributes;
  if (read_attributes(request, attributes) == RequestVerdict::malformed)
    return {StunVerdict::malformed, 0};

  if (attributes.unknown_size != 0) {
    Response response(out, kBindingError, request);
    add_unknown_attributes(response, attributes);
    return {StunVerdict::refused, response.finish(attributes)};
  }
  Response response(out, kBindingSuccess, request);
  add_xor_mapped_address(response, client, request);
  return {StunVerdict::answered, response.finish(attributes)};
}

}  // namespace tandem
