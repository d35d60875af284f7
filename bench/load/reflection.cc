#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

#include "bench/load/sessions_load.h"

namespace tandem::bench {
namespace {

constexpr int kAnswerWindowMs = 100;
constexpr int kRepeats = 5;
constexpr std::uint32_t kFirstHost = 0x7f030001;  // 127.3.0.1: a source of its own for each probe

using Datagram = std::vector<std::uint8_t>;

struct Probe {
  std::string name;
  Datagram datagram;
};

Datagram typed(std::uint8_t type, std::size_t size) {
  Datagram datagram(size);
  for (std::size_t i = 1; i < size; ++i) datagram[i] = static_cast<std::uint8_t>(i);
  if (size > 0) datagram[0] = type;
  return datagram;
}

Datagram bind_of(const BindDatagram& bind, std::size_t size) {
  Datagram datagram(bind.begin(), bind.end());
  datagram.resize(size);
  return datagram;
}

// Whatever a source may send before it has proved its address: right, wrong and cut short.
std::vector<Probe> probes_of(const TokenMint& mint) {
  const auto id = random_session_base();
  const auto fresh = Binding(mint.mint_for(id, Slot::a), id).request();
  auto stale = fresh;  // a cookie and a proof that are nobody's
  std::fill(stale.begin() + 36, stale.begin() + 68, std::uint8_t{0x77});
  auto forged = fresh;
  std::fill(forged.begin() + 12, forged.begin() + 36, std::uint8_t{0x01});
  std::vector<Probe> probes{
      {"empty", {}},
      {"bind", bind_of(fresh, kBindSize)},
      {"bind, padded", bind_of(fresh, 1200)},
      {"bind, short", bind_of(fresh, kBindSize - 1)},
      {"bind, stale cookie", bind_of(stale, kBindSize)},
      {"bind, forged claims", bind_of(forged, kBindSize)},
  };
  for (const std::size_t size : {1, 8, 16, 24, 200, 1200, 1472}) {
    for (int type = 0; type <= 0x0f; ++type) {
      probes.push_back({"type " + std::to_string(type) + ", " + std::to_string(size) + " bytes",
                        typed(static_cast<std::uint8_t>(type), size)});
    }
    Datagram unbound = typed(std::to_underlying(DatagramType::ping), size);
    if (size >= 8) std::fill(unbound.begin() + 2, unbound.begin() + 8, std::uint8_t{0});
    probes.push_back({"ping, unbound, " + std::to_string(size) + " bytes", unbound});
  }
  return probes;
}

struct Reflected {
  std::uint64_t sent = 0;
  std::uint64_t returned = 0;
};

Reflected reflect(const RouteOptions& route, const Probe& probe, std::uint32_t host) {
  const Socket socket = udp_bind(address_of(host, 0));
  udp_connect(socket.fd(), route.target);
  Reflected total;
  std::array<std::uint8_t, 65536> answer;
  for (int i = 0; i < kRepeats; ++i) {
    if (::send(socket.fd(), probe.datagram.data(), probe.datagram.size(), 0) < 0) {
      throw_errno("probe");
    }
    total.sent += probe.datagram.size();
  }
  pollfd waiting{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  while (require(::poll(&waiting, 1, kAnswerWindowMs), "poll") > 0) {
    const auto got = ::recv(socket.fd(), answer.data(), answer.size(), 0);
    if (got < 0) throw_errno("reflected");
    total.returned += static_cast<std::uint64_t>(got);
  }
  return total;
}

}  // namespace

Integrity run_reflection(const RouteOptions& route, Report& report) {
  const TokenMint mint(route.key_file);
  const auto probes = probes_of(mint);
  double worst = 0;
  std::string worst_name = "none";
  Reflected total;
  std::uint32_t host = kFirstHost;
  for (const Probe& probe : probes) {
    const auto [sent, returned] = reflect(route, probe, host++);
    total.sent += sent;
    total.returned += returned;
    // What an empty datagram gets back is infinitely more than it was.
    const double factor =
        static_cast<double>(returned) / static_cast<double>(std::max<std::uint64_t>(sent, 1));
    if (factor <= worst) continue;
    worst = factor;
    worst_name = probe.name;
  }
  report.add("load", "reflection");
  report.add("probes", probes.size());
  report.add("sent_bytes", total.sent);
  report.add("returned_bytes", total.returned);
  report.add("worst_returned_per_sent", worst);
  report.add("worst_probe", worst_name);
  const bool answered = total.returned > 0;  // a dead relay reflects nothing either
  report.add("intact", std::uint64_t{answered});
  return answered && worst <= 1.0 ? Integrity::intact : Integrity::damaged;
}

}  // namespace tandem::bench
