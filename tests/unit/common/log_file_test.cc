#include "common/log_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "common/clock.h"
#include "tests/unit/common/log_fixture.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kPatience = 10 * kNanosPerSecond;

TEST_CASE("a file rotates by size and keeps max_files old ones") {
  const Folder folder;
  const std::string path = folder.file("relay.log");
  auto file = LogFile::open({path, 20, 2});
  REQUIRE(file.has_value());
  for (const char* text :
       {"first 9..", "second 9.", "third 9..", "fourth 9.", "fifth 9..", "sixth 9.", "seventh 9"}) {
    CHECK(file->write(text) == 0);
  }
  CHECK(content(path) == "seventh 9\n");
  CHECK(content(path + ".1") == "fifth 9..\nsixth 9.\n");
  CHECK(content(path + ".2") == "third 9..\nfourth 9.\n");
  CHECK_FALSE(fs::exists(path + ".3"));
  CHECK((fs::status(path).permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("a line larger than max_size has a file to itself, and an existing file is continued") {
  const Folder folder;
  const std::string path = folder.file("relay.log");
  std::ofstream(path) << "old\n";
  auto file = LogFile::open({path, 8, 1});
  REQUIRE(file.has_value());
  CHECK(file->write("abc") == 0);
  CHECK(content(path) == "old\nabc\n");
  CHECK(file->write("0123456789") == 0);
  CHECK(content(path) == "0123456789\n");
  CHECK(content(path + ".1") == "old\nabc\n");
}

TEST_CASE("reopening follows a rename, and keeps the file where it cannot") {
  const Folder folder;
  const std::string path = folder.file("relay.log");
  auto file = LogFile::open({path, 0, 1});
  REQUIRE(file.has_value());
  CHECK(file->write("before") == 0);
  fs::rename(path, path + ".moved");
  CHECK(file->write("still there") == 0);
  CHECK(file->reopen() == 0);
  CHECK(file->write("after") == 0);
  CHECK(content(path + ".moved") == "before\nstill there\n");
  CHECK(content(path) == "after\n");

  fs::rename(path, path + ".again");
  fs::create_directory(path);
  CHECK(file->reopen() == EISDIR);
  CHECK(file->write("kept") == 0);
  CHECK(content(path + ".again") == "after\nkept\n");
}

TEST_CASE("a device is never renamed, and a full one says so") {
  auto file = LogFile::open({"/dev/full", 1, 1});
  REQUIRE(file.has_value());
  CHECK(file->write("a") == ENOSPC);
  CHECK(file->write("b") == ENOSPC);
  CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("a pipe that nobody empties is given up after its patience") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  const std::string large(1 << 20, 'x');
  const LineWrite outcome = write_log_line(pipe[1], large);
  CHECK(outcome.error == EAGAIN);
  CHECK(outcome.bytes > 0);
  CHECK(outcome.bytes < large.size());
  ::close(pipe[0]);
  ::close(pipe[1]);
}

}  // namespace
}  // namespace tandem
