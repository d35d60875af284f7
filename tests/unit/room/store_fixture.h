// What the tests of storage share: a folder, rows, and a control thread's queue of posted calls.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "room/storage/store.h"

namespace tandem {

// Longer than anything takes under a sanitizer on a busy machine.
inline constexpr auto kTestPatience = std::chrono::seconds(60);
inline constexpr Nanos kTestPatienceNanos = 60 * kNanosPerSecond;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tandem-store-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Names that begin so.
  [[nodiscard]] std::vector<std::string> names(const std::string& beginning) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(beginning)) names.push_back(name);
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

// Stands in for the control thread: runs what was posted when asked to.
class PostedCalls {
 public:
  StorePost post() {
    return [this](std::function<void()> call) {
      const std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
      changed_.notify_all();
    };
  }
  // Waits for the next one; false where none came.
  bool run_one() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kTestPatience, [this] { return !calls_.empty(); })) return false;
    const auto call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call();
    return true;
  }
  [[nodiscard]] bool empty() {
    const std::lock_guard lock(mutex_);
    return calls_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> calls_;
};

// Asks until it is so; the condition is another thread's.
inline bool comes_true(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kTestPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline Result<BackupReport, std::string> back_up(Store& store, PostedCalls& calls,
                                                 const std::string& path) {
  Result<BackupReport, std::string> outcome = unexpected(std::string("not called"));
  store.backup(path,
               [&](Result<BackupReport, std::string> report) { outcome = std::move(report); });
  REQUIRE(calls.run_one());
  return outcome;
}

inline RoomRow sample_room(int number) {
  return {.id = fmt::format("room-{}", number),
          .code = fmt::format("CODE{}", number),
          .name = "A room, \"quoted\" 'twice'",
          .game_id = "18446744073709551615",
          .game_version = "1.2.3",
          .host_id = "client-1",
          .host_name = "J\u00fcrgen",
          .players_max = 8,
          .password_verifier = "scrypt$16384$8$1$c2FsdA$dmVyaWZpZXI",
          .visibility = "public",
          .locked = true,
          .region = "eu",
          .metadata = R"({"map":"dust"})",
          .host_endpoint = "192.0.2.7:4000",
          .host_peer_id = "peer",
          .bans = {"client-7", "client-\"8\""},
          .created_at = 1'800'000'000'000 + number,
          .updated_at = 1'800'000'000'500 + number};
}

inline PlayerRow sample_player(int room, int seat) {
  return {.room_id = fmt::format("room-{}", room),
          .client_id = fmt::format("client-{}", seat),
          .seat = static_cast<std::uint32_t>(seat),
          .name = "Player",
          .joined_at = 1'800'000'001'000 + seat,
          .ready = seat % 2 == 0};
}

inline RoomClosed sample_closed(int number) {
  return {.room_id = fmt::format("room-{}", number),
          .game_id = "7",
          .host_id = "client-1",
          .players_max = 8,
          .players_most = 3,
          .region = "eu",
          .reason = "empty",
          .created_at = 1'800'000'000'000,
          .closed_at = 1'800'000'061'999};
}

inline ConnectionMetric sample_metric(const std::string& type, UnixMillis at) {
  return {.client_id = "client-1",
          .room_id = "room-1",
          .connection_type = type,
          .latency_ms = 23,
          .packet_loss_rate = 0.25,
          .bandwidth_kbps = 900,
          .duration_s = 60,
          .recorded_at = at};
}

inline ClientSeen sample_client(int number, UnixMillis at) {
  return {.id = fmt::format("client-{}", number),
          .username = "Ann",
          .platform = "linux",
          .version = "1.0",
          .at = at};
}

}  // namespace tandem
