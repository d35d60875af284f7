#include "common/log.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include "common/cpu.h"
#include "common/log_file.h"
#include "common/log_format.h"
#include "common/log_throttle.h"

namespace tandem {
namespace {

constexpr std::size_t kQueueLines = 4096;
constexpr Nanos kFatalPatience = kNanosPerSecond;
constexpr std::string_view kComponent = "log";
constexpr std::string_view kDropped = "lines dropped: they came faster than they could be written";

struct Counts {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> suppressed{0};
  std::atomic<std::uint64_t> write_failures{0};
};

void count_one(std::atomic<std::uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

std::int64_t wall_clock_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

// systemd tells the device and inode of the stream that it connected (systemd.exec(5)); a child
// whose standard error went elsewhere inherits the variable all the same.
bool stderr_is_journal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

LogStyle style_of(LogFormat format, bool to_file) {
  if (format == LogFormat::json) return LogStyle::json;
  return !to_file && stderr_is_journal() ? LogStyle::journal : LogStyle::text;
}

// The end of the queue, on the log's own thread. What the file does not take goes to standard
// error: a full disk must not make a daemon silent, let alone end it.
class LineSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  LineSink(std::optional<LogFile> file, std::string path, LogStyle style, Counts& counts)
      : file_(std::move(file)), path_(std::move(path)), style_(style), counts_(counts) {}

  // Any thread.
  void reopen_before_next_line() { reopen_.store(true, std::memory_order_relaxed); }

  // Any thread: a number that grows with each flush that the queue brought here.
  std::uint64_t flushes() {
    const std::lock_guard lock(flush_mutex_);
    return flushes_;
  }
  bool wait_for_flush_after(std::uint64_t seen, Nanos patience) {
    std::unique_lock lock(flush_mutex_);
    return flushed_.wait_for(lock, std::chrono::nanoseconds(patience),
                             [&] { return flushes_ > seen; });
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    reopen_if_asked();
    write({message.payload.data(), message.payload.size()});
  }

  void flush_() override {
    reopen_if_asked();
    const std::lock_guard lock(flush_mutex_);
    ++flushes_;
    flushed_.notify_all();
  }

 private:
  void reopen_if_asked() {
    if (!reopen_.exchange(false, std::memory_order_relaxed) || !file_) return;
    if (const int error = file_->reopen(); error != 0)
      complain("cannot reopen the log file", error);
  }

  void write(std::string_view line) {
    const int error = file_ ? file_->write(line) : write_log_line(STDERR_FILENO, line).error;
    if (error == 0) {
      failing_ = false;
      count_one(counts_.written);
      return;
    }
    count_one(counts_.write_failures);
    if (!file_) return count_one(counts_.dropped);
    if (!std::exchange(failing_, true)) {
      complain("cannot write the log file; lines go to standard error meanwhile", error);
    }
    write_to_stderr(line);
  }

  void complain(std::string_view what, int error) {
    const LogField fields[] = {{"file", path_}, {"error", std::strerror(error)}};
    write_to_stderr(
        format_log_line({wall_clock_ns(), LogLevel::error, kComponent, what, fields}, style_));
  }

  void write_to_stderr(std::string_view line) {
    const bool written = write_log_line(STDERR_FILENO, line).error == 0;
    count_one(written ? counts_.written : counts_.dropped);
  }

  std::optional<LogFile> file_;
  std::string path_;
  LogStyle style_;
  Counts& counts_;
  bool failing_ = false;
  std::atomic<bool> reopen_{false};
  std::mutex flush_mutex_;
  std::condition_variable flushed_;
  std::uint64_t flushes_ = 0;
};

// Signals are for the thread that waits for them.
void begin_log_thread() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  name_thread("tandem-log");
}

// A sink with its queue and thread. Ending it writes what is queued.
class Writer {
 public:
  Writer(std::shared_ptr<LineSink> sink, LogStyle style, Counts& counts)
      : sink_(std::move(sink)),
        style_(style),
        counts_(counts),
        pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1, begin_log_thread)),
        logger_(std::make_shared<spdlog::async_logger>(
            "tandem", sink_, pool_, spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(spdlog::level::trace);
    logger_->set_error_handler([&counts](const std::string&) { count_one(counts.dropped); });
  }

  ~Writer() { counts_.dropped.fetch_add(pool_->overrun_counter(), std::memory_order_relaxed); }

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] LogStyle style() const { return style_; }
  [[nodiscard]] std::uint64_t overruns() { return pool_->overrun_counter(); }

  // spdlog's level is of no use here: the line holds ours.
  void post(std::string_view line) {
    logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  void reopen() {
    sink_->reopen_before_next_line();
    logger_->flush();
  }

  bool flush(Nanos patience) {
    const std::uint64_t seen = sink_->flushes();
    logger_->flush();
    return sink_->wait_for_flush_after(seen, patience);
  }

 private:
  std::shared_ptr<LineSink> sink_;
  LogStyle style_;
  Counts& counts_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

// The process's log. Never destroyed: threads may log until the very end.
struct Log {
  Counts counts;
  std::atomic<LogLevel> level{LogLevel::info};
  std::mutex mutex;  // guards what follows; never held while a line is formatted or written
  std::shared_ptr<Writer> writer;
  LogThrottle throttle;
  std::uint64_t drops_told = 0;
};

Log& the_log() {
  static Log* const log = new Log;
  return *log;
}

std::shared_ptr<Writer> current_writer(Log& log) {
  const std::lock_guard lock(log.mutex);
  return log.writer;
}

void emit(Log& log, Writer* writer, const LogRecord& record) {
  const LogStyle style = writer != nullptr ? writer->style() : style_of(LogFormat::text, false);
  const std::string line = format_log_line(record, style);
  if (writer != nullptr) {
    writer->post(line);
  } else if (write_log_line(STDERR_FILENO, line).error == 0) {
    count_one(log.counts.written);
  }
}

void emit_suppressed(Log& log, Writer* writer, const std::vector<LogThrottle::Suppressed>& ended) {
  for (const auto& [component, msg, lines] : ended) {
    const LogField fields[] = {{"event", msg}, {"lines", lines}};
    const std::string_view of = component.empty() ? kComponent : std::string_view(component);
    emit(log, writer, {wall_clock_ns(), LogLevel::warn, of, "suppressed", fields});
  }
}

std::uint64_t drops(Log& log, Writer* writer) {
  const std::uint64_t before = log.counts.dropped.load(std::memory_order_relaxed);
  return before + (writer != nullptr ? writer->overruns() : 0);
}

// What one line sets off: decided under the lock, written after it.
struct Decision {
  std::shared_ptr<Writer> writer;
  LogThrottle::Admission admission;
  std::vector<LogThrottle::Suppressed> ended;
  std::uint64_t newly_dropped = 0;
};

Decision decide(Log& log, LogLevel level, std::string_view component, std::string_view msg) {
  const Nanos now = monotonic_now();
  const std::lock_guard lock(log.mutex);
  Decision decision{log.writer, LogThrottle::Admission::write, log.throttle.take_ended(now)};
  // The last words of a process are never a repetition.
  if (level != LogLevel::fatal) decision.admission = log.throttle.admit(component, msg, now);
  const std::uint64_t dropped = drops(log, log.writer.get());
  if (dropped > log.drops_told &&
      log.throttle.admit(kComponent, kDropped, now) == LogThrottle::Admission::write) {
    decision.newly_dropped = dropped - log.drops_told;
    log.drops_told = dropped;
  }
  return decision;
}

void log_or_throw(LogLevel level, std::string_view component, std::string_view msg,
                  std::span<const LogField> fields) {
  Log& log = the_log();
  if (level < log.level.load(std::memory_order_relaxed)) return;
  const Decision decision = decide(log, level, component, msg);
  Writer* const writer = decision.writer.get();
  emit_suppressed(log, writer, decision.ended);
  if (decision.newly_dropped > 0) {
    const LogField lost[] = {{"lines", decision.newly_dropped}};
    emit(log, writer, {wall_clock_ns(), LogLevel::error, kComponent, kDropped, lost});
  }
  if (decision.admission == LogThrottle::Admission::suppress) {
    count_one(log.counts.suppressed);
    return;
  }
  emit(log, writer, {wall_clock_ns(), level, component, msg, fields});
  if (level == LogLevel::fatal && writer != nullptr) (void)writer->flush(kFatalPatience);
}

}  // namespace

