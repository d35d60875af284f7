#include "bench/load/tcp_joiner.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "bench/load/client_hosts.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// Well below the 28,232 ephemeral ports that one address has towards one port of the relay's.
constexpr std::size_t kConnectionsPerHost = 10'000;
constexpr int kBacklog = 4096;
constexpr auto kProgressEvery = 200ms;
constexpr auto kSilence = std::chrono::milliseconds(kSetupTimeoutMs);
constexpr auto kAliveSilence = 2s;

// Starts to connect; the port is chosen from the four-tuple and not from the address alone.
Socket dial_from(std::size_t connection, const SocketAddress& to) {
  Socket socket(
      require(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  if (has_many_hosts(to)) {
    const auto host = static_cast<std::uint32_t>(connection / kConnectionsPerHost);
    const auto source = address_of(kTcpClientHosts + host, 0);
    set_option(socket.fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
    require(::bind(socket.fd(), source.get(), source.size), "bind " + to_string(source));
  }
  set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  reset_on_close(socket.fd());
  if (::connect(socket.fd(), to.get(), to.size) == 0 || errno == EINPROGRESS) return socket;
  if (errno == EADDRNOTAVAIL) {
    throw std::runtime_error("no local port is left towards " + to_string(to) +
                             ": fewer pairs, or a wider net.ipv4.ip_local_port_range");
  }
  throw_errno("connect " + to_string(to));
}

}  // namespace

template <typename Object>
Object& TcpJoiner::Pool<Object>::take() {
  if (free.empty()) return all.emplace_back();
  Object& object = *free.back();
  free.pop_back();
  return object = Object();
}

TcpJoiner::TcpJoiner(const RouteOptions& route, const SessionsOptions& options, std::size_t first,
                     std::size_t count)
    : route_(route),
      options_(options),
      first_(first),
      count_(count),
      target_(route.target),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  if (by_relay()) return;
  const bool direct = route.kind == RouteKind::direct;
  listener_ = tcp_listen(direct ? address_of(INADDR_LOOPBACK, 0) : route.sink, kBacklog);
  if (direct) target_ = local_address(listener_.fd());
  set_nonblocking(listener_.fd());
  watch(listener_.fd(), EPOLLIN, nullptr);
}

// The relay joins two ends that both dial it; else one dials, and the other comes in here.
bool TcpJoiner::by_relay() const {
  return route_.kind == RouteKind::relay || route_.kind == RouteKind::greeted;
}

void TcpJoiner::run(int stop, const std::function<void(std::uint64_t)>& progress) {
  std::array<epoll_event, 128> events;
  pollfd stopping{.fd = stop, .events = POLLIN, .revents = 0};
  auto last_event_at = Clock::now();
  auto tell_at = last_event_at + kProgressEvery;
  while (joined_ < count_) {
    while (dialled_ < count_ && dialled_ - joined_ < options_.in_flight) dial();
    const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(),
                                   static_cast<int>(kProgressEvery / 1ms));
    if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
    const auto now = Clock::now();
    if (ready > 0) last_event_at = now;
    for (int i = 0; i < ready; ++i) on_event(events[static_cast<std::size_t>(i)]);
    if (now - last_event_at > kSilence) fail_silent();
    if (now < tell_at) continue;
    tell_at = now + kProgressEvery;
    progress(joined_);
    if (::poll(&stopping, 1, 0) > 0) return give_up_unjoined();
  }
}

