#include "bench/load/worker_line.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "common/assert.h"

namespace tandem::bench {
namespace {

struct Header {
  WorkerWord word;
  std::uint32_t size;
};

bool send_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    // MSG_NOSIGNAL: the other side may have ended meanwhile.
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_whole(int fd, char* into, std::size_t size) {
  while (size > 0) {
    const auto got = ::recv(fd, into, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

template <typename Value>
void put(std::string& bytes, const Value& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Value>
Value take(std::string_view& bytes) {
  TANDEM_CHECK(bytes.size() >= sizeof(Value));
  Value value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

}  // namespace

bool tell(int fd, WorkerWord word, std::string_view payload) {
  std::string message;
  put(message, Header{.word = word, .size = static_cast<std::uint32_t>(payload.size())});
  message += payload;
  return send_whole(fd, message);
}

bool tell(int fd, WorkerWord word, std::uint64_t count) {
  std::string payload;
  put(payload, count);
  return tell(fd, word, payload);
}

std::optional<WorkerMessage> hear(int fd) {
  Header header{};
  if (!receive_whole(fd, reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
  WorkerMessage message{.word = header.word, .payload = std::string(header.size, '\0')};
  if (!receive_whole(fd, message.payload.data(), message.payload.size())) return std::nullopt;
  return message;
}

std::string pack(const WorkerShare& share) {
  std::string bytes;
  put(bytes, share.pairs);
  put(bytes, share.cpu_s);
  for (const auto& [upper_ns, count] : share.waits.buckets()) {
    put(bytes, upper_ns);
    put(bytes, count);
  }
  return bytes;
}

WorkerShare unpack_share(std::string_view payload) {
  WorkerShare share;
  share.pairs = take<std::uint64_t>(payload);
  share.cpu_s = take<double>(payload);
  while (!payload.empty()) {
    const auto upper_ns = take<std::uint64_t>(payload);
    share.waits.add(static_cast<std::int64_t>(upper_ns), take<std::uint64_t>(payload));
  }
  return share;
}

std::uint64_t unpack_count(std::string_view payload) {
  const auto count = take<std::uint64_t>(payload);
  TANDEM_CHECK(payload.empty());
  return count;
}

}  // namespace tandem::bench
