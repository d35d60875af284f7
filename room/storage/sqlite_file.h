// The file of an SQLite store as a file: made, locked, looked at and, where it is damaged, put
// aside. Never emptied and never deleted. Knows no SQL.
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "common/result.h"

namespace tandem {

enum class OpenTrouble : std::uint8_t {
  damaged,  // the file is no sound database: it is put aside
  refused,  // the file is not ours to use, or cannot be used: the start ends
};
struct OpenFault {
  OpenTrouble trouble = OpenTrouble::refused;
  std::string reason;
};

// Holds the file against a second daemon, by flock(2), which SQLite's own locks do not meet.
// Closing a descriptor of the file would drop those: so this one outlives every connection.
class SqliteFile {
 public:
  // Makes what is missing: the file with mode 0600, its folder with 0700. Waits up to `patience`
  // for a daemon that is on its way out.
  [[nodiscard]] static Result<SqliteFile, OpenFault> open(const std::string& path, Nanos patience);

  // By the first bytes and the size. Before any connection.
  [[nodiscard]] Result<void, OpenFault> check() const;

  SqliteFile(SqliteFile&& other) noexcept;
  SqliteFile& operator=(SqliteFile&& other) noexcept;
  ~SqliteFile();

  // The file still stands at its path.
  [[nodiscard]] bool is_in_place() const;

 private:
  SqliteFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
};

// Renames the file, held, no connection open, with what SQLite keeps beside it, to
// <path>.damaged-<UTC time>. Gives the new path; the error is one line.
[[nodiscard]] Result<std::string, std::string> put_aside(const std::string& path, UnixSeconds now);

// Of the file and its write-ahead log; 0 where they are not there.
[[nodiscard]] std::uint64_t sqlite_size(const std::string& path);

}  // namespace tandem
