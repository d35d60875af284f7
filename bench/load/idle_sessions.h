// Pairs that are joined and then silent: over UDP by this process, over TCP by worker processes.
// What the mode sessions measures; internal to it. Knows no report.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/load/histogram.h"
#include "bench/load/interrupt.h"
#include "bench/load/route.h"
#include "bench/load/sessions_load.h"
#include "bench/load/socket.h"
#include "bench/load/udp_ends.h"

namespace tandem::bench {

struct Joined {
  std::size_t pairs = 0;  // fewer than were asked for where interrupted
  // Of each end that dials or binds: from its connect() or its first BIND until it is paired.
  Histogram waits;
  double workers_cpu_s = 0;  // of processes that have not been waited for yet
  double busiest_cpu_s = 0;  // of the process that used most
};

// " (after 4,823 pairs)", for what ends the joining before its time.
[[nodiscard]] std::string after_pairs(std::size_t joined);

// What both transports need: the route with its tokens, and what watches over the run.
struct JoiningScene {
  RouteOptions route;
  SessionsOptions options;
  const Interrupt& interrupt;
  std::function<void(std::size_t)> progress;  // pairs joined so far; often
  std::vector<int> cpus;
};

// `count` UDP pairs of a relay's.
class UdpSessions {
 public:
  // Makes the sockets. Throws std::runtime_error where the process may not have so many.
  explicit UdpSessions(const JoiningScene& scene);
  // Returns when all are paired, or at an interrupt; throws std::runtime_error where the relay
  // refuses or stays silent.
  Joined establish();
  // Sends a datagram through each of up to a thousand pairs, spread over all; the share that
  // arrived. A pair is asked three times, since a datagram may be lost.
  [[nodiscard]] double share_alive();

 private:
  // One of the pairs that are asked in the end whether they still forward.
  struct Sample {
    std::size_t session;
    DataHeaderBytes header;
  };
  class Binder;

  [[nodiscard]] std::size_t ask(std::span<const Sample> samples);

  const JoiningScene& scene_;
  std::unique_ptr<UdpEnds> ends_;
  std::vector<Sample> samples_;
};

// TCP pairs, joined by worker processes that then hold or close them: a process has a bounded
// number of descriptors. All of them end with this object, or with this process.
class TcpSessions {
 public:
  // Throws std::runtime_error where the processes may not have so many descriptors.
  explicit TcpSessions(const JoiningScene& scene);
  ~TcpSessions();
  TcpSessions(const TcpSessions&) = delete;
  TcpSessions& operator=(const TcpSessions&) = delete;
  // As UdpSessions'.
  Joined establish();
  // Sends a byte through every pair of a relay's; the share that arrived.
  [[nodiscard]] double share_alive();

 private:
  struct Worker {
    pid_t pid;
    // The worker's messages (worker_line.h) come in. Out go a byte to stop joining and a second one
    // to ask how many of the pairs are alive; the end of file ends the worker.
    Socket line;
    std::size_t joined = 0;
    bool done = false;
  };

  void fork_worker(std::size_t index);
  [[nodiscard]] std::size_t joined_so_far() const;
  void stop_joining();
  void take_message(Worker& worker, Joined& joined);

  const JoiningScene& scene_;
  std::size_t workers_count_;
  std::vector<Worker> workers_;
  std::size_t pairs_ = 0;
};

}  // namespace tandem::bench
