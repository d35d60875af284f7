// Owns the load of sessions rather than of bytes: how fast pairs are joined, and what the idle ones
// cost in memory and in CPU. Also R3's question: what an unvalidated UDP source gets back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/load/cpu_account.h"
#include "bench/load/report.h"
#include "bench/load/route.h"
#include "bench/load/tcp_load.h"

namespace tandem::bench {

enum class SessionKind { tcp, udp };
enum class AfterPairing { keep, close };

struct SessionsOptions {
  RouteOptions route;
  SessionKind kind = SessionKind::udp;
  AfterPairing after = AfterPairing::keep;
  std::size_t count = 1000;
  std::size_t in_flight = 128;  // pairs being joined at once, in one process
  std::size_t workers = 2;      // processes, TCP: each has 20,000 descriptors at most
  double settle_s = 1;          // between the last pairing and the quiet interval
  double quiet_s = 0;           // how long the idle pairs are watched; 0 = not
};

Integrity run_sessions(const SessionsOptions& options, const CpuAccount& account, Report& report);

// One of the pairs that are asked in the end whether they still forward.
struct SampledPair {
  std::size_t session;
  DataHeaderBytes header;
};

// `count` UDP pairs, bound and then silent. Each end has an address and port of its own, but the
// ends share a few sockets: a socket that is bound to a port alone can send from any 127.x.y.z
// (IP_PKTINFO, ip(7)), so 400,000 ends need 64 descriptors.
class UdpSessions {
 public:
  explicit UdpSessions(const SessionsOptions& options);
  // Returns when all are paired; throws where the relay refuses or stays silent.
  void establish();
  // Sends a datagram through each of up to a thousand pairs, spread over all; the share that
  // arrived.
  [[nodiscard]] double share_alive() const;

 private:
  const SessionsOptions& options_;
  TokenMint mint_;
  std::uint64_t session_base_;
  std::vector<Socket> ports_;
  std::vector<SampledPair> samples_;
};

// TCP pairs, joined by worker processes that then hold or close them.
class TcpSessions {
 public:
  explicit TcpSessions(const SessionsOptions& options) : options_(options) {}
  ~TcpSessions();
  TcpSessions(const TcpSessions&) = delete;
  TcpSessions& operator=(const TcpSessions&) = delete;
  void establish();
  // Sends a byte through every pair of a relay's; the share that arrived.
  [[nodiscard]] double share_alive() const;

 private:
  struct Worker {
    pid_t pid;
    // From the worker: one byte when its pairs are joined, and after our end of file how many of
    // them still carry a byte.
    Socket line;
  };
  const SessionsOptions& options_;
  std::vector<Worker> workers_;
};

// Damaged: some probe got more bytes back than it sent, or the relay is silent altogether.
Integrity run_reflection(const RouteOptions& route, Report& report);

}  // namespace tandem::bench
