// Pairs that are joined on loopback, straight or with somebody in the middle who may alter what
// passes, and a load driven turn by turn on the test's thread.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <list>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bench/load/load.h"
#include "bench/load/route.h"
#include "bench/load/socket.h"

namespace tandem::bench {

using Bytes = std::vector<std::uint8_t>;

inline const SocketAddress kHere = address_of(0x7f000001, 0);

inline std::vector<SocketPair> tcp_pairs(std::size_t count) {
  RouteOptions route;
  Door door = open_tcp_door(route, kHere);
  route.target = local_address(door.listener.fd());
  return join_tcp_pairs(route, count, Ends::both, std::move(door));
}

inline std::vector<SocketPair> udp_pairs(std::size_t count) {
  RouteOptions route{.kind = RouteKind::direct, .target = kHere};
  Door door = open_udp_door(route, kHere, count);
  for (const Socket& socket : door.sockets) {
    route.udp_ports.push_back(local_address(socket.fd()).port());
  }
  return join_udp_pairs(route, count, Ends::both, std::move(door));
}

// One pair whose socket says when it takes no more, which loopback's UDP never does: a Unix one
// with a small buffer.
inline std::vector<SocketPair> narrow_pair() {
  std::array<int, 2> ends;
  require(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  std::vector<SocketPair> pairs(1);
  pairs[0].a = Socket(ends[0]);
  pairs[0].b = Socket(ends[1]);
  set_option(ends[0], SOL_SOCKET, SO_SNDBUF, 8192, "SO_SNDBUF");
  return pairs;
}

// Each end alone, as where they are on two hosts.
inline std::vector<SocketPair> take_b(std::vector<SocketPair>& pairs) {
  std::vector<SocketPair> b(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    b[i].header = pairs[i].header;
    b[i].b = std::exchange(pairs[i].b, Socket());
  }
  return b;
}

// Turns that send until `enough` says so of the tally. `between` is called after each turn.
using Enough = std::function<bool(const Tally&)>;
using Between = std::function<void()>;
inline void send_until(Load& load, const Enough& enough, const Between& between) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  load.start(Clock::now());
  while (!enough(load.tally())) {
    if (Clock::now() > deadline) throw std::runtime_error("the load stands still");
    (void)load.turn(Clock::now(), Sending::on);
    between();
  }
}

// And then, after stop(), until all has come or the load's time for that is over.
inline Tally drive(
    Load& load, const Enough& enough, const Between& between = [] {}) {
  send_until(load, enough, between);
  load.stop();
  const auto deadline = Clock::now() + load.drain_timeout();
  while (!load.drained() && Clock::now() < deadline) {
    (void)load.turn(Clock::now(), Sending::off);
    between();
  }
  return load.tally();
}

inline auto delivered(std::uint64_t count) {
  return [count](const Tally& tally) { return tally.delivered >= count; };
}
inline auto delivered_bytes(std::uint64_t count) {
  return [count](const Tally& tally) { return tally.delivered_bytes >= count; };
}
inline auto sent(std::uint64_t count) {
  return [count](const Tally& tally) { return tally.sent >= count; };
}

// What passes the middle in one direction: it may change it, or send more or less of it. For a
// stream it gets pieces, for datagrams each of them.
using Tamper = std::function<void(Bytes passing, const std::function<void(const Bytes&)>& send)>;

// The middle of one pair, one way; two of them make a pair.
class Way {
 public:
  Way(int from, int to, bool stream) : from_(from), to_(to), stream_(stream) {}

  Tamper tamper = [](const Bytes& passing, const auto& send) { send(passing); };

  // All that can pass now.
  void pump() {
    while (flush()) {
      Bytes passing(1 << 16);
      const auto got = ::recv(from_, passing.data(), passing.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) throw_errno("the middle");
      if (got == 0 && stream_) {
        if (!ended_) ::shutdown(to_, SHUT_WR);
        ended_ = true;
        return;
      }
      passing.resize(static_cast<std::size_t>(got));
      tamper(std::move(passing), [this](const Bytes& bytes) { send(bytes); });
    }
  }

