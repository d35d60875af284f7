#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bench/load/sessions_load.h"

namespace tandem::bench {
namespace {

constexpr std::uint32_t kFirstHost = 0x7f020001;  // 127.2.0.1
// Well below the 28,232 ephemeral ports that one address has towards one port of the relay's.
constexpr std::size_t kConnectionsPerHost = 10'000;
constexpr int kBacklog = 4096;
constexpr int kSilenceMs = 10'000;

SocketAddress source_of(std::size_t connection) {
  return address_of(kFirstHost + static_cast<std::uint32_t>(connection / kConnectionsPerHost), 0);
}

// One process's share of the pairs: a bounded number of them being joined at once.
class Joiner {
 public:
  Joiner(const SessionsOptions& options, std::size_t first, std::size_t count);
  void run();
  // Of the pairs that a relay joined and that are still held: how many carry a byte.
  [[nodiscard]] std::uint64_t count_alive() const;

 private:
  struct Pair;
  struct End {
    Socket socket;
    Pair* pair = nullptr;  // none: a connection that a proxy made to our sink
    std::string line;      // an answer whose LF has not come yet
  };
  struct Pair {
    std::array<End, 2> ends;
    int ends_done = 0;
  };

  void dial();
  void dial_end(End& end, std::size_t connection);
  void on_ready(End* end);
  void on_join_answer(End& end);
  void accept_sinks();
  void on_sink_byte(End& end);
  void finish(Pair& pair);
  void watch(int fd, End* end);

  const SessionsOptions& options_;
  std::optional<TokenMint> mint_;  // none: a plain proxy
  Socket listener_;
  std::size_t first_;
  std::size_t count_;
  std::size_t dialled_ = 0;
  std::size_t finished_ = 0;
  std::uint64_t session_base_ = random_session_base();
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::vector<std::unique_ptr<End>> sinks_;
  Socket epoll_;
};

Joiner::Joiner(const SessionsOptions& options, std::size_t first, std::size_t count)
    : options_(options),
      first_(first),
      count_(count),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  if (options.route.kind == RouteKind::relay) {
    mint_.emplace(options.route.key_file);
    return;
  }
  listener_ = tcp_listen(options.route.sink, kBacklog);
  set_nonblocking(listener_.fd());
  watch(listener_.fd(), nullptr);
}

void Joiner::run() {
  std::array<epoll_event, 128> events;
  while (finished_ < count_) {
    while (dialled_ < count_ && dialled_ - finished_ < options_.in_flight) dial();
    const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), kSilenceMs);
    if (ready == 0) throw std::runtime_error("pairs stay unjoined");
    if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      on_ready(static_cast<End*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
}

void Joiner::watch(int fd, End* end) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = end}};
  require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void Joiner::dial_end(End& end, std::size_t connection) {
  const auto source = source_of(connection);
  end.socket = tcp_connect(options_.route.target, &source);
  reset_on_close(end.socket.fd());
  watch(end.socket.fd(), &end);
}

void Joiner::dial() {
  const auto number = first_ + dialled_++;
  auto& pair = *pairs_.emplace_back(std::make_unique<Pair>());
  const auto id = session_id_of(session_base_, number);
  for (const Slot slot : {Slot::a, Slot::b}) {
    End& end = pair.ends[std::to_underlying(slot)];
    end.pair = &pair;
    dial_end(end, 2 * number + std::to_underlying(slot));
    if (!mint_) return;  // the proxy dials the other end itself
    const auto line = join_line(mint_->mint_for(id, slot));
    if (::send(end.socket.fd(), line.data(), line.size(), MSG_NOSIGNAL) != std::ssize(line)) {
      throw_errno("JOIN");
    }
  }
}

void Joiner::on_ready(End* end) {
  if (end == nullptr) {
    accept_sinks();
  } else if (end->pair == nullptr) {
    end->socket = Socket();  // all that ever comes here is the proxy's FIN or reset
  } else if (mint_) {
    on_join_answer(*end);
  } else {
    on_sink_byte(*end);
  }
}

void Joiner::on_join_answer(End& end) {
  std::array<char, 256> text;
  const auto got = ::recv(end.socket.fd(), text.data(), text.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) throw_errno("waiting for PAIRED");
  if (got == 0) throw std::runtime_error("the relay closed before PAIRED");
  end.line.append(text.data(), static_cast<std::size_t>(got));
  for (auto lf = end.line.find('\n'); lf != std::string::npos; lf = end.line.find('\n')) {
    const auto answer = judge_join_answer(std::string_view(end.line).substr(0, lf));
    if (answer == JoinAnswer::refused) throw std::runtime_error("refused: " + end.line);
    end.line.erase(0, lf + 1);
    if (answer == JoinAnswer::paired && ++end.pair->ends_done == 2) return finish(*end.pair);
  }
}

