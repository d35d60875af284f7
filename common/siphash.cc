#include "common/siphash.h"

#include <bit>
#include <cstring>

namespace tandem {
namespace {

std::uint64_t load_le(const std::uint8_t* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

void store_le(std::uint8_t* bytes, std::uint64_t word) {
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  std::memcpy(bytes, &word, sizeof word);
}

// The state v0..v3 and the round of section 2 of the paper.
struct SipState {
  std::uint64_t v0, v1, v2, v3;

  explicit SipState(const SipKey& key)
      : v0(load_le(key.data()) ^ 0x736f6d6570736575),
        v1(load_le(key.data() + 8) ^ 0x646f72616e646f6d),
        v2(load_le(key.data()) ^ 0x6c7967656e657261),
        v3(load_le(key.data() + 8) ^ 0x7465646279746573) {}

  template <int kRounds>
  void mix() {
    for (int i = 0; i < kRounds; ++i) {
      v0 += v1, v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1, v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  }

  template <int kRounds>
  void absorb(std::span<const std::uint8_t> data) {
    // the last word is what is left over, with the length's low byte on top
    std::uint64_t last = std::uint64_t{data.size()} << 56;
    for (; data.size() >= 8; data = data.subspan(8)) absorb_word<kRounds>(load_le(data.data()));
    for (std::size_t i = 0; i < data.size(); ++i) last |= std::uint64_t{data[i]} << 8 * i;
    absorb_word<kRounds>(last);
  }

  template <int kRounds>
  void absorb_word(std::uint64_t word) {
    v3 ^= word;
    mix<kRounds>();
    v0 ^= word;
  }

  std::uint64_t folded() const { return v0 ^ v1 ^ v2 ^ v3; }
};

template <int kBlockRounds, int kFinalRounds>
std::uint64_t siphash(const SipKey& key, std::span<const std::uint8_t> data) {
  SipState state(key);
  state.absorb<kBlockRounds>(data);
  state.v2 ^= 0xff;
  state.mix<kFinalRounds>();
  return state.folded();
}

}  // namespace

std::uint64_t siphash24(const SipKey& key, std::span<const std::uint8_t> data) {
  return siphash<2, 4>(key, data);
}

std::uint64_t siphash13(const SipKey& key, std::span<const std::uint8_t> data) {
  return siphash<1, 3>(key, data);
}

std::array<std::uint8_t, 16> siphash24_128(const SipKey& key, std::span<const std::uint8_t> data) {
  std::array<std::uint8_t, 16> out;
  SipState state(key);
  state.v1 ^= 0xee;
  state.absorb<2>(data);
  state.v2 ^= 0xee;
  state.mix<4>();
  store_le(out.data(), state.folded());
  state.v1 ^= 0xdd;
  state.mix<4>();
  store_le(out.data() + 8, state.folded());
  return out;
}

}  // namespace tandem
