#include "common/keyring.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "common/assert.h"
#include "common/hex.h"

namespace tandem {

Keyring::AddOutcome Keyring::add(std::uint8_t id, std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kKeyBytesMin) return AddOutcome::too_short;
  if (find(id) != nullptr) return AddOutcome::duplicate_id;
  keys_.push_back({id, {bytes.begin(), bytes.end()}});
  if (!mint_is_chosen_) mint_ = keys_.size() - 1;
  return AddOutcome::added;
}

void Keyring::choose_mint(std::uint8_t id) {
  const Key* const key = find(id);
  TANDEM_CHECK(key != nullptr);
  mint_ = static_cast<std::size_t>(key - keys_.data());
  mint_is_chosen_ = true;
}

const Keyring::Key* Keyring::find(std::uint8_t id) const {
  const auto key = std::ranges::find(keys_, id, &Key::id);
  return key == keys_.end() ? nullptr : &*key;
}

const Keyring::Key& Keyring::minting() const {
  TANDEM_CHECK(!empty());
  return keys_[mint_];
}

namespace {

constexpr std::string_view kBlank = " \t\r";

// Takes the next word off the line's front; empty at its end.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::uint8_t> parse_key_id(std::string_view word) {
  std::uint8_t id = 0;
  const char* const end = word.data() + word.size();
  const auto [after, error] = std::from_chars(word.data(), end, id);
  if (error != std::errc{} || after != end) return std::nullopt;
  return id;
}

struct KeyLine {
  std::uint8_t id;
  std::vector<std::uint8_t> bytes;
  bool mints;
};

Result<KeyLine, std::string> parse_key_line(std::string_view line) {
  const auto id = parse_key_id(take_word(line));
  if (!id) return unexpected("the key id is not a number from 0 to 255");
  const std::string_view digits = take_word(line);
  std::vector<std::uint8_t> bytes(digits.size() / 2);
  if (!hex_decode(digits, bytes)) return unexpected("the key is not pairs of hex digits");
  const std::string_view mark = take_word(line);
  if (!mark.empty() && mark != "mint") return unexpected("only \"mint\" may follow the key");
  if (!take_word(line).empty()) return unexpected("nothing may follow \"mint\"");
  return KeyLine{*id, std::move(bytes), !mark.empty()};
}

std::string_view describe(Keyring::AddOutcome outcome) {
  switch (outcome) {
    case Keyring::AddOutcome::added:
      return "";
    case Keyring::AddOutcome::duplicate_id:
      return "this key id is on an earlier line too";
    case Keyring::AddOutcome::too_short:
      return "the key has less than 32 bytes";
  }
  return "";
}

}  // namespace

Result<Keyring, std::string> parse_keyring(std::string_view text) {
  Keyring keyring;
  bool mint_is_marked = false;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(kBlank) == line.npos) continue;

    const auto refuse = [number](std::string_view reason) {
      return unexpected(fmt::format("line {}: {}", number, reason));
    };
    const auto key = parse_key_line(line);
    if (!key) return refuse(key.error());
    const Keyring::AddOutcome outcome = keyring.add(key->id, key->bytes);
    if (outcome != Keyring::AddOutcome::added) return refuse(describe(outcome));
    if (!key->mints) continue;
    if (mint_is_marked) return refuse("an earlier line has \"mint\" too");
    mint_is_marked = true;
    keyring.choose_mint(key->id);
  }
  if (keyring.empty()) return unexpected(std::string("there is no key in it"));
  return keyring;
}

}  // namespace tandem
