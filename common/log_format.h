// A log line as text, without writing it: pure. Whatever a client managed to put into a field stays
// inside it: no line breaks, no terminal codes, no invalid UTF-8.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/log.h"

namespace tandem {

struct LogRecord {
  std::int64_t unix_ns = 0;
  LogLevel level = LogLevel::info;
  std::string_view component;
  std::string_view msg;
  std::span<const LogField> fields;
};

enum class LogStyle : std::uint8_t {
  json,  // {"time":"2026-11-20T12:00:00.123Z","level":"info","component":"relay","msg":"…","port":7777}
  text,     // 2026-11-20T12:00:00.123Z info  relay: … port=7777
  journal,  // <6>relay: … port=7777: priority as sd-daemon(3) has it; the journal adds the time
};

// Without a line end.
[[nodiscard]] std::string format_log_line(const LogRecord& record, LogStyle style);

[[nodiscard]] std::string_view level_name(LogLevel level);

}  // namespace tandem
