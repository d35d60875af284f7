#include "common/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "common/log_file.h"
#include "common/log_format.h"
#include "common/log_throttle.h"

namespace tandem {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::int64_t kNoonNs = 1'795'176'000'123'456'789;  // 2026-11-20T12:00:00.123Z
constexpr Nanos kPatience = 10 * kNanosPerSecond;

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "tandem-log-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

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

std::string line(LogStyle style, std::string_view msg, std::vector<LogField> fields = {},
                 LogLevel level = LogLevel::info) {
  return format_log_line({kNoonNs, level, "relay", msg, fields}, style);
}

TEST_CASE("a JSON line has its head in order and then the fields") {
  CHECK(
      line(LogStyle::json, "listening",
           {{"address", "::"},
            {"port", 7777},
            {"big", std::uint64_t{1} << 63},
            {"low", -5},
            {"share", 0.5},
            {"tcp", true}}) ==
      R"({"time":"2026-11-20T12:00:00.123Z","level":"info","component":"relay","msg":"listening",)"
      R"("address":"::","port":7777,"big":9223372036854775808,"low":-5,"share":0.5,"tcp":true})");
}

TEST_CASE("a text line has the same as key=value") {
  CHECK(line(LogStyle::text, "listening", {{"address", "::"}, {"port", 7777}, {"tcp", true}}) ==
        "2026-11-20T12:00:00.123Z info  relay: listening address=:: port=7777 tcp=true");
  CHECK(line(LogStyle::text, "gone", {{"name", "Ann B"}, {"why", "\"x\"\n"}, {"none", ""}},
             LogLevel::error) ==
        R"(2026-11-20T12:00:00.123Z error relay: gone name="Ann B" why="\"x\"\n" none="")");
}

TEST_CASE("a journal line has a priority and no time") {
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::debug) == "<7>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::info) == "<6>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::warn) == "<4>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::error) == "<3>relay: up");
  CHECK(line(LogStyle::journal, "up", {{"n", 1}}, LogLevel::fatal) == "<2>relay: up n=1");
}

TEST_CASE("whatever the bytes, JSON lines parse and keep what was valid") {
  const std::vector<std::string> texts = {"plain",
                                          "quote \" back \\ slash",
                                          "tab\tnew\nline\r",
                                          std::string("nul\0in", 6),
                                          "\x1b[31mred",
                                          "M\xc3\xbcller \xf0\x9f\x8e\xae",
                                          "\xe2\x80\xa8separator",
                                          "\x7f"};
  for (const std::string& text : texts) {
    const json parsed = json::parse(line(LogStyle::json, text, {{"user", text}}));
    CHECK(parsed["msg"] == text);
    CHECK(parsed["user"] == text);
  }
}

TEST_CASE("invalid UTF-8 is replaced, byte by byte") {
  const std::string mark = "\xef\xbf\xbd";
  const auto replaced = [](const std::string& text) {
    return json::parse(line(LogStyle::json, text))["msg"].get<std::string>();
  };
  CHECK(replaced("a\xff"
                 "b") == "a" + mark + "b");
  CHECK(replaced("\xc3") == mark);
  CHECK(replaced("\xc0\x80") == mark + mark);                        // overlong
  CHECK(replaced("\xed\xa0\x80") == mark + mark + mark);             // surrogate
  CHECK(replaced("\xf4\x90\x80\x80") == mark + mark + mark + mark);  // above 10ffff
  CHECK(replaced("\xe2\x82"
                 "x") == mark + mark + "x");
  CHECK(replaced("\xf0\x9f\x8e") == mark + mark + mark);
  CHECK(replaced(mark) == mark);
}

TEST_CASE("every pair of bytes gives a line that parses and stays one line") {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      const std::string as_json = line(LogStyle::json, text, {{"user", text}});
      REQUIRE(json::accept(as_json));
      const std::string as_text = line(LogStyle::text, text, {{"user", text}});
      for (const char c : as_json + as_text) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
    }
  }
}

