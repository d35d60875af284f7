#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <optional>
#include <stdexcept>

#include "bench/load/cpu_account.h"
#include "bench/load/idle_sessions.h"
#include "bench/load/tcp_joiner.h"
#include "bench/load/worker_line.h"

namespace tandem::bench {
namespace {

constexpr char kStopJoining = 's';
constexpr char kAskAlive = 'a';
constexpr int kLookMs = 100;  // for an interrupt, while nothing comes from the workers

double own_cpu_s() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

// As many as were asked for, and more where each would need too many descriptors. Without a relay
// one process has both ends, since B's come in at one listener.
std::size_t workers_for(const RouteOptions& route, const SessionsOptions& options) {
  const bool by_relay = route.kind == RouteKind::relay || route.kind == RouteKind::greeted;
  const std::size_t pairs_each = sockets_max() / 2;
  // A closed pair's far end may take its time.
  const bool held = options.after == AfterPairing::keep;
  const std::size_t at_once = held ? options.count : std::min(options.count, 2 * options.in_flight);
  if (!by_relay) {
    if (at_once <= pairs_each) return 1;
    throw std::runtime_error(fmt::format(
        "without a relay all pairs are one process's, and that may have descriptors for {} here",
        pairs_each));
  }
  const std::size_t needed = held ? (at_once + pairs_each - 1) / pairs_each : 1;
  return std::clamp(std::max(options.workers, needed), std::size_t{1}, options.count);
}

// Until the parent has measured, or is gone.
void hold(TcpJoiner& joiner, const Socket& line) {
  char command = 0;
  for (;;) {
    const auto got = ::read(line.fd(), &command, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    if (command == kAskAlive && !tell(line.fd(), WorkerWord::alive, joiner.count_alive())) return;
  }
}

// A worker's whole life, in the child.
[[noreturn]] void work(const JoiningScene& scene, std::size_t first, std::size_t count, int cpu,
                       const Socket& line) {
  // Ctrl-C comes to all of a terminal's processes; what it means here the parent decides.
  for (const int number : {SIGINT, SIGTERM}) ::signal(number, SIG_IGN);
  std::optional<TcpJoiner> joiner;
  const auto tell_progress = [&line](std::uint64_t joined) {
    (void)tell(line.fd(), WorkerWord::progress, joined);  // the end of file tells too
  };
  try {
    pin_to_cpu(cpu);
    joiner.emplace(scene.route, scene.options, first, count);
    joiner->run(line.fd(), tell_progress);
    const WorkerShare share{
        .pairs = joiner->joined(), .cpu_s = own_cpu_s(), .waits = joiner->waits()};
    if (tell(line.fd(), WorkerWord::joined, pack(share))) hold(*joiner, line);
  } catch (const std::exception& error) {
    if (joiner) tell_progress(joiner->joined());
    (void)tell(line.fd(), WorkerWord::failed, error.what());
  }
  ::_exit(0);
}

}  // namespace

TcpSessions::TcpSessions(const JoiningScene& scene)
    : scene_(scene), workers_count_(workers_for(scene.route, scene.options)) {}

TcpSessions::~TcpSessions() {
  for (auto& worker : workers_) worker.line = Socket();
  for (const auto& worker : workers_) {
    while (::waitpid(worker.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void TcpSessions::fork_worker(std::size_t index) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  Socket mine(ends[0]);
  Socket theirs(ends[1]);
  const auto first = scene_.options.count * index / workers_count_;
  const auto count = scene_.options.count * (index + 1) / workers_count_ - first;
  const int cpu = scene_.cpus.empty() ? -1 : scene_.cpus[index % scene_.cpus.size()];
  const pid_t pid = require(::fork(), "fork");
  if (pid == 0) {
    mine = Socket();
    workers_.clear();  // with the parent's ends of the others' lines, which would hide its end
    work(scene_, first, count, cpu, theirs);
  }
  workers_.push_back({.pid = pid, .line = std::move(mine)});
}

Joined TcpSessions::establish() {
  for (std::size_t i = 0; i < workers_count_; ++i) fork_worker(i);
  const Socket lines(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  for (auto& worker : workers_) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &worker}};
    require(::epoll_ctl(lines.fd(), EPOLL_CTL_ADD, worker.line.fd(), &event), "epoll_ctl");
  }
  Joined joined;
  bool stopping = false;
  std::array<epoll_event, 64> events;
  while (!std::ranges::all_of(workers_, &Worker::done)) {
    const int ready = ::epoll_wait(lines.fd(), events.data(), events.size(), kLookMs);
    if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      take_message(*static_cast<Worker*>(events[static_cast<std::size_t>(i)].data.ptr), joined);
    }
    scene_.progress(joined_so_far());
    if (!stopping && scene_.interrupt.raised()) stop_joining();
    stopping = scene_.interrupt.raised();
  }
  pairs_ = joined.pairs;
  return joined;
}

std::size_t TcpSessions::joined_so_far() const {
  std::size_t joined = 0;
  for (const auto& worker : workers_) joined += worker.joined;
  return joined;
}

void TcpSessions::stop_joining() {
  for (const auto& worker : workers_) {
    (void)::send(worker.line.fd(), &kStopJoining, 1, MSG_NOSIGNAL);  // one that is gone is noticed
  }
}

void TcpSessions::take_message(Worker& worker, Joined& joined) {
  const auto message = hear(worker.line.fd());
  if (!message) throw std::runtime_error("a worker process ended before its time");
  switch (message->word) {
    case WorkerWord::progress:
      worker.joined = unpack_count(message->payload);
      break;
    case WorkerWord::joined: {
      const WorkerShare share = unpack_share(message->payload);
      worker.joined = share.pairs;
      worker.done = true;
      joined.pairs += share.pairs;
      joined.waits.merge(share.waits);
      joined.workers_cpu_s += share.cpu_s;
      joined.busiest_cpu_s = std::max(joined.busiest_cpu_s, share.cpu_s);
      break;
    }
    case WorkerWord::failed:
      throw std::runtime_error(message->payload + after_pairs(joined_so_far()));
    case WorkerWord::alive:
      break;  // not asked yet
  }
}

double TcpSessions::share_alive() {
  for (const auto& worker : workers_) {
    (void)::send(worker.line.fd(), &kAskAlive, 1, MSG_NOSIGNAL);
  }
  std::uint64_t alive = 0;
  for (const auto& worker : workers_) {
    const auto message = hear(worker.line.fd());
    if (message && message->word == WorkerWord::alive) alive += unpack_count(message->payload);
  }
  return ratio(static_cast<double>(alive), static_cast<double>(pairs_));
}

}  // namespace tandem::bench
