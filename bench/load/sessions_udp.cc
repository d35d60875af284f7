#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "bench/load/sessions_load.h"

namespace tandem::bench {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kPorts = 64;
constexpr std::uint32_t kFirstHost = 0x7f010000;  // 127.1.0.0
constexpr std::uint32_t kHostsMax = 0x00fe0000;   // stays within 127/8
constexpr int kReceiveBuffer = 4 << 20;
constexpr auto kRetryAfter = 250ms;
constexpr int kRetriesMax = 40;
constexpr std::size_t kSamplesMax = 1000;
constexpr int kArrivalTimeoutMs = 1000;

// End number e is port e mod kPorts of host e div kPorts.
struct End {
  std::uint32_t host;
  std::size_t port_index;
};
End end_of(std::size_t number) {
  return {.host = kFirstHost + static_cast<std::uint32_t>(number / kPorts),
          .port_index = number % kPorts};
}
std::size_t number_of(const End& end) {
  return (end.host - kFirstHost) * kPorts + end.port_index;
}

union PacketInfo {  // aligned as CMSG_FIRSTHDR wants it
  char bytes[CMSG_SPACE(sizeof(in_pktinfo))];
  cmsghdr header;
};

void send_from(int fd, std::uint32_t host, const SocketAddress& to,
               std::span<const std::uint8_t> datagram) {
  SocketAddress destination = to;
  iovec part{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
  PacketInfo control{};
  msghdr message{};
  message.msg_name = &destination;
  message.msg_namelen = sizeof destination;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  control.header = {
      .cmsg_len = CMSG_LEN(sizeof(in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
  const in_pktinfo info{.ipi_ifindex = 0, .ipi_spec_dst = {htonl(host)}, .ipi_addr = {}};
  std::memcpy(CMSG_DATA(&control.header), &info, sizeof info);
  if (::sendmsg(fd, &message, 0) < 0) throw_errno("sending BIND");
}

struct Arrival {
  std::uint32_t host = 0;  // the address of ours that it reached
  std::size_t size = 0;
};

// Nothing where nothing is waiting.
std::optional<Arrival> receive_at(int fd, std::span<std::uint8_t> into) {
  iovec part{into.data(), into.size()};
  PacketInfo control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  const auto got = ::recvmsg(fd, &message, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  if (got < 0) throw_errno("receiving BOUND");
  in_pktinfo info{};
  std::memcpy(&info, CMSG_DATA(&control.header), sizeof info);
  return Arrival{.host = ntohl(info.ipi_addr.s_addr), .size = static_cast<std::size_t>(got)};
}

struct Joining {
  std::array<Binding, 2> ends;
  Clock::time_point retry_at;
  int retries = 0;
};

// The sessions that are being bound, a bounded number at once.
class Binder {
 public:
  Binder(const SessionsOptions& options, const TokenMint& mint, std::uint64_t session_base,
         const std::vector<Socket>& ports, std::vector<SampledPair>& samples)
      : options_(options),
        mint_(mint),
        session_base_(session_base),
        ports_(ports),
        samples_(samples) {}

  void run();

 private:
  void start(std::size_t session);
  void request(std::size_t session, std::size_t slot);
  void receive_all();
  void on_answer(std::size_t end, std::span<const std::uint8_t> datagram);
  void retry_late(Clock::time_point now);

  const SessionsOptions& options_;
  const TokenMint& mint_;
  std::uint64_t session_base_;
  const std::vector<Socket>& ports_;
  std::vector<SampledPair>& samples_;
  std::unordered_map<std::size_t, Joining> joining_;
};

void Binder::run() {
  std::vector<pollfd> waiting;
  for (const auto& port : ports_) waiting.push_back({port.fd(), POLLIN, 0});
  auto look_for_late_at = Clock::now() + kRetryAfter;
  for (std::size_t next = 0; next < options_.count || !joining_.empty();) {
    while (next < options_.count && joining_.size() < options_.in_flight) start(next++);
    require(::poll(waiting.data(), waiting.size(), static_cast<int>(kRetryAfter / 1ms)), "poll");
    receive_all();
    if (const auto now = Clock::now(); now >= look_for_late_at) {
      retry_late(now);
      look_for_late_at = now + kRetryAfter / 4;
    }
  }
}

void Binder::start(std::size_t session) {
  const auto id = session_id_of(session_base_, session);
  joining_.emplace(session, Joining{.ends = {Binding(mint_.mint_for(id, Slot::a), id),
                                             Binding(mint_.mint_for(id, Slot::b), ~id)},
                                    .retry_at = Clock::now() + kRetryAfter});
  request(session, 0);
  request(session, 1);
}

void Binder::request(std::size_t session, std::size_t slot) {
  const End end = end_of(2 * session + slot);
  send_from(ports_[end.port_index].fd(), end.host, options_.route.target,
            joining_.at(session).ends[slot].request());
}

void Binder::receive_all() {
  std::array<std::uint8_t, 2048> datagram;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    while (const auto arrival = receive_at(ports_[i].fd(), datagram)) {
      on_answer(number_of({.host = arrival->host, .port_index = i}),
                std::span(datagram).first(arrival->size));
    }
  }
}

void Binder::on_answer(std::size_t end, std::span<const std::uint8_t> datagram) {
  const auto found = joining_.find(end / 2);
  if (found == joining_.end()) return;
  Joining& joining = found->second;
  Binding& binding = joining.ends[end % 2];
  const auto before = binding.state();
  const auto state = binding.on_answer(datagram);
  if (state == Binding::State::refused) throw std::runtime_error("the relay refused a BIND");
  if (state == Binding::State::challenged && state != before) request(end / 2, end % 2);
  const auto paired = [](const Binding& b) { return b.state() == Binding::State::paired; };
  if (!paired(joining.ends[0]) || !paired(joining.ends[1])) return;
  const auto sample_every = std::max(options_.count / kSamplesMax, std::size_t{1});
  if (found->first % sample_every == 0) samples_.push_back({found->first, binding.data_header()});
  joining_.erase(found);
}

void Binder::retry_late(Clock::time_point now) {
  for (auto& [session, joining] : joining_) {
    if (now < joining.retry_at) continue;
    if (++joining.retries > kRetriesMax) throw std::runtime_error("the relay does not answer BIND");
    joining.retry_at = now + kRetryAfter;
    request(session, 0);
    request(session, 1);
  }
}

}  // namespace

UdpSessions::UdpSessions(const SessionsOptions& options)
    : options_(options), mint_(options.route.key_file), session_base_(random_session_base()) {
  if (options.count * 2 / kPorts >= kHostsMax) throw std::invalid_argument("too many UDP pairs");
  for (std::size_t i = 0; i < kPorts; ++i) {
    ports_.push_back(udp_bind(address_of(INADDR_ANY, 0)));
    set_option(ports_.back().fd(), IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
    set_buffers(ports_.back().fd(), 0, kReceiveBuffer);
  }
}

void UdpSessions::establish() {
  Binder(options_, mint_, session_base_, ports_, samples_).run();
}

double UdpSessions::share_alive() const {
  const auto arrives = [this](const SampledPair& sample) {
    const End from = end_of(2 * sample.session);
    const End to = end_of(2 * sample.session + 1);
    send_from(ports_[from.port_index].fd(), from.host, options_.route.target, sample.header);
    pollfd waiting{.fd = ports_[to.port_index].fd(), .events = POLLIN, .revents = 0};
    std::array<std::uint8_t, 2048> datagram;
    while (require(::poll(&waiting, 1, kArrivalTimeoutMs), "poll") > 0) {
      const auto arrival = receive_at(waiting.fd, datagram);
      if (arrival && arrival->host == to.host &&
          std::ranges::equal(std::span(datagram).first(arrival->size), sample.header)) {
        return true;
      }
    }
    return false;
  };
  const auto alive = std::ranges::count_if(samples_, arrives);
  return ratio(static_cast<double>(alive), static_cast<double>(samples_.size()));
}

}  // namespace tandem::bench
