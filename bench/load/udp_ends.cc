#include "bench/load/udp_ends.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <vector>

#include "bench/load/client_hosts.h"
#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kPorts = 64;
constexpr int kReceiveBuffer = 4 << 20;

// ---- shared sockets: end number e is port e mod kPorts of host e div kPorts ----

union PacketInfo {  // aligned as CMSG_FIRSTHDR wants it
  char bytes[CMSG_SPACE(sizeof(in_pktinfo))];
  cmsghdr header;
};

void send_from(int fd, std::uint32_t host, SocketAddress to,
               std::span<const std::uint8_t> datagram) {
  iovec part{const_cast<std::uint8_t*>(datagram.data()), datagram.size()};
  PacketInfo control{};
  msghdr message{};
  message.msg_name = to.get();
  message.msg_namelen = to.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  control.header = {
      .cmsg_len = CMSG_LEN(sizeof(in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
  const in_pktinfo info{.ipi_ifindex = 0, .ipi_spec_dst = {htonl(host)}, .ipi_addr = {}};
  std::memcpy(CMSG_DATA(&control.header), &info, sizeof info);
  if (::sendmsg(fd, &message, 0) < 0) throw_errno("send to " + to_string(to));
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
  if (got < 0) throw_errno("receive");
  in_pktinfo info{};
  std::memcpy(&info, CMSG_DATA(&control.header), sizeof info);
  return Arrival{.host = ntohl(info.ipi_addr.s_addr), .size = static_cast<std::size_t>(got)};
}

class SharedUdpEnds final : public UdpEnds {
 public:
  SharedUdpEnds(const SocketAddress& target, std::size_t count) : target_(target), count_(count) {
    if (count / kPorts >= kUdpClientHostsMax) {
      throw std::runtime_error(fmt::format("127/8 has no room for {} UDP ends", count));
    }
    for (std::size_t i = 0; i < kPorts; ++i) {
      const int fd = ports_.emplace_back(udp_bind(address_of(INADDR_ANY, 0))).fd();
      set_option(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
      // An unconnected socket is told of a port where nothing listens only so.
      set_option(fd, IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR");
      set_buffers(fd, 0, kReceiveBuffer);
      waiting_.push_back({fd, POLLIN, 0});
    }
  }

  void send(std::size_t end, std::span<const std::uint8_t> datagram) override {
    const auto host = kUdpClientHosts + static_cast<std::uint32_t>(end / kPorts);
    send_from(ports_[end % kPorts].fd(), host, target_, datagram);
  }

  void receive(int timeout_ms, const Take& take) override {
    const int ready = ::poll(waiting_.data(), waiting_.size(), timeout_ms);
    if (ready < 0 && errno != EINTR) throw_errno("poll");
    if (ready <= 0) return;
    std::array<std::uint8_t, 2048> datagram;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      if (waiting_[i].revents == 0) continue;
      while (const auto arrival = receive_at(waiting_[i].fd, datagram)) {
        const std::size_t end = std::size_t{arrival->host - kUdpClientHosts} * kPorts + i;
        if (end < count_) take(end, std::span(datagram).first(arrival->size));
      }
    }
  }

 private:
  SocketAddress target_;
  std::size_t count_;
  std::vector<Socket> ports_;
  std::vector<pollfd> waiting_;
};

// ---- a socket each, connected: the address is the kernel's choice ----

class OwnUdpEnds final : public UdpEnds {
 public:
  OwnUdpEnds(const SocketAddress& target, std::size_t count)
      : target_(target), epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    const std::size_t most = sockets_max();
    if (count > most) {
      throw std::runtime_error(
          fmt::format("{} UDP ends towards {} need a descriptor each, and this process may have {} "
                      "of them (towards an address in 127/8 they share some)",
                      count, to_string(target), most));
    }
    SocketAddress any;
    any.storage.ss_family = static_cast<sa_family_t>(target.family());
    any.size = target.size;
    for (std::size_t i = 0; i < count; ++i) {
      const int fd = sockets_.emplace_back(udp_bind(any)).fd();
      udp_connect(fd, target);
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
  }

  void send(std::size_t end, std::span<const std::uint8_t> datagram) override {
    if (::send(sockets_[end].fd(), datagram.data(), datagram.size(), 0) < 0) {
      throw_errno("send to " + to_string(target_));
    }
  }

  void receive(int timeout_ms, const Take& take) override {
    std::array<epoll_event, 128> events;
    int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), timeout_ms);
    while (ready > 0) {
      for (int i = 0; i < ready; ++i) take_all(events[static_cast<std::size_t>(i)].data.u64, take);
      ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), 0);
    }
    if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  }

 private:
  void take_all(std::size_t end, const Take& take) {
    std::array<std::uint8_t, 2048> datagram;
    for (;;) {
      const auto got = ::recv(sockets_[end].fd(), datagram.data(), datagram.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) throw_errno("receive from " + to_string(target_));
      take(end, std::span(datagram).first(static_cast<std::size_t>(got)));
    }
  }

  SocketAddress target_;
  std::vector<Socket> sockets_;
  Socket epoll_;
};

}  // namespace

std::unique_ptr<UdpEnds> make_udp_ends(const SocketAddress& target, std::size_t count) {
  if (has_many_hosts(target)) return std::make_unique<SharedUdpEnds>(target, count);
  return std::make_unique<OwnUdpEnds>(target, count);
}

}  // namespace tandem::bench
