#include "common/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/common/log_fixture.h"

namespace tandem {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr Nanos kPatience = 10 * kNanosPerSecond;

// Standard error in a file without a name, for as long as this lives.
class CapturedStderr {
 public:
  CapturedStderr() : saved_(::dup(STDERR_FILENO)), capture_(::memfd_create("stderr", MFD_CLOEXEC)) {
    ::dup2(capture_, STDERR_FILENO);
  }
  ~CapturedStderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    ::close(capture_);
  }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

  [[nodiscard]] std::string text() const {
    struct stat status {};
    ::fstat(capture_, &status);
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    text.resize(static_cast<std::size_t>(::pread(capture_, text.data(), text.size(), 0)));
    return text;
  }
  // "device:inode", as systemd would tell it.
  [[nodiscard]] std::string stream() const {
    struct stat status {};
    ::fstat(capture_, &status);
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  }

 private:
  int saved_;
  int capture_;
};

Config::Log to_file(std::string path, LogFormat format = LogFormat::json) {
  Config::Log config;
  config.file = std::move(path);
  config.format = format;
  return config;
}

TEST_CASE("lines reach the file with level, component and fields") {
  const Folder folder;
  const std::string path = folder.file("tandemd.log");
  REQUIRE(start_log(to_file(path)).has_value());
  log(LogLevel::debug, "relay", "not at this level");
  log(LogLevel::warn, "relay", "half open", {{"connections", 512U}, {"from", std::string("::1")}});
  set_log_level(LogLevel::debug);
  log(LogLevel::debug, "relay", "at this level");
  log_authentication_failed("room", *IpAddress::parse("2001:db8::7"), {{"reason", "expired"}});
  log_rate_limit_exceeded("relay", IpAddress::v4(192, 0, 2, 7));
  REQUIRE(flush_log(kPatience));

  const auto written = lines(content(path));
  REQUIRE(written.size() == 4);
  const json first = json::parse(written[0]);
  CHECK(first["level"] == "warn");
  CHECK(first["component"] == "relay");
  CHECK(first["connections"] == 512);
  CHECK(first["from"] == "::1");
  CHECK(first["time"].get<std::string>().size() == 24);
  CHECK(json::parse(written[1])["msg"] == "at this level");
  CHECK(json::parse(written[2])["msg"] == "Authentication failed for 2001:db8::7");
  CHECK(json::parse(written[3])["msg"] == "Rate limit exceeded for 192.0.2.7");
  stop_log();
}

TEST_CASE("a missing folder is one clear error, and the log before it goes on") {
  const Folder folder;
  const std::string path = folder.file("tandemd.log");
  REQUIRE(start_log(to_file(path)).has_value());
  const auto failed = start_log(to_file(folder.file("no/such/tandemd.log")));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error() == "cannot open log.file " + folder.file("no/such/tandemd.log") +
                              ": No such file or directory");
  log(LogLevel::info, "relay", "still here");
  stop_log();
  CHECK(content(path).find("still here") != std::string::npos);
}

TEST_CASE("a reload reopens the file that logrotate moved") {
  const Folder folder;
  const std::string path = folder.file("tandemd.log");
  REQUIRE(start_log(to_file(path)).has_value());
  log(LogLevel::info, "relay", "one");
  REQUIRE(flush_log(kPatience));
  fs::rename(path, path + ".moved");
  reopen_log();
  REQUIRE(flush_log(kPatience));
  CHECK(fs::exists(path));
  log(LogLevel::info, "relay", "two");
  stop_log();
  CHECK(lines(content(path + ".moved")).size() == 1);
  CHECK(content(path).find("two") != std::string::npos);
}

TEST_CASE("a full disk sends lines to standard error and says so once") {
  const CapturedStderr captured;
  const auto before = log_statistics();
  REQUIRE(start_log(to_file("/dev/full")).has_value());
  log(LogLevel::info, "relay", "first");
  log(LogLevel::info, "relay", "second");
  stop_log();
  const auto written = lines(captured.text());
  REQUIRE(written.size() == 3);
  CHECK(json::parse(written[0])["error"] == "No space left on device");
  CHECK(json::parse(written[0])["file"] == "/dev/full");
  CHECK(json::parse(written[1])["msg"] == "first");
  CHECK(json::parse(written[2])["msg"] == "second");
  CHECK(log_statistics().write_failures - before.write_failures == 2);
}

