// Where log lines end up: a file that rotates, or standard error. One thread at a time.
// Knows no formats, queues or levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tandem {

struct LineWrite {
  int error = 0;          // an errno
  std::size_t bytes = 0;  // what got out, the line's end included
};

// Writes a line and its end to a descriptor, also where that takes several writes. A pipe that
// nobody empties is waited for up to a second.
[[nodiscard]] LineWrite write_log_line(int descriptor, std::string_view line);

class LogFile {
 public:
  struct Options {
    std::string path;
    std::uint64_t max_size = 0;   // bytes; 0 = no rotation
    std::uint32_t max_files = 1;  // path.1 is the newest of the rotated ones
  };

  // The error is an errno. The file is made with mode 0640: lines hold addresses.
  [[nodiscard]] static Result<LogFile, int> open(Options options);

  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&& other) noexcept;
  ~LogFile();

  // Rotates first where the line would pass max_size. Returns 0, or the errno of the write; a file
  // that cannot be rotated goes on growing and is tried again one max_size later.
  [[nodiscard]] int write(std::string_view line);

  // Opens the path anew, as after someone renamed the file; keeps the old one where that fails.
  // Returns 0 or the errno.
  [[nodiscard]] int reopen();

 private:
  LogFile(Options options, int descriptor, std::uint64_t size);
  void rotate();

  Options options_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;  // the last line was cut off by an error
};

}  // namespace tandem
