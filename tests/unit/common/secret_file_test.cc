#include "common/secret_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tandem {
namespace {

// A folder of the test's own, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "secret_file_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] size_t entries() const {
    const std::filesystem::directory_iterator first(path_);
    return static_cast<size_t>(std::distance(begin(first), end(first)));
  }

 private:
  std::filesystem::path path_;
};

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

std::string unwanted() {
  FAIL("asked for a secret although there is one");
  return {};
}

TEST_CASE("an absent secret is made once, readable to its owner alone, and read from then on") {
  const Folder folder;
  const std::string path = folder / "key";
  const auto made = read_or_make_secret(path, [] { return std::string("made\n"); });
  REQUIRE(made);
  CHECK(made->text == "made\n");
  CHECK(made->made);
  CHECK(!made->readable_by_others);
  CHECK(mode_of(path) == 0600);
  CHECK(folder.entries() == 1);  // nothing is left of how it was made
  const auto again = read_or_make_secret(path, unwanted);
  REQUIRE(again);
  CHECK(again->text == "made\n");
  CHECK(!again->made);
}

TEST_CASE("folders are made with it, closed to others") {
  const Folder folder;
  REQUIRE(read_or_make_secret(folder / "state/tandem/key", [] { return std::string("x"); }));
  CHECK(mode_of(folder / "state/tandem") == 0700);
}

TEST_CASE("a folder that is there keeps its mode") {
  const Folder folder;
  REQUIRE(::mkdir((folder / "state").c_str(), 0755) == 0);
  REQUIRE(::chmod((folder / "state").c_str(), 0755) == 0);
  REQUIRE(read_or_make_secret(folder / "state/key", [] { return std::string("x"); }));
  CHECK(mode_of(folder / "state") == 0755);
}

TEST_CASE("whoever makes it at the same time wins, and what won is read") {
  const Folder folder;
  const std::string path = folder / "key";
  const auto file = read_or_make_secret(path, [&] {
    write(path, "theirs");
    return std::string("ours");
  });
  REQUIRE(file);
  CHECK(file->text == "theirs");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a secret that others can read is told, and read all the same") {
  const Folder folder;
  write(folder / "open", "x", 0644);
  write(folder / "closed", "x", 0640);
  CHECK(read_secret(folder / "open")->readable_by_others);
  CHECK(!read_secret(folder / "closed")->readable_by_others);
  CHECK(read_secret(folder / "open")->text == "x");
}

TEST_CASE("at most 64 KiB are read, and an empty file is one") {
  const Folder folder;
  write(folder / "most", std::string(64 * 1024, 'x'));
  write(folder / "more", std::string(64 * 1024 + 1, 'x'));
  write(folder / "empty", "");
  CHECK(read_secret(folder / "most")->text.size() == 64 * 1024);
  const auto more = read_secret(folder / "more");
  REQUIRE(!more);
  CHECK(more.error() == (folder / "more") + " is larger than 65536 bytes");
  CHECK(read_secret(folder / "empty")->text.empty());
}

TEST_CASE("errors name the path and the reason, and never what is in it") {
  const Folder folder;
  const auto absent = read_secret(folder / "absent");
  REQUIRE(!absent);
  CHECK(absent.error() == "cannot read " + (folder / "absent") + ": No such file or directory");
  write(folder / "file", "x");
  const auto beneath = read_or_make_secret(folder / "file/key", [] { return std::string("very"); });
  REQUIRE(!beneath);
  CHECK(beneath.error().find(folder / "file") != std::string::npos);
  CHECK(beneath.error().find("Not a directory") != std::string::npos);
  CHECK(beneath.error().find("very") == std::string::npos);
  const auto directory = read_secret(folder / ".");
  REQUIRE(!directory);
  CHECK(directory.error().find("Is a directory") != std::string::npos);
}

TEST_CASE("random_hex gives as many bytes as asked for, and others each time") {
  const std::string text = random_hex(32);
  CHECK(text.size() == 64);
  for (const char c : text) CHECK((std::isdigit(c) != 0 || (c >= 'a' && c <= 'f')));
  CHECK(random_hex(32) != text);
  CHECK(random_hex(0).empty());
}

}  // namespace
}  // namespace tandem