TEST_CASE("under the journal, text has priorities; elsewhere it has time and level") {
  const CapturedStderr captured;
  Config::Log config;
  config.format = LogFormat::text;
  ::setenv("JOURNAL_STREAM", captured.stream().c_str(), 1);
  REQUIRE(start_log(config).has_value());
  log(LogLevel::warn, "relay", "to the journal", {{"n", 1}});
  stop_log();
  ::setenv("JOURNAL_STREAM", "1:1", 1);
  REQUIRE(start_log(config).has_value());
  log(LogLevel::warn, "relay", "to a terminal");
  stop_log();
  ::unsetenv("JOURNAL_STREAM");
  const auto written = lines(captured.text());
  REQUIRE(written.size() == 2);
  CHECK(written[0] == "<4>relay: to the journal n=1");
  CHECK(written[1].ends_with("Z warn  relay: to a terminal"));
}

TEST_CASE("what repeats is held back and counted, but never the last words") {
  const Folder folder;
  const std::string path = folder.file("tandemd.log");
  const auto before = log_statistics();
  REQUIRE(start_log(to_file(path)).has_value());
  for (int i = 0; i < 100; ++i) log(LogLevel::warn, "relay", "again and again", {{"i", i}});
  for (int i = 0; i < 30; ++i) log(LogLevel::fatal, "relay", "the end");
  stop_log();
  const auto written = lines(content(path));
  REQUIRE(written.size() == 20 + 30 + 1);
  const json last = json::parse(written.back());
  CHECK(last["msg"] == "suppressed");
  CHECK(last["component"] == "relay");
  CHECK(last["event"] == "again and again");
  CHECK(last["lines"] == 80);
  CHECK(log_statistics().suppressed - before.suppressed == 80);
}

TEST_CASE("a full queue drops its oldest lines, counts them, and nobody waits") {
  // A pipe that nobody reads holds the log's thread up.
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const std::string path = "/proc/self/fd/" + std::to_string(pipe[1]);
  const auto before = log_statistics();
  REQUIRE(start_log(to_file(path)).has_value());
  constexpr int kLines = 10'000;
  const std::string filling(200, 'x');
  for (int i = 0; i < kLines; ++i) {
    log(LogLevel::info, "relay", std::to_string(i), {{"filling", filling}});
  }
  CHECK(log_statistics().dropped > before.dropped);

  std::string read;
  std::thread reader([&] {
    std::array<char, 65536> chunk{};
    for (ssize_t n = 0; (n = ::read(pipe[0], chunk.data(), chunk.size())) > 0;) {
      read.append(chunk.data(), static_cast<std::size_t>(n));
    }
  });
  stop_log();
  ::close(pipe[1]);
  reader.join();
  ::close(pipe[0]);
  const auto after = log_statistics();
  const auto held_back = after.dropped - before.dropped + after.suppressed - before.suppressed;
  const auto written = lines(read);
  CHECK(written.size() == after.written - before.written);
  std::size_t of_ours = 0;
  for (const auto& text : written) {
    if (json::parse(text).contains("filling")) ++of_ours;
  }
  CHECK(of_ours + held_back >= kLines);
  CHECK(of_ours < kLines);
}

TEST_CASE("threads may log while the log is replaced and reopened") {
  const Folder folder;
  std::vector<std::thread> threads;
  constexpr int kLines = 300;
  REQUIRE(start_log(to_file(folder.file("0.log"))).has_value());
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < kLines; ++i) {
        log(LogLevel::info, "relay", std::to_string(t * kLines + i), {{"thread", t}});
      }
    });
  }
  for (int i = 1; i <= 5; ++i) {
    REQUIRE(start_log(to_file(folder.file(std::to_string(i) + ".log"))).has_value());
    reopen_log();
  }
  for (auto& thread : threads) thread.join();
  stop_log();
  std::size_t written = 0;
  for (int i = 0; i <= 5; ++i) {
    for (const auto& text : lines(content(folder.file(std::to_string(i) + ".log")))) {
      if (json::parse(text).contains("thread")) ++written;
    }
  }
  CHECK(written == 3 * kLines);
}

TEST_CASE("without a start, lines go to standard error as text") {
  const CapturedStderr captured;
  set_log_level(LogLevel::info);
  log(LogLevel::info, "main", "early", {{"n", 1}});
  CHECK(captured.text().ends_with("Z info  main: early n=1\n"));
}

}  // namespace
}  // namespace tandem