// Through a proxy a pair is joined when a byte from the sink reaches its client. The client closes
// first: a proxy whose server resets a connection at once takes that for a failed connect and tries
// again.
void Joiner::accept_sinks() {
  for (;;) {
    Socket sink(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!sink.open() && errno == EAGAIN) return;
    if (!sink.open()) throw_errno("accept");
    const char byte = 1;
    if (::send(sink.fd(), &byte, 1, MSG_NOSIGNAL) != 1) throw_errno("sink");
    auto& end = *sinks_.emplace_back(std::make_unique<End>());
    end.socket = std::move(sink);
    watch(end.socket.fd(), &end);
  }
}

void Joiner::on_sink_byte(End& end) {
  char byte = 0;
  const auto got = ::recv(end.socket.fd(), &byte, 1, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got != 1) throw std::runtime_error("the proxy closed a pair");
  finish(*end.pair);
}

void Joiner::finish(Pair& pair) {
  ++finished_;
  for (End& end : pair.ends) {
    if (!end.socket.open()) continue;
    if (options_.after == AfterPairing::close) {
      end.socket = Socket();
    } else {
      require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, end.socket.fd(), nullptr), "epoll_ctl");
    }
  }
}

std::uint64_t Joiner::count_alive() const {
  const auto carries = [](const std::unique_ptr<Pair>& pair) {
    char byte = 1;
    if (::send(pair->ends[0].socket.fd(), &byte, 1, MSG_NOSIGNAL) != 1) return false;
    return ::recv(pair->ends[1].socket.fd(), &byte, 1, 0) == 1;  // SO_RCVTIMEO bounds it
  };
  return static_cast<std::uint64_t>(std::ranges::count_if(pairs_, carries));
}

// A worker's whole life, in the child.
[[noreturn]] void work(const SessionsOptions& options, std::size_t first, std::size_t count,
                       const Socket& line) {
  int status = 1;
  try {
    Joiner joiner(options, first, count);
    joiner.run();
    char byte = 1;
    // MSG_NOSIGNAL: the parent may have ended meanwhile.
    if (::send(line.fd(), &byte, 1, MSG_NOSIGNAL) == 1) status = 0;
    // End of file: the parent has measured, or is gone.
    while (::read(line.fd(), &byte, 1) > 0) {
    }
    if (options.after == AfterPairing::keep && options.route.kind == RouteKind::relay) {
      const std::uint64_t alive = joiner.count_alive();
      if (::send(line.fd(), &alive, sizeof alive, MSG_NOSIGNAL) != sizeof alive) status = 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tandem-bench worker: %s\n", error.what());
  }
  ::_exit(status);
}

}  // namespace

void TcpSessions::establish() {
  // A proxy's sink is one listener, so one process has both ends.
  const std::size_t workers = options_.route.kind == RouteKind::relay ? options_.workers : 1;
  for (std::size_t i = 0; i < workers; ++i) {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    Socket mine(ends[0]);
    Socket theirs(ends[1]);
    const auto first = options_.count * i / workers;
    const auto count = options_.count * (i + 1) / workers - first;
    const pid_t pid = require(::fork(), "fork");
    if (pid == 0) {
      mine = Socket();
      workers_.clear();
      work(options_, first, count, theirs);
    }
    workers_.push_back({pid, std::move(mine)});
  }
  for (const auto& worker : workers_) {
    char byte = 0;
    if (::read(worker.line.fd(), &byte, 1) != 1) throw std::runtime_error("a worker failed");
  }
}

double TcpSessions::share_alive() const {
  for (const auto& worker : workers_) {
    require(::shutdown(worker.line.fd(), SHUT_WR), "asking a worker");
  }
  std::uint64_t total = 0;
  for (const auto& worker : workers_) {
    std::uint64_t alive = 0;
    if (::recv(worker.line.fd(), &alive, sizeof alive, MSG_WAITALL) == sizeof alive) total += alive;
  }
  return ratio(static_cast<double>(total), static_cast<double>(options_.count));
}

TcpSessions::~TcpSessions() {
  for (auto& worker : workers_) {
    worker.line = Socket();
    ::waitpid(worker.pid, nullptr, 0);
  }
}

}  // namespace tandem::bench