void TcpJoiner::watch(int fd, std::uint32_t events, End* end) {
  epoll_event event{.events = events, .data = {.ptr = end}};
  require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void TcpJoiner::dial() {
  Pair& pair = pairs_.take();
  pair.number = first_ + dialled_++;
  for (const Slot slot : {Slot::a, Slot::b}) {
    End& end = pair.ends[std::to_underlying(slot)];
    end.pair = &pair;
    end.slot = slot;
    if (slot == Slot::a || by_relay()) dial_end(end);
  }
}

void TcpJoiner::dial_end(End& end) {
  end.dialled_at = Clock::now();
  end.socket = dial_from(2 * end.pair->number + std::to_underlying(end.slot), target_);
  watch(end.socket.fd(), EPOLLIN | EPOLLOUT | EPOLLET, &end);
}

void TcpJoiner::on_event(const epoll_event& event) {
  auto* end = static_cast<End*>(event.data.ptr);
  if (end == nullptr) return accept_all();
  if (!end->socket.open()) return;  // closed by an event before this one
  if (end->pair == nullptr) {       // all that ever comes here is the counterpart's FIN or reset
    end->socket = Socket();
    sinks_.free.push_back(end);
    return;
  }
  // Of a connection that failed, or that the relay ended at once, reading tells what it was.
  if (!end->connected && (event.events & (EPOLLERR | EPOLLHUP)) == 0) {
    if ((event.events & EPOLLOUT) == 0) return;
    on_connected(*end);
  }
  if (end->socket.open() && (event.events & ~EPOLLOUT) != 0) on_readable(*end);
}

std::string TcpJoiner::opening_of(const End& end) const {
  const bool a = end.slot == Slot::a;
  switch (route_.kind) {
    case RouteKind::direct:
    case RouteKind::proxy:
      return "";
    case RouteKind::relay: {
      const TokenPair& tokens = route_.tokens.at(end.pair->number);
      return join_line(a ? tokens.a : tokens.b);
    }
    case RouteKind::greeted: {
      const Greeting& greeting = route_.greetings.at(end.pair->number);
      return a ? greeting.a : greeting.b;
    }
  }
  return "";
}

void TcpJoiner::on_connected(End& end) {
  end.connected = true;
  const auto opening = opening_of(end);
  const auto sent = ::send(end.socket.fd(), opening.data(), opening.size(), MSG_NOSIGNAL);
  if (sent < 0) return;  // reading tells why
  if (sent != std::ssize(opening)) throw std::runtime_error("no room in a new socket's buffer");
  if (is_joined(end)) on_end_joined(end);  // a greeting that nothing is to follow
}

// The events are edge-triggered: whatever is there has to be read.
void TcpJoiner::on_readable(End& end) {
  std::array<char, 512> bytes;
  for (;;) {
    const auto got = ::recv(end.socket.fd(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail_closed(end, got < 0 ? errno : 0);
    if (end.joined) continue;  // while the pair's other end is not
    end.heard.append(bytes.data(), static_cast<std::size_t>(got));
    if (is_joined(end)) return on_end_joined(end);
  }
}

bool TcpJoiner::is_joined(End& end) const {
  switch (route_.kind) {
    case RouteKind::direct:
    case RouteKind::proxy:
      return !end.heard.empty();
    case RouteKind::relay:
      return took_paired(end);
    case RouteKind::greeted:
      return took_greeting(end);
  }
  return false;
}

bool TcpJoiner::took_paired(End& end) const {
  for (auto lf = end.heard.find('\n'); lf != std::string::npos; lf = end.heard.find('\n')) {
    const auto line = end.heard.substr(0, lf);
    end.heard.erase(0, lf + 1);
    switch (judge_join_answer(line)) {
      case JoinAnswer::paired:
        return true;
      case JoinAnswer::refused:
        throw std::runtime_error("the relay refused: " + line);
      case JoinAnswer::waiting:
        break;
    }
  }
  return false;
}

bool TcpJoiner::took_greeting(End& end) const {
  const Greeting& greeting = route_.greetings.at(end.pair->number);
  const auto& expected = end.slot == Slot::a ? greeting.expected_by_a : greeting.expected_by_b;
  if (!expected.starts_with(end.heard)) {
    throw std::runtime_error("the relay's answer to the greeting of pair " +
                             std::to_string(end.pair->number) + " is not the expected one");
  }
  return end.heard.size() == expected.size();
}

void TcpJoiner::on_end_joined(End& end) {
  end.joined = true;
  waits_.add(std::chrono::nanoseconds(Clock::now() - end.dialled_at).count());
  const auto waited_for = [](const End& e) { return e.socket.open() && !e.joined; };
  if (!std::ranges::any_of(end.pair->ends, waited_for)) finish(*end.pair);
}

void TcpJoiner::finish(Pair& pair) {
  ++joined_;
  pair.joined = true;
  for (End& end : pair.ends) drop(end);
  if (options_.after == AfterPairing::close) pairs_.free.push_back(&pair);
}

// Through a proxy the client closes first: a proxy whose server resets a connection at once takes
// that for a failed connect and tries again.
void TcpJoiner::drop(End& end) {
  if (!end.socket.open()) return;
  switch (options_.after) {
    case AfterPairing::close:
      end.socket = Socket();
      break;
    case AfterPairing::keep:
      require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, end.socket.fd(), nullptr), "epoll_ctl");
      break;
  }
}

// Without a relay a pair is joined when a byte from the listener's side reaches its client.
void TcpJoiner::accept_all() {
  for (;;) {
    Socket socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.open() && errno == EAGAIN) return;
    if (!socket.open()) throw_errno("accept");
    const char byte = 1;
    if (::send(socket.fd(), &byte, 1, MSG_NOSIGNAL) != 1) throw_errno("the sink's byte");
    End& end = sinks_.take();
    end.socket = std::move(socket);
    watch(end.socket.fd(), EPOLLIN, &end);
  }
}

