#include "room/admission/jwt_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.h"
#include "common/secret_file.h"

namespace tandem {
namespace {

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char letter) { return letter > ' ' && letter <= '~'; });
}

constexpr std::string_view kBlank = " \t\r";

// Takes the next word off the line's front; empty at its end and at a comment.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  if (line.starts_with('#')) line = {};
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

struct KeyLine {
  std::string_view id;
  std::string_view secret;  // empty: the line has nothing
  bool mints = false;
};

Result<KeyLine, std::string> parse_line(std::string_view line) {
  const std::string_view first = take_word(line);
  const std::string_view second = take_word(line);
  if (second.empty()) return KeyLine{.id = {}, .secret = first};
  const std::string_view mark = take_word(line);
  if (!mark.empty() && mark != "mint")
    return unexpected(
        std::string("a line is a key id and a secret without blanks, and may end with \"mint\""));
  if (!take_word(line).empty()) return unexpected(std::string("nothing may follow \"mint\""));
  return KeyLine{.id = first, .secret = second, .mints = !mark.empty()};
}

std::string describe(JwtKeys::AddOutcome outcome) {
  switch (outcome) {
    case JwtKeys::AddOutcome::added:
      return {};
    case JwtKeys::AddOutcome::duplicate_id:
      return "this key id is on an earlier line too";
    case JwtKeys::AddOutcome::bad_id:
      return fmt::format("a key id is 1 to {} visible characters of ASCII", JwtKeys::kKeyIdMax);
    case JwtKeys::AddOutcome::too_short:
      return fmt::format(
          "the secret has less than {} bytes; `openssl rand -hex 32` makes one that is long enough",
          JwtKeys::kSecretBytesMin);
    case JwtKeys::AddOutcome::too_many:
      return fmt::format("there are more than {} keys", JwtKeys::kKeysMax);
  }
  return {};
}

}  // namespace

JwtKeys::AddOutcome JwtKeys::add(std::string_view id, std::string_view secret) {
  if (id.size() > kKeyIdMax || !is_visible(id)) return AddOutcome::bad_id;
  if (secret.size() < kSecretBytesMin) return AddOutcome::too_short;
  if (find(id) != nullptr) return AddOutcome::duplicate_id;
  if (keys_.size() == kKeysMax) return AddOutcome::too_many;
  keys_.push_back({std::string(id), std::string(secret)});
  if (!mint_is_chosen_) mint_ = keys_.size() - 1;
  return AddOutcome::added;
}

void JwtKeys::choose_mint(std::string_view id) {
  const Key* const key = find(id);
  TANDEM_CHECK(key != nullptr);
  mint_ = static_cast<std::size_t>(key - keys_.data());
  mint_is_chosen_ = true;
}

const JwtKeys::Key* JwtKeys::find(std::string_view id) const {
  const auto key = std::ranges::find(keys_, id, &Key::id);
  return key == keys_.end() ? nullptr : &*key;
}

const JwtKeys::Key& JwtKeys::minting() const {
  TANDEM_CHECK(!empty());
  return keys_[mint_];
}

Result<JwtKeys, std::string> parse_jwt_keys(std::string_view text) {
  JwtKeys keys;
  bool mint_is_marked = false;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));

    const auto refuse = [number](std::string_view reason) {
      return unexpected(fmt::format("line {}: {}", number, reason));
    };
    const auto key = parse_line(line);
    if (!key) return refuse(key.error());
    if (key->secret.empty()) continue;
    const bool bare_is_there = keys.find("") != nullptr;
    if (!keys.empty() && (bare_is_there || key->id.empty()))
      return refuse("a secret without a key id has to be the only one of the file");
    const JwtKeys::AddOutcome outcome = keys.add(key->id, key->secret);
    if (outcome != JwtKeys::AddOutcome::added) return refuse(describe(outcome));
    if (!key->mints) continue;
    if (mint_is_marked) return refuse("an earlier line has \"mint\" too");
    mint_is_marked = true;
    keys.choose_mint(key->id);
  }
  if (keys.empty()) return unexpected(std::string("there is no secret in it"));
  return keys;
}

Result<JwtKeyFile, std::string> load_jwt_keys(const std::string& path, bool make_if_absent) {
  const auto file =
      make_if_absent
          ? read_or_make_secret(path, [] { return random_hex(JwtKeys::kSecretBytesMin) + "\n"; })
          : read_secret(path);
  if (!file) return unexpected(file.error());
  auto keys = parse_jwt_keys(file->text);
  if (!keys) return unexpected(fmt::format("{}: {}", path, keys.error()));
  return JwtKeyFile{
      .keys = *std::move(keys), .made = file->made, .readable_by_others = file->readable_by_others};
}

}  // namespace tandem
