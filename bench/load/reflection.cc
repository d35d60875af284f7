#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/load/client_hosts.h"
#include "bench/load/relay_client.h"
#include "bench/load/sessions_load.h"

namespace tandem::bench {
namespace {

constexpr int kAnswerWindowMs = 100;
constexpr int kRepeats = 5;
constexpr std::size_t kProbesAtOnce = 16;

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
std::vector<Probe> probes_of(const TokenBytes& token) {
  const auto fresh = Binding(token, random_session_base()).request();
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

  // What an empty datagram gets back is infinitely more than it was.
  [[nodiscard]] double factor() const {
    return static_cast<double>(returned) / static_cast<double>(std::max<std::uint64_t>(sent, 1));
  }
};

[[noreturn]] void fail(const SocketAddress& target, std::string_view what) {
  if (errno == ECONNREFUSED) {
    throw std::runtime_error("nothing listens on UDP at " + to_string(target));
  }
  throw_errno(what);
}

// A source of its own for each probe: host and port, or where there is one host only, a port.
Socket source_for(const SocketAddress& target, std::size_t number) {
  SocketAddress source = address_of(kProbeHosts + static_cast<std::uint32_t>(number), 0);
  if (!has_many_hosts(target)) {
    source = {};
    source.storage.ss_family = static_cast<sa_family_t>(target.family());
    source.size = target.size;
  }
  Socket socket = udp_bind(source);
  udp_connect(socket.fd(), target);
  return socket;
}

// Probes under way at the same time, and what came back of each.
class Volley {
 public:
  Volley(const SocketAddress& target, std::size_t first, std::span<const Probe> probes);
  // Until nothing has come for kAnswerWindowMs.
  void receive();
  [[nodiscard]] const std::vector<Reflected>& reflected() const { return reflected_; }

 private:
  const SocketAddress& target_;
  std::vector<Socket> sockets_;
  std::vector<Reflected> reflected_;
};

Volley::Volley(const SocketAddress& target, std::size_t first, std::span<const Probe> probes)
    : target_(target), reflected_(probes.size()) {
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const Datagram& datagram = probes[i].datagram;
    const int fd = sockets_.emplace_back(source_for(target, first + i)).fd();
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      if (::send(fd, datagram.data(), datagram.size(), 0) < 0) fail(target, "probe");
      reflected_[i].sent += datagram.size();
    }
  }
}

void Volley::receive() {
  std::vector<pollfd> waiting;
  for (const auto& socket : sockets_) waiting.push_back({socket.fd(), POLLIN, 0});
  std::array<std::uint8_t, 65536> answer;
  for (;;) {
    const int ready = ::poll(waiting.data(), waiting.size(), kAnswerWindowMs);
    if (ready < 0 && errno != EINTR) throw_errno("poll");
    if (ready <= 0) return;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      const auto got = ::recv(waiting[i].fd, answer.data(), answer.size(), MSG_DONTWAIT);
      if (got < 0) fail(target_, "reflected");
      reflected_[i].returned += static_cast<std::uint64_t>(got);
    }
  }
}

struct Worst {
  std::string probe = "none";
  double factor = 0;
};

Integrity judge(const Reflected& total, const Worst& worst, Report& report) {
  if (total.returned == 0) {
    report.warnings.emplace_back("not one probe was answered: is this a relay?");
    return Integrity::damaged;
  }
  if (worst.factor > 1.0) {
    report.warnings.push_back("more came back than was sent: " + worst.probe);
    return Integrity::damaged;
  }
  return Integrity::intact;
}

}  // namespace

Integrity run_reflection(const Scene& scene, Report& report) {
  if (scene.route.kind != RouteKind::relay) {
    throw std::invalid_argument("reflect asks a relay: --relay");
  }
  const auto probes = probes_of(make_tokens(scene.tokens, 1).front().a);
  Reflected total;
  Worst worst;
  std::size_t asked = 0;
  while (asked < probes.size() && !scene.interrupt->raised()) {
    const auto size = std::min(kProbesAtOnce, probes.size() - asked);
    Volley volley(scene.route.target, asked, std::span(probes).subspan(asked, size));
    volley.receive();
    for (const Reflected& reflected : volley.reflected()) {
      total.sent += reflected.sent;
      total.returned += reflected.returned;
      if (reflected.factor() > worst.factor) {
        worst = {.probe = probes[asked].name, .factor = reflected.factor()};
      }
      ++asked;
    }
  }
  report.summary.add("probes", std::uint64_t{asked});
  report.summary.add("sent_bytes", total.sent);
  report.summary.add("returned_bytes", total.returned);
  report.summary.add("worst_returned_per_sent", worst.factor);
  report.summary.add("worst_probe", worst.probe);
  report.interrupted = asked < probes.size();
  if (report.interrupted) {
    report.warnings.push_back("only " + std::to_string(asked) + " of " +
                              std::to_string(probes.size()) + " probes were sent");
  }
  const Integrity integrity = judge(total, worst, report);
  report.summary.add("intact", std::uint64_t{integrity == Integrity::intact});
  return integrity;
}

}  // namespace tandem::bench
