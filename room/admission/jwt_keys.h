// The secrets that clients' tokens are signed with (HS256), by key id, and which of them mints. A
// value: reading the file is the caller's business, using the secrets is jwt.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace tandem {

class JwtKeys {
 public:
  static constexpr std::size_t kSecretBytesMin = 32;  // RFC 7518, 3.2: as long as the hash at least
  static constexpr std::size_t kKeyIdMax = 64;
  // A token that names no key is tried with each.
  static constexpr std::size_t kKeysMax = 16;

  struct Key {
    std::string id;      // visible ASCII; "": tokens name no key
    std::string secret;  // the bytes as they stand in the file, as JWT libraries take a string
  };

  enum class AddOutcome : std::uint8_t { added, duplicate_id, bad_id, too_short, too_many };

  // The last key added mints, until choose_mint() says otherwise.
  [[nodiscard]] AddOutcome add(std::string_view id, std::string_view secret);
  // The id is one of the set's.
  void choose_mint(std::string_view id);

  [[nodiscard]] bool empty() const { return keys_.empty(); }
  [[nodiscard]] std::span<const Key> keys() const { return keys_; }
  [[nodiscard]] const Key* find(std::string_view id) const;
  [[nodiscard]] const Key& minting() const;  // of a set that is not empty

 private:
  std::vector<Key> keys_;
  bool mint_is_chosen_ = false;
  std::size_t mint_ = 0;
};

// The text of room.jwt_secret_file: lines of `<key_id> <secret> [mint]`, or one bare secret, which
// is what `openssl rand -hex 32 > file` makes. Empty lines and comments may stand between; # begins
// one at a line's start and behind a blank, since a secret may have it too. All keys verify; the
// one marked mints, else the last. The error is one sentence that names the line and never holds a
// secret.
[[nodiscard]] Result<JwtKeys, std::string> parse_jwt_keys(std::string_view text);

// The same of a file; where it is absent and `make_if_absent` is set, it is made with a fresh
// secret and mode 0600.
struct JwtKeyFile {
  JwtKeys keys;
  bool made = false;                // just now
  bool readable_by_others = false;  // worth a warning
};
[[nodiscard]] Result<JwtKeyFile, std::string> load_jwt_keys(const std::string& path,
                                                            bool make_if_absent);

}  // namespace tandem
