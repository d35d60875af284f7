#include "bench/load/rooms/frames.h"

#include <array>
#include <bit>
#include <cstring>
#include <optional>

namespace tandem::bench {
namespace {

constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::size_t kShortMax = 125;
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;

void append_big_endian(std::string& into, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    into.push_back(static_cast<char>(value >> shift));
  }
}

std::uint64_t read_big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

// Eight bytes at a time: the mask repeats each four, so its place is the same in each word.
void mask_in_place(char* bytes, std::size_t size, std::uint32_t mask) {
  const std::uint64_t wide = std::uint64_t{mask} << 32 | mask;
  std::size_t at = 0;
  for (; at + sizeof wide <= size; at += sizeof wide) {
    std::uint64_t word;
    std::memcpy(&word, bytes + at, sizeof word);
    word ^= wide;
    std::memcpy(bytes + at, &word, sizeof word);
  }
  const auto key = std::bit_cast<std::array<char, sizeof mask>>(mask);
  for (; at < size; ++at) bytes[at] = static_cast<char>(bytes[at] ^ key[at % key.size()]);
}

std::optional<Opcode> opcode_of(std::uint8_t bits) {
  switch (bits) {
    case 0:
    case 1:
    case 2:
    case 8:
    case 9:
    case 10:
      return static_cast<Opcode>(bits);
    default:
      return std::nullopt;
  }
}

}  // namespace

void append_frame(std::string& into, Opcode opcode, std::string_view payload, std::uint32_t mask) {
  into.push_back(static_cast<char>(kFinal | static_cast<std::uint8_t>(opcode)));
  if (payload.size() <= kShortMax) {
    into.push_back(static_cast<char>(kMasked | payload.size()));
  } else if (payload.size() <= 0xffff) {
    into.push_back(static_cast<char>(kMasked | kLength16));
    append_big_endian(into, payload.size(), 2);
  } else {
    into.push_back(static_cast<char>(kMasked | kLength64));
    append_big_endian(into, payload.size(), 8);
  }
  const auto key = std::bit_cast<std::array<char, sizeof mask>>(mask);
  into.append(key.data(), key.size());
  const std::size_t begin = into.size();
  into += payload;
  mask_in_place(into.data() + begin, payload.size(), mask);
}

FrameOutcome read_frame(std::string_view bytes, std::size_t payload_max, Frame& frame) {
  if (bytes.size() < 2) return FrameOutcome::partial;
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const auto second = static_cast<std::uint8_t>(bytes[1]);
  const auto opcode = opcode_of(first & 0x0f);
  if (!opcode || (first & kReserved) != 0 || (second & kMasked) != 0) {
    return FrameOutcome::malformed;
  }
  const bool final = (first & kFinal) != 0;
  std::size_t header = 2;
  std::uint64_t length = second;
  if (length >= kLength16) {
    const std::size_t wide = length == kLength16 ? 2 : 8;
    if (bytes.size() < header + wide) return FrameOutcome::partial;
    length = read_big_endian(bytes.substr(header, wide));
    header += wide;
  }
  const bool control = *opcode >= Opcode::close;
  if (control && (!final || length > kShortMax)) return FrameOutcome::malformed;
  if (length > payload_max) return FrameOutcome::too_large;
  if (bytes.size() - header < length) return FrameOutcome::partial;
  frame = {.opcode = *opcode,
           .final = final,
           .payload = bytes.substr(header, length),
           .size = header + length};
  return FrameOutcome::frame;
}

}  // namespace tandem::bench
