#include "room/admission/jwt_keys.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tandem {
namespace {

const std::string kHex(64, 'a');
const std::string kOther(32, 'B');

TEST_CASE("one bare secret is one key without an id") {
  for (const std::string& text :
       {kHex, kHex + "\n", "# openssl rand -hex 32\n\n " + kHex + "\r\n", kHex + " # comment\n"}) {
    const auto keys = parse_jwt_keys(text);
    REQUIRE(keys);
    REQUIRE(keys->keys().size() == 1);
    CHECK(keys->minting().id == "");
    CHECK(keys->minting().secret == kHex);
  }
  CHECK(parse_jwt_keys("#" + kHex).has_value() == false);
  CHECK(parse_jwt_keys("a#" + kHex)->minting().secret == "a#" + kHex);
}

TEST_CASE("lines of ids and secrets; the marked one mints, else the last") {
  const auto keys = parse_jwt_keys("old " + kHex + "\n\tnew " + kOther + "  # since spring\n");
  REQUIRE(keys);
  REQUIRE(keys->keys().size() == 2);
  CHECK(keys->find("old")->secret == kHex);
  CHECK(keys->find("new")->secret == kOther);
  CHECK(keys->find("") == nullptr);
  CHECK(keys->minting().id == "new");
  CHECK(parse_jwt_keys("old " + kHex + " mint\nnew " + kOther)->minting().id == "old");
  CHECK(parse_jwt_keys("old " + kHex + "\nnew " + kOther + " mint\n")->minting().id == "new");
}

TEST_CASE("an error names the line and why, and holds no secret") {
  const auto error_of = [](const std::string& second_line) {
    const auto keys = parse_jwt_keys("k1 " + kHex + " mint\n" + second_line + "\n");
    REQUIRE(!keys);
    CHECK(keys.error().find("aaaa") == std::string::npos);
    CHECK(keys.error().find("BBBB") == std::string::npos);
    return keys.error();
  };
  CHECK(error_of("k1 " + kOther) == "line 2: this key id is on an earlier line too");
  CHECK(error_of("k2 " + kOther.substr(1)) ==
        "line 2: the secret has less than 32 bytes; `openssl rand -hex 32` makes one that is long "
        "enough");
  CHECK(error_of("k\u00e9 " + kOther) == "line 2: a key id is 1 to 64 visible characters of ASCII");
  CHECK(error_of(std::string(65, 'k') + " " + kOther) ==
        "line 2: a key id is 1 to 64 visible characters of ASCII");
  CHECK(error_of("k2 " + kOther + " Mint") ==
        "line 2: a line is a key id and a secret without blanks, and may end with \"mint\"");
  CHECK(error_of("k2 " + kOther + " mint mint") == "line 2: nothing may follow \"mint\"");
  CHECK(error_of("k2 " + kOther + " mint") == "line 2: an earlier line has \"mint\" too");
  CHECK(error_of(kOther) == "line 2: a secret without a key id has to be the only one of the file");
  CHECK(parse_jwt_keys(kHex + "\nk2 " + kOther).error() ==
        "line 2: a secret without a key id has to be the only one of the file");
  CHECK(parse_jwt_keys("short").error().starts_with("line 1: the secret has less than 32 bytes"));
  CHECK(parse_jwt_keys("\n# nothing\n").error() == "there is no secret in it");
}

TEST_CASE("16 keys at most") {
  std::string text;
  for (int i = 0; i < 16; ++i) text += fmt::format("k{} {}\n", i, kOther);
  CHECK(parse_jwt_keys(text)->keys().size() == JwtKeys::kKeysMax);
  CHECK(parse_jwt_keys(text + "k16 " + kOther).error() == "line 17: there are more than 16 keys");
}

TEST_CASE("a file that is made at the first start, and read from then on") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("jwt_keys_test.{}", ::getpid());
  const std::string path = folder / "jwt_secret";
  CHECK(load_jwt_keys(path, false).error().find(path) != std::string::npos);
  const auto made = load_jwt_keys(path, true);
  REQUIRE(made);
  CHECK(made->made);
  CHECK(!made->readable_by_others);
  CHECK(made->keys.minting().secret.size() == 64);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const auto read = load_jwt_keys(path, true);
  REQUIRE(read);
  CHECK(!read->made);
  CHECK(read->keys.minting().secret == made->keys.minting().secret);
  std::ofstream(path) << "too short\n";
  CHECK(load_jwt_keys(path, true).error().starts_with(path + ": line 1: "));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tandem