void log(LogLevel level, std::string_view component, std::string_view msg,
         std::span<const LogField> fields) noexcept {
  try {
    log_or_throw(level, component, msg, fields);
  } catch (...) {
    // Out of memory: one line less, and the daemon lives.
    count_one(the_log().counts.dropped);
  }
}

void log(LogLevel level, std::string_view component, std::string_view msg,
         std::initializer_list<LogField> fields) noexcept {
  log(level, component, msg, std::span(fields.begin(), fields.size()));
}

std::string authentication_failed_message(const IpAddress& host) {
  return "Authentication failed for " + to_string(host);
}

std::string rate_limit_exceeded_message(const IpAddress& host) {
  return "Rate limit exceeded for " + to_string(host);
}

void log_authentication_failed(std::string_view component, const IpAddress& host,
                               std::initializer_list<LogField> fields) noexcept {
  log(LogLevel::warn, component, authentication_failed_message(host), fields);
}

void log_rate_limit_exceeded(std::string_view component, const IpAddress& host,
                             std::initializer_list<LogField> fields) noexcept {
  log(LogLevel::warn, component, rate_limit_exceeded_message(host), fields);
}

Result<void, std::string> start_log(const Config::Log& config) {
  Log& log = the_log();
  std::optional<LogFile> file;
  if (!config.file.empty()) {
    auto opened = LogFile::open({config.file, config.max_size, config.max_files});
    if (!opened) {
      return unexpected(
          fmt::format("cannot open log.file {}: {}", config.file, std::strerror(opened.error())));
    }
    file = std::move(*opened);
  }
  const LogStyle style = style_of(config.format, file.has_value());
  auto sink = std::make_shared<LineSink>(std::move(file), config.file, style, log.counts);
  auto writer = std::make_shared<Writer>(std::move(sink), style, log.counts);
  static const int at_exit = std::atexit(stop_log);
  (void)at_exit;
  log.level.store(config.level, std::memory_order_relaxed);
  const std::lock_guard lock(log.mutex);
  log.writer.swap(writer);
  return {};
}

void reopen_log() {
  if (const auto writer = current_writer(the_log())) writer->reopen();
}

void set_log_level(LogLevel level) {
  the_log().level.store(level, std::memory_order_relaxed);
}

bool flush_log(Nanos patience) {
  const auto writer = current_writer(the_log());
  return writer == nullptr || writer->flush(patience);
}

void stop_log() {
  Log& log = the_log();
  std::shared_ptr<Writer> writer;
  std::vector<LogThrottle::Suppressed> ended;
  {
    const std::lock_guard lock(log.mutex);
    writer.swap(log.writer);
    ended = log.throttle.take_all();
  }
  emit_suppressed(log, writer.get(), ended);
}

LogStatistics log_statistics() {
  Log& log = the_log();
  const auto writer = current_writer(log);
  return {.written = log.counts.written.load(std::memory_order_relaxed),
          .dropped = drops(log, writer.get()),
          .suppressed = log.counts.suppressed.load(std::memory_order_relaxed),
          .write_failures = log.counts.write_failures.load(std::memory_order_relaxed)};
}

}  // namespace tandem
