// UDP through the back end, on loopback.
#include <fcntl.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "tests/unit/relay/uring_fixture.h"

using namespace tandem;
using namespace tandem::uring;

namespace {

OutgoingDatagram back_to_sender(const Datagram& datagram) {
  return {datagram.source, datagram.local,        datagram.data,
          datagram.length, datagram.segment_size, static_cast<uint16_t>(datagram.segments()),
          datagram.buffer};
}

std::vector<uint8_t> wait_for_datagram(Fixture& relay, const Descriptor& client) {
  std::vector<uint8_t> got;
  relay.until([&] { return !(got = receive_some(client, 65536)).empty(); });
  return got;
}

// While it lives this thread opens its sockets in a network of its own, where loopback takes
// packets of `mtu` bytes.
class SmallLoopback {
 public:
  explicit SmallLoopback(int mtu) {
    outside_ = Descriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    inside_ = outside_.open() && ::unshare(CLONE_NEWNET) == 0;
    if (!inside_) return;
    const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", sizeof "lo");
    request.ifr_mtu = mtu;
    REQUIRE(::ioctl(socket.get(), SIOCSIFMTU, &request) == 0);
    request.ifr_flags = IFF_UP;
    REQUIRE(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
  }
  SmallLoopback(const SmallLoopback&) = delete;
  SmallLoopback& operator=(const SmallLoopback&) = delete;
  ~SmallLoopback() {
    if (inside_) CHECK(::setns(outside_.get(), CLONE_NEWNET) == 0);
  }
  [[nodiscard]] bool permitted() const { return inside_; }

 private:
  Descriptor outside_;
  bool inside_ = false;
};

}  // namespace

TEST_CASE("datagrams come with their source and go back from where they lie") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    std::vector<Datagram> seen;
    relay.on_datagram = [&](Datagram& datagram) {
      seen.push_back(datagram);
      relay.io->forward(back_to_sender(datagram));
    };
    for (uint32_t i = 0; i < 1500; ++i) {
      const auto sent = pattern(1 + i % 1400, i);
      send_all(client, sent);
      REQUIRE(wait_for_datagram(relay, client) == sent);
    }
    REQUIRE(seen.size() == 1500);
    CHECK(seen[0].source == local_endpoint(client));
    CHECK(seen[0].local == LocalAddress{kLoopback, 0});
    CHECK_FALSE(seen[0].truncated);
  });
}

TEST_CASE("an empty datagram and the largest one") {
  Fixture relay;
  relay.start();
  const Descriptor client = relay.client_socket(SOCK_DGRAM);
  std::vector<uint32_t> lengths;
  relay.on_datagram = [&](Datagram& datagram) {
    lengths.push_back(datagram.length);
    relay.io->forward(back_to_sender(datagram));
  };
  CHECK(::send(client.get(), "", 0, 0) == 0);
  const auto largest = pattern(65507);
  send_all(client, largest);
  relay.until([&] { return lengths.size() == 2; });
  CHECK(lengths == std::vector<uint32_t>{0, 65507});
  relay.turn();
  std::vector<uint8_t> got(65507);
  CHECK(::recv(client.get(), got.data(), got.size(), 0) == 0);
  CHECK(::recv(client.get(), got.data(), got.size(), 0) == 65507);
  CHECK(got == largest);
}

TEST_CASE("a train comes as one, goes as one and keeps its segments") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    const int segment = 1000;
    ::setsockopt(client.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    uint32_t trains = 0;
    relay.on_datagram = [&](Datagram& datagram) {
      trains += datagram.segments() == 21 ? 1 : 0;
      relay.io->forward(back_to_sender(datagram));
    };
    const auto sent = pattern(20'500);
    send_all(client, sent);
    std::vector<uint8_t> got;
    for (int i = 0; i < 21; ++i) {
      const auto datagram = wait_for_datagram(relay, client);
      REQUIRE(datagram.size() == (i < 20 ? 1000 : 500));
      got.insert(got.end(), datagram.begin(), datagram.end());
    }
    CHECK(got == sent);
    CHECK(trains == 1);
    const auto& in = relay.io->counters().trains_received;
    const auto& out = relay.io->counters().trains_sent;
    relay.until([&] { return out.sum() == 21; });  // it is told after the datagrams have come
    CHECK(in.sum() == 21);
    for (size_t i = 0; i < in.buckets().size(); ++i) {
      CHECK(in.buckets()[i].load() == (i == 5 ? 1 : 0));  // 17 to 32
      CHECK(out.buckets()[i].load() == (i == 5 ? 1 : 0));
    }
  });
}

