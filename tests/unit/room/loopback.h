// What the tests of sockets share: a folder of their own, blocking clients with a time limit, and a
// program run to its end.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern char** environ;

namespace tandem {

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tandem-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] std::string file(std::string_view name) const {
    return path_ + '/' + std::string(name);
  }

 private:
  std::string path_;
};

// A connected stream socket; nothing waits longer than five seconds.
class Client {
 public:
  static Client to_port(std::uint16_t port) {
    Client client(AF_INET);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client.connect(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return client;
  }
  static Client to_path(const std::string& path) {
    Client client(AF_UNIX);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    client.connect(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return client;
  }
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Client& operator=(Client&&) = delete;

  // Less than all where the other side has closed.
  std::size_t send(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<std::size_t>(count);
    }
    return sent;
  }
  void finish() { ::shutdown(fd_, SHUT_WR); }

  // Until `end` has come, the connection is closed or five seconds are over.
  std::string read_until(std::string_view end) {
    std::string text;
    char letter = 0;
    while (text.find(end) == std::string::npos && ::recv(fd_, &letter, 1, 0) == 1) text += letter;
    return text;
  }
  std::string read_bytes(std::size_t count) {
    std::string text(count, '\0');
    const ssize_t got = ::recv(fd_, text.data(), count, MSG_WAITALL);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  std::string read_all() {
    std::string text;
    char piece[4096];
    for (;;) {
      const ssize_t count = ::recv(fd_, piece, sizeof piece, 0);
      if (count <= 0) {
        closed_ = count == 0;
        return text;
      }
      text.append(piece, static_cast<std::size_t>(count));
    }
  }
  // read_all() ended since the other side closed, not since time was over.
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  explicit Client(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  void connect(const sockaddr* address, socklen_t size) {
    if (::connect(fd_, address, size) != 0) throw std::runtime_error("connect");
  }

  int fd_;
  bool closed_ = false;
};

struct ProgramEnd {
  int code = -1;  // -1: killed by a signal
  std::string output;
  std::string errors;
};

// Without a shell; `input` is what it reads.
inline ProgramEnd run_program(const std::vector<std::string>& words, std::string_view input = {}) {
  int in[2];
  int out[2];
  int err[2];
  // A program started meanwhile by another thread must not hold these ends open.
  for (int* ends : {in, out, err})
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  for (const int fd : {in[0], out[1], err[1]}) ::close(fd);

  const auto read_to_end = [](int fd) {
    std::string text;
    char piece[4096];
    for (ssize_t count = 0; (count = ::read(fd, piece, sizeof piece)) > 0;)
      text.append(piece, static_cast<std::size_t>(count));
    ::close(fd);
    return text;
  };
  // Both sides stay below a pipe's 64 KiB, so neither waits for the other.
  if (::write(in[1], input.data(), input.size()) < 0) input = {};
  ::close(in[1]);
  ProgramEnd end;
  end.output = read_to_end(out[0]);
  end.errors = read_to_end(err[0]);
  if (failed != 0) throw std::runtime_error("spawn " + words[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return end;
}

inline bool is_installed(const std::string& program) {
  return run_program({"sh", "-c", "command -v " + program}).code == 0;
}

}  // namespace tandem