 private:
  void send(const Bytes& bytes) {
    if (stream_) {
      pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    } else if (::send(to_, bytes.data(), bytes.size(), 0) < 0) {
      throw_errno("the middle");
    }
  }
  // Whether nothing is left of it.
  bool flush() {
    if (pending_.empty()) return true;
    const auto sent = ::send(to_, pending_.data(), pending_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("the middle");
    if (sent > 0) pending_.erase(pending_.begin(), pending_.begin() + sent);
    return pending_.empty();
  }

  int from_;
  int to_;
  bool stream_;
  bool ended_ = false;
  Bytes pending_;
};

// Somebody in the middle of every pair.
class Middle {
 public:
  // Of pairs [A, B] each becomes two: A with the middle's first socket, the second one with B.
  static Middle of_tcp(std::size_t count) {
    return Middle(tcp_pairs(count), tcp_pairs(count), true);
  }
  static Middle of_udp(std::size_t count) {
    return Middle(udp_pairs(count), udp_pairs(count), false);
  }

  // For the load.
  std::vector<SocketPair> take_pairs() { return std::move(pairs_); }
  Way& forward(std::size_t pair) { return *std::next(forward_.begin(), static_cast<long>(pair)); }
  Way& reverse(std::size_t pair) { return *std::next(reverse_.begin(), static_cast<long>(pair)); }
  void pump() {
    for (Way& way : forward_) way.pump();
    for (Way& way : reverse_) way.pump();
  }
  auto pumping() {
    return [this] { pump(); };
  }
  // Of one pair, at once and with a reset.
  void cut(std::size_t pair) {
    forward_.clear();
    reverse_.clear();
    reset_on_close(near_[pair].fd());
    reset_on_close(far_[pair].fd());
    near_.erase(near_.begin() + static_cast<long>(pair));
    far_.erase(far_.begin() + static_cast<long>(pair));
  }

 private:
  Middle(std::vector<SocketPair> near, std::vector<SocketPair> far, bool stream) {
    for (std::size_t i = 0; i < near.size(); ++i) {
      pairs_.push_back({.a = std::move(near[i].a), .b = std::move(far[i].b)});
      near_.push_back(std::move(near[i].b));
      far_.push_back(std::move(far[i].a));
      forward_.emplace_back(near_.back().fd(), far_.back().fd(), stream);
      reverse_.emplace_back(far_.back().fd(), near_.back().fd(), stream);
    }
  }

  std::vector<SocketPair> pairs_;
  std::vector<Socket> near_;
  std::vector<Socket> far_;
  std::list<Way> forward_;
  std::list<Way> reverse_;
};

// ---- what the middle may do to datagrams ----

using Datagrams = std::function<bool(const Bytes&)>;

// The n-th that passes, from 0.
inline Datagrams nth(std::size_t n) {
  return [n, passed = std::size_t{0}](const Bytes&) mutable { return passed++ == n; };
}

inline Tamper altering(Datagrams which, std::size_t at) {
  return [which = std::move(which), at](Bytes passing, const auto& send) mutable {
    if (which(passing)) passing.at(at) ^= 0x10;
    send(passing);
  };
}
inline Tamper losing(Datagrams which) {
  return [which = std::move(which)](const Bytes& passing, const auto& send) mutable {
    if (!which(passing)) send(passing);
  };
}
inline Tamper doubling(Datagrams which) {
  return [which = std::move(which)](const Bytes& passing, const auto& send) mutable {
    if (which(passing)) send(passing);
    send(passing);
  };
}
// With the next one.
inline Tamper swapping(Datagrams which) {
  return
      [which = std::move(which), held = Bytes()](const Bytes& passing, const auto& send) mutable {
        if (which(passing)) {
          held = passing;
          return;
        }
        send(passing);
        if (!held.empty()) send(std::exchange(held, Bytes()));
      };
}

}  // namespace tandem::bench