TEST_CASE("a client's text cannot pass for a line or a field of ours") {
  const std::string forged =
      "x\n2026-11-20T12:00:00.123Z warn  room: Authentication failed for 6.6.6.6";
  CHECK(lines(line(LogStyle::text, "joined", {{"user", forged}})).size() == 1);
  const json parsed =
      json::parse(line(LogStyle::json, "joined", {{"level", "fatal"}, {"msg", "other"}}));
  CHECK(parsed["level"] == "info");
  CHECK(parsed["level_"] == "fatal");
  CHECK(parsed["msg"] == "joined");
}

TEST_CASE("numbers that JSON has not are null") {
  const json parsed =
      json::parse(line(LogStyle::json, "odd",
                       {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}}));
  CHECK(parsed["nan"].is_null());
  CHECK(parsed["inf"].is_null());
}

TEST_CASE("what fail2ban reads, for both families") {
  const auto v4 = IpAddress::v4(203, 0, 113, 9);
  const auto v6 = *IpAddress::parse("2001:db8::9");
  CHECK(authentication_failed_message(v4) == "Authentication failed for 203.0.113.9");
  CHECK(authentication_failed_message(v6) == "Authentication failed for 2001:db8::9");
  CHECK(rate_limit_exceeded_message(v4) == "Rate limit exceeded for 203.0.113.9");
  CHECK(rate_limit_exceeded_message(v6) == "Rate limit exceeded for 2001:db8::9");
}

// --- the throttle

using Admission = LogThrottle::Admission;
constexpr LogThrottle::Limits kThree = {
    .lines = 3, .window = 100, .events_max = 2, .lines_beyond = 4};

int admitted(LogThrottle& throttle, std::string_view msg, int lines, Nanos now) {
  int admitted = 0;
  for (int i = 0; i < lines; ++i) {
    if (throttle.admit("relay", msg, now) == Admission::write) ++admitted;
  }
  return admitted;
}

TEST_CASE("N lines a window, then one count") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "full", 10, 0) == 3);
  CHECK(throttle.take_ended(95).empty());
  const auto ended = throttle.take_ended(105);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].component == "relay");
  CHECK(ended[0].msg == "full");
  CHECK(ended[0].lines == 7);
  CHECK(throttle.take_ended(1000).empty());
  CHECK(admitted(throttle, "full", 10, 1000) == 3);
}

TEST_CASE("a window that ends with the next line of its event is told too") {
  LogThrottle throttle(kThree);
  CHECK(throttle.take_ended(0).empty());
  CHECK(admitted(throttle, "full", 4, 0) == 3);
  CHECK(admitted(throttle, "full", 1, 100) == 1);
  const auto ended = throttle.take_ended(100);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].lines == 1);
}

TEST_CASE("events do not take each other's lines") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 5, 0) == 3);
  CHECK(admitted(throttle, "two", 5, 0) == 3);
  CHECK(throttle.admit("room", "one", 0) == Admission::write);
}

TEST_CASE("events beyond the table share one window, and the table stays bounded") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 1, 0) == 1);
  CHECK(admitted(throttle, "two", 1, 0) == 1);
  CHECK(admitted(throttle, "three", 3, 0) == 3);
  CHECK(admitted(throttle, "four", 3, 0) == 1);
  CHECK(admitted(throttle, "one", 2, 0) == 2);
  const auto ended = throttle.take_ended(100);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].msg.empty());
  CHECK(ended[0].lines == 2);
  // Windows that are over make room.
  CHECK(admitted(throttle, "five", 5, 200) == 3);
}

TEST_CASE("at the end everything held back is told") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 5, 0) == 3);
  CHECK(admitted(throttle, "two", 4, 0) == 3);
  CHECK(throttle.take_all().size() == 2);
  CHECK(throttle.take_all().empty());
}

// --- the file

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

// --- the process's log

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
