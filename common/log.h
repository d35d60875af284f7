// The log: one line an event, as JSON or text, with named fields.
//
// Owns the process's one log: levels, formats, the file and its rotation, and what happens when
// lines come faster than they can be written. It must not know what lines mean; spdlog is seen by
// log.cc alone. Shards never call this: they tell control, which logs for them.
//
// log() takes a short lock, formats and queues; a thread of the log's own writes. So no caller
// waits for a disk. Lines are lost only where this says so, and counted: the queue drops its
// oldest, the throttle what repeats too fast.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/clock.h"
#include "common/config.h"
#include "common/endpoint.h"
#include "common/result.h"

namespace tandem {

// Texts are borrowed for the duration of the call. Keys are ours, never a client's; keys, tokens
// and passwords are never a value.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const std::string& text)
      : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool flag) : key(name), value(flag) {}
  LogField(std::string_view name, double number) : key(name), value(number) {}
  template <std::signed_integral Number>
  LogField(std::string_view name, Number number) : key(name), value(std::int64_t{number}) {}
  template <std::unsigned_integral Number>
  requires(!std::same_as<Number, bool>) LogField(std::string_view name, Number number)
      : key(name), value(std::uint64_t{number}) {}
};

// `component` is a word of ours ("relay", "room", "storage"); the same `msg` of one component is
// the same event to the throttle, so what varies goes into fields.
void log(LogLevel level, std::string_view component, std::string_view msg,
         std::span<const LogField> fields) noexcept;
void log(LogLevel level, std::string_view component, std::string_view msg,
         std::initializer_list<LogField> fields = {}) noexcept;

// The two lines that fail2ban reads, at level warn. The address stands in msg, and so each address
// has a throttle of its own.
[[nodiscard]] std::string authentication_failed_message(const IpAddress& host);
[[nodiscard]] std::string rate_limit_exceeded_message(const IpAddress& host);
void log_authentication_failed(std::string_view component, const IpAddress& host,
                               std::initializer_list<LogField> fields = {}) noexcept;
void log_rate_limit_exceeded(std::string_view component, const IpAddress& host,
                             std::initializer_list<LogField> fields = {}) noexcept;

// Opens what the configuration says and logs there from now on; before the first start and after
// stop_log() lines go to standard error as text. A later start replaces the earlier one without
// losing a line, or leaves it as it is where the new one cannot be opened. The error is one
// sentence with the file and the system's reason.
//
// Not from two threads at once; log() may run meanwhile.
[[nodiscard]] Result<void, std::string> start_log(const Config::Log& config);

// For SIGHUP: the file of this name is opened anew before the next line.
void reopen_log();

void set_log_level(LogLevel level);

// Waits until all that was logged before is written; false where that took longer than `patience`.
[[nodiscard]] bool flush_log(Nanos patience);

// Writes what is queued and ends the log's thread. Also runs at exit().
void stop_log();

struct LogStatistics {
  std::uint64_t written = 0;         // lines that reached the file or standard error
  std::uint64_t dropped = 0;         // lost to a full queue, or to memory that was not there
  std::uint64_t suppressed = 0;      // held back by the throttle
  std::uint64_t write_failures = 0;  // the file took no line; it went to standard error instead
};
[[nodiscard]] LogStatistics log_statistics();

}  // namespace tandem
