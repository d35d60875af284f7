// One process's share of a sessions run over TCP: dials the ends of its pairs, a bounded number at
// once, times how long each end waits to be joined, and holds or closes them. One thread, one
// epoll. Knows neither the other processes nor the report.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "bench/load/histogram.h"
#include "bench/load/load.h"
#include "bench/load/route.h"
#include "bench/load/sessions_load.h"

namespace tandem::bench {

class TcpJoiner {
 public:
  // The pairs [first, first + count) of all; `route` has their tokens or greetings. Through a proxy
  // and on the direct route B's ends come in here, at a listener of its own.
  TcpJoiner(const RouteOptions& route, const SessionsOptions& options, std::size_t first,
            std::size_t count);

  // Until all are joined, or `stop` becomes readable: then what is not joined is given up.
  // `progress` is told a few times a second how many are. Throws std::runtime_error where the route
  // does not join them.
  void run(int stop, const std::function<void(std::uint64_t)>& progress);

  [[nodiscard]] std::uint64_t joined() const { return joined_; }
  // Of each dialled end: from connect() to the PAIRED line, the awaited greeting, or the byte that
  // the sink sends.
  [[nodiscard]] const Histogram& waits() const { return waits_; }
  // Of the pairs that a relay joined and that are still held: how many carry a byte from A to B.
  [[nodiscard]] std::uint64_t count_alive();

 private:
  struct Pair;
  struct End {
    Socket socket;
    Pair* pair = nullptr;  // none: a connection that came in at the listener
    Slot slot = Slot::a;
    bool connected = false;
    bool joined = false;
    Clock::time_point dialled_at;
    std::string heard;  // an answer that is not whole yet
  };
  struct Pair {
    std::size_t number = 0;
    std::array<End, 2> ends;  // B's is not open where it comes in at the listener
    bool joined = false;
  };
  // Objects that stay where they are and are used again.
  template <typename Object>
  struct Pool {
    std::deque<Object> all;
    std::vector<Object*> free;
    Object& take();
  };

  [[nodiscard]] bool by_relay() const;
  void dial();
  void dial_end(End& end);
  void on_event(const epoll_event& event);
  void on_connected(End& end);
  void on_readable(End& end);
  [[nodiscard]] bool is_joined(End& end) const;
  [[nodiscard]] bool took_paired(End& end) const;
  [[nodiscard]] bool took_greeting(End& end) const;
  [[nodiscard]] std::string opening_of(const End& end) const;
  void on_end_joined(End& end);
  void finish(Pair& pair);
  void accept_all();
  void drop(End& end);
  void give_up_unjoined();
  [[noreturn]] void fail_silent() const;
  [[noreturn]] void fail_closed(const End& end, int error) const;
  void watch(int fd, std::uint32_t events, End* end);

  const RouteOptions& route_;
  const SessionsOptions& options_;
  std::size_t first_;
  std::size_t count_;
  std::size_t dialled_ = 0;
  std::uint64_t joined_ = 0;
  SocketAddress target_;
  Histogram waits_;
  Pool<Pair> pairs_;
  Pool<End> sinks_;
  Socket listener_;
  Socket epoll_;
};

}  // namespace tandem::bench