TEST_CASE("a train longer than the kernel takes leaves in parts") {
  Fixture relay;
  relay.start();
  const Descriptor client = relay.client_socket(SOCK_DGRAM);
  uint32_t segments = 0;
  relay.on_datagram = [&](Datagram& datagram) {
    OutgoingDatagram train = back_to_sender(datagram);
    train.segment_size = 10;
    segments = (datagram.length + 9) / 10;
    relay.io->forward(train);
  };
  const auto sent = pattern(1995);
  send_all(client, sent);
  std::vector<uint8_t> got;
  relay.until([&] {
    const auto some = receive_some(client, 2000);
    got.insert(got.end(), some.begin(), some.end());
    return got.size() == sent.size();
  });
  CHECK(segments == 200);
  CHECK(got == sent);
}

TEST_CASE("where no train can go its datagrams go one by one") {
  in_each_mode([](Fixture& relay) {
    relay.udp_checksums = false;  // the kernel then refuses trains: EINVAL
    relay.options.datagram_buffers = 4;
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    const int segment = 1000;
    ::setsockopt(client.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    relay.on_datagram = [&](Datagram& datagram) {
      CHECK(datagram.segments() == 6);
      relay.io->forward(back_to_sender(datagram));
    };
    for (uint32_t round = 1; round <= 20; ++round) {  // more than there are buffers
      const auto sent = pattern(5500, round);
      send_all(client, sent);
      std::vector<uint8_t> got;
      for (int i = 0; i < 6; ++i) {
        const auto datagram = wait_for_datagram(relay, client);
        REQUIRE(datagram.size() == (i < 5 ? 1000 : 500));
        got.insert(got.end(), datagram.begin(), datagram.end());
      }
      CHECK(got == sent);
      CHECK(relay.io->counters().trains_split.load() == round);
    }
    CHECK(relay.io->counters().trains_received.sum() == 20 * 6);
    CHECK(relay.io->counters().trains_sent.sum() == 0);
  });
}

TEST_CASE("of a train whose segments exceed the MTU those that fit arrive") {
  const SmallLoopback network(1280);
  if (!network.permitted()) {
    MESSAGE("skipped: a network namespace is not permitted here");
    return;
  }
  in_each_mode([](Fixture& relay) {
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    uint16_t segment = 1400;
    relay.on_datagram = [&](Datagram& datagram) {
      OutgoingDatagram train = back_to_sender(datagram);
      train.segment_size = segment;
      relay.io->forward(train);
    };
    const UringCounters& counters = relay.io->counters();
    const auto sent = pattern(5000);  // to the relay in fragments
    send_all(client, sent);
    CHECK(wait_for_datagram(relay, client) == std::vector<uint8_t>(sent.end() - 800, sent.end()));
    relay.until([&] { return counters.unsent_too_big.load() == 3; });
    CHECK(counters.trains_split.load() == 1);

    segment = 1250;  // 1,278 with its headers
    send_all(client, sent);
    std::vector<uint8_t> got;
    while (got.size() < sent.size()) {
      const auto datagram = wait_for_datagram(relay, client);
      REQUIRE(datagram.size() == 1250);
      got.insert(got.end(), datagram.begin(), datagram.end());
    }
    CHECK(got == sent);
    CHECK(counters.trains_split.load() == 1);
    CHECK(counters.unsent_too_big.load() == 3);
  });
}

TEST_CASE("a few buffers serve a flood, in order and to the last datagram") {
  in_each_mode([](Fixture& relay) {
    relay.options.datagram_buffers = 4;
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    uint32_t next = 0;
    relay.on_datagram = [&](Datagram& datagram) {
      uint32_t number = 0;
      std::memcpy(&number, datagram.data, sizeof number);
      CHECK(number == next);
      ++next;
    };
    for (uint32_t i = 0; i < 500; ++i) REQUIRE(::send(client.get(), &i, sizeof i, 0) == sizeof i);
    relay.until([&] { return next == 500; });
    CHECK(relay.io->counters().receive_ring_empty.load() > 0);
    CHECK(relay.io->kernel_drops() == 0);
  });
}

TEST_CASE("what the relay says leaves from where it was reached") {
  in_each_mode([](Fixture& relay) {
    relay.listen.addresses = {IpAddress::v4(0, 0, 0, 0)};
    relay.start();
    const IpAddress reached = IpAddress::v4(127, 0, 0, 7);
    Descriptor client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    // Connected, so that an answer from another address would not come in.
    const SocketName name(Endpoint{reached, relay.port});
    REQUIRE(::connect(client.get(), &name.any, name.length) == 0);
    relay.on_datagram = [&](Datagram& datagram) {
      CHECK(datagram.local == LocalAddress{reached, 0});
      Reply reply{datagram.source, datagram.local, 3, {'y', 'e', 's'}};
      CHECK(relay.io->reply(reply));
      relay.io->forward(back_to_sender(datagram));
    };
    send_all(client, pattern(40));
    CHECK(wait_for_datagram(relay, client) == std::vector<uint8_t>{'y', 'e', 's'});
    CHECK(wait_for_datagram(relay, client) == pattern(40));
  });
}

TEST_CASE("IPv6, by address and by wildcard") {
  const IpAddress loopback = *IpAddress::parse("::1");
  Descriptor probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketName any(Endpoint{loopback, 0});
  if (!probe.open() || ::bind(probe.get(), &any.any, any.length) != 0) return;  // a host without it
  for (const IpAddress& address : {loopback, IpAddress{}}) {
    Fixture relay;
    relay.listen.addresses = {address};
    relay.start();
    Descriptor client(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const SocketName name(Endpoint{loopback, relay.port});
    REQUIRE(::connect(client.get(), &name.any, name.length) == 0);
    relay.on_datagram = [&](Datagram& datagram) {
      CHECK(datagram.local == LocalAddress{loopback, 0});
      CHECK(datagram.source == local_endpoint(client));
      relay.io->forward(back_to_sender(datagram));
    };
    send_all(client, pattern(33));
    CHECK(wait_for_datagram(relay, client) == pattern(33));
  }
}

TEST_CASE("one buffer to several destinations comes back after the last send") {
  in_each_mode([](Fixture& relay) {
    relay.options.datagram_buffers = 2;
    relay.start();
    const Descriptor a = relay.client_socket(SOCK_DGRAM);
    const Descriptor b = relay.client_socket(SOCK_DGRAM);
    relay.on_datagram = [&](Datagram& datagram) {
      OutgoingDatagram out = back_to_sender(datagram);
      relay.io->forward(out);
      out.destination = local_endpoint(b);
      relay.io->forward(out);
    };
    for (uint32_t i = 0; i < 200; ++i) {
      send_all(a, pattern(100, i));
      REQUIRE(wait_for_datagram(relay, a) == pattern(100, i));
      REQUIRE(wait_for_datagram(relay, b) == pattern(100, i));
    }
  });
}

TEST_CASE("sends that fail are counted by reason and nothing is lost but they") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    const Descriptor client = relay.client_socket(SOCK_DGRAM);
    bool misdirect = true;
    relay.on_datagram = [&](Datagram& datagram) {
      OutgoingDatagram out = back_to_sender(datagram);
      // A socket that is bound to loopback has no route elsewhere: EINVAL.
      if (misdirect) out.destination.address = IpAddress::v4(192, 0, 2, 1);
      relay.io->forward(out);
    };
    const UringCounters& counters = relay.io->counters();
    const auto unsent = [&] {
      return counters.unsent_other.load() + counters.unsent_unreachable.load();
    };
    for (int i = 0; i < 10; ++i) send_all(client, pattern(9));
    relay.until([&] { return unsent() == 10; });
    misdirect = false;
    send_all(client, pattern(9));
    CHECK(wait_for_datagram(relay, client) == pattern(9));
    CHECK(unsent() == 10);
  });
}

TEST_CASE("a datagram of another shard goes the same way as our own") {
  Fixture relay;
  relay.options.datagram_buffers = 4;
  relay.start();
  const Descriptor client = relay.client_socket(SOCK_DGRAM);
  const auto bytes = pattern(700);
  uint32_t adopted = 0;
  for (int i = 0; i < 8; ++i) {
    auto datagram = relay.io->adopt_datagram(local_endpoint(client), {kLoopback, 0}, bytes);
    if (!datagram) continue;
    ++adopted;
    CHECK(datagram->segments() == 1);
    relay.io->forward(back_to_sender(*datagram));
    relay.io->release(datagram->buffer);
    CHECK(wait_for_datagram(relay, client) == bytes);
  }
  CHECK(adopted > 0);
}
