#include "common/keyring.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace tandem {
namespace {

const std::string kKeyA(64, 'a');
const std::string kKeyB(64, 'B');

TEST_CASE("a key file") {
  const auto keyring = parse_keyring("# rotated in spring\n\n  1 " + kKeyA + "\r\n\t255\t" + kKeyB +
                                     "bb  # longer\n   \n");
  REQUIRE(keyring.has_value());
  REQUIRE(keyring->keys().size() == 2);
  CHECK(keyring->find(1)->bytes == std::vector<std::uint8_t>(32, 0xaa));
  CHECK(keyring->find(255)->bytes == std::vector<std::uint8_t>(33, 0xbb));
  CHECK(keyring->find(2) == nullptr);
}

TEST_CASE("the marked key mints, else the last") {
  CHECK(parse_keyring("1 " + kKeyA + "\n2 " + kKeyB)->minting().id == 2);
  CHECK(parse_keyring("1 " + kKeyA + " mint\n2 " + kKeyB + "\n3 " + kKeyA)->minting().id == 1);
  CHECK(parse_keyring("1 " + kKeyA + "\n2 " + kKeyB + " mint\n")->minting().id == 2);
}

TEST_CASE("an error names the line and why, and holds no key") {
  const auto error_of = [](const std::string& second_line) {
    const auto keyring = parse_keyring("1 " + kKeyA + " mint\n" + second_line + "\n");
    REQUIRE_FALSE(keyring.has_value());
    CHECK(keyring.error().find("aaaa") == std::string::npos);
    return keyring.error();
  };
  CHECK(error_of("1 " + kKeyB) == "line 2: this key id is on an earlier line too");
  CHECK(error_of("256 " + kKeyA) == "line 2: the key id is not a number from 0 to 255");
  CHECK(error_of("-1 " + kKeyA) == "line 2: the key id is not a number from 0 to 255");
  CHECK(error_of("x " + kKeyA) == "line 2: the key id is not a number from 0 to 255");
  CHECK(error_of(kKeyA) == "line 2: the key id is not a number from 0 to 255");
  CHECK(error_of("2") == "line 2: the key has less than 32 bytes");
  CHECK(error_of("2 " + kKeyA.substr(2)) == "line 2: the key has less than 32 bytes");
  CHECK(error_of("2 " + kKeyA + "a") == "line 2: the key is not pairs of hex digits");
  CHECK(error_of("2 0x" + kKeyA) == "line 2: the key is not pairs of hex digits");
  CHECK(error_of("2 " + kKeyA + " Mint") == "line 2: only \"mint\" may follow the key");
  CHECK(error_of("2 " + kKeyA + " mint mint") == "line 2: nothing may follow \"mint\"");
  CHECK(error_of("2 " + kKeyA + " mint") == "line 2: an earlier line has \"mint\" too");
}

TEST_CASE("a file without a key is refused") {
  CHECK_FALSE(parse_keyring("").has_value());
  CHECK_FALSE(parse_keyring("\n# 1 " + kKeyA + "\n").has_value());
}

TEST_CASE("all 256 ids, and a copy is its own") {
  std::string text;
  for (int id = 0; id < 256; ++id) text += fmt::format("{} {:064x}\n", id, id);
  Keyring keyring = parse_keyring(text).value();
  CHECK(keyring.keys().size() == 256);
  const Keyring copy = keyring;
  keyring.choose_mint(7);
  CHECK(keyring.minting().id == 7);
  CHECK(copy.minting().id == 255);
  for (int id = 0; id < 256; ++id)
    CHECK(copy.find(static_cast<std::uint8_t>(id))->bytes.back() == id);
}

TEST_CASE("keys added by hand") {
  Keyring keyring;
  CHECK(keyring.empty());
  const std::vector<std::uint8_t> bytes(32, 1);
  CHECK(keyring.add(1, std::span(bytes).first(31)) == Keyring::AddOutcome::too_short);
  CHECK(keyring.add(1, bytes) == Keyring::AddOutcome::added);
  CHECK(keyring.add(1, bytes) == Keyring::AddOutcome::duplicate_id);
  CHECK(keyring.minting().id == 1);
  CHECK(keyring.add(2, bytes) == Keyring::AddOutcome::added);
  CHECK(keyring.minting().id == 2);
}

}  // namespace
}  // namespace tandem