void TcpJoiner::give_up_unjoined() {
  for (Pair& pair : pairs_.all) {
    if (pair.joined) continue;
    for (End& end : pair.ends) end.socket = Socket();
  }
}

void TcpJoiner::fail_silent() const {
  const auto unconnected = [](const Pair& pair) {
    const auto waits = [](const End& end) { return end.socket.open() && !end.connected; };
    return !pair.joined && std::ranges::any_of(pair.ends, waits);
  };
  const auto where = to_string(target_);
  const auto seconds = std::to_string(kSilence / 1s) + " s";
  if (std::ranges::any_of(pairs_.all, unconnected)) {
    throw std::runtime_error("connect " + where + ": no answer in " + seconds);
  }
  const auto pairs = std::to_string(dialled_ - joined_) + " pairs stay unjoined";
  if (by_relay()) {
    throw std::runtime_error("is " + where + " a relay? It has not answered for " + seconds + ": " +
                             pairs);
  }
  throw std::runtime_error("nothing has come from " + where + " for " + seconds + ": " + pairs +
                           "; does it forward to " + to_string(route_.sink) + "?");
}

void TcpJoiner::fail_closed(const End& end, int error) const {
  const auto why = error == 0 ? std::string("closed") : std::generic_category().message(error);
  if (!end.connected) throw std::runtime_error("connect " + to_string(target_) + ": " + why);
  if (by_relay()) {
    throw std::runtime_error("the relay ended a connection before it was joined: " + why);
  }
  throw std::runtime_error("the proxy ended a connection: " + why + "; does it forward to " +
                           to_string(route_.sink) + "?");
}

// A byte into all of them, so that a relay that forwards no more is waited for once.
std::uint64_t TcpJoiner::count_alive() {
  std::vector<int> waiting;
  for (const Pair& pair : pairs_.all) {
    const char byte = 1;
    if (!pair.joined || ::send(pair.ends[0].socket.fd(), &byte, 1, MSG_NOSIGNAL) != 1) continue;
    waiting.push_back(pair.ends[1].socket.fd());
  }
  std::uint64_t alive = 0;
  auto deadline = Clock::now() + kAliveSilence;
  for (const int fd : waiting) {
    const auto left = std::max((deadline - Clock::now()) / 1ms, std::int64_t{0});
    pollfd arrival{.fd = fd, .events = POLLIN, .revents = 0};
    char byte = 0;
    if (::poll(&arrival, 1, static_cast<int>(left)) <= 0 || ::recv(fd, &byte, 1, 0) != 1) continue;
    ++alive;
    deadline = Clock::now() + kAliveSilence;
  }
  return alive;
}

}  // namespace tandem::bench
