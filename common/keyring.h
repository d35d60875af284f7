// The fleet's token keys by id and which of them mints. A value: reading the file is the caller's
// business, using the keys is TokenVerifier's and mint()'s.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace tandem {

class Keyring {
 public:
  static constexpr std::size_t kKeyBytesMin = 32;

  struct Key {
    std::uint8_t id;
    std::vector<std::uint8_t> bytes;  // kKeyBytesMin or more
  };

  enum class AddOutcome : std::uint8_t { added, duplicate_id, too_short };

  // The last key added mints, until choose_mint() says otherwise.
  [[nodiscard]] AddOutcome add(std::uint8_t id, std::span<const std::uint8_t> bytes);

  // The id is one of the ring's.
  void choose_mint(std::uint8_t id);

  [[nodiscard]] bool empty() const { return keys_.empty(); }
  [[nodiscard]] std::span<const Key> keys() const { return keys_; }  // at most 256: an id is a byte
  [[nodiscard]] const Key* find(std::uint8_t id) const;
  [[nodiscard]] const Key& minting() const;  // of a ring that is not empty

 private:
  std::vector<Key> keys_;
  bool mint_is_chosen_ = false;
  std::size_t mint_ = 0;
};

// The text of a key file: lines of `<key_id> <hex of 32 bytes or more> [mint]`, # comments and
// empty lines. All keys verify; the one marked mints, else the last. The error is one sentence that
// names the line and never holds key material.
[[nodiscard]] Result<Keyring, std::string> parse_keyring(std::string_view text);

}  // namespace tandem
