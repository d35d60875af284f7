// The line between tandem-bench and the worker processes that it forks for sessions: what a worker
// has to say, as messages on a socket pair. Both sides are one executable on one machine, so
// numbers go as they lie in memory. Knows nothing of how sessions are joined.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/load/histogram.h"

namespace tandem::bench {

enum class WorkerWord : std::uint32_t {
  progress,  // a count: pairs joined so far
  joined,    // a WorkerShare, once
  alive,     // a count: of the held pairs, those that still carry a byte
  failed,    // a text: why it ends
};

struct WorkerMessage {
  WorkerWord word = WorkerWord::failed;
  std::string payload;
};

// False where nobody listens any more.
[[nodiscard]] bool tell(int fd, WorkerWord word, std::string_view payload);
[[nodiscard]] bool tell(int fd, WorkerWord word, std::uint64_t count);
// Waits for one whole message; nothing where the other side has closed.
[[nodiscard]] std::optional<WorkerMessage> hear(int fd);

// What a worker has joined.
struct WorkerShare {
  std::uint64_t pairs = 0;
  double cpu_s = 0;
  Histogram waits;
};
// The histogram goes as its filled buckets: counts and maximum come out as they were, the mean to
// the width of a bucket.
[[nodiscard]] std::string pack(const WorkerShare& share);
// These CHECK that the payload is what the word says.
[[nodiscard]] WorkerShare unpack_share(std::string_view payload);
[[nodiscard]] std::uint64_t unpack_count(std::string_view payload);

}  // namespace tandem::bench
