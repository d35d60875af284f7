// The back end as a whole: listening, waiting, waking, and what it says of itself.
#include <algorithm>
#include <thread>

#include "tests/unit/relay/uring_fixture.h"

using namespace tandem;
using namespace tandem::uring;

TEST_CASE("a turn waits for its deadline and no longer") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    const Nanos before = monotonic_now();
    relay.io->turn(before + 20 * kNanosPerMillisecond);
    CHECK(relay.io->now() - before >= 19 * kNanosPerMillisecond);
    CHECK(relay.io->stream_events().empty());
    relay.io->turn(relay.io->now() - 1);  // long past
  });
}

TEST_CASE("wake() from another thread ends a wait without end") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    for (int i = 0; i < 20; ++i) {
      std::thread waker([&] { relay.io->wake(); });
      relay.io->turn(std::nullopt);
      waker.join();
    }
  });
}

TEST_CASE("busy polling finds what comes and gives up in time") {
  Fixture relay;
  relay.options.busy_poll_us = 200;
  relay.start();
  relay.io->turn(relay.io->now() + kNanosPerMillisecond);
  const Descriptor client = relay.client_socket(SOCK_DGRAM);
  uint32_t seen = 0;
  relay.on_datagram = [&](Datagram&) { ++seen; };
  send_all(client, pattern(10));
  relay.until([&] { return seen == 1; });
}

TEST_CASE("a ring may be made on one thread and used on another") {
  Fixture relay;
  auto sockets = open_listeners(relay.listen, 1);
  REQUIRE(sockets.has_value());
  auto io = UringIo::open(relay.options, std::move((*sockets)[0]));
  REQUIRE(io.has_value());
  std::thread([&] { (*io)->turn((*io)->now() + kNanosPerMillisecond); }).join();
}

TEST_CASE("a port that is taken is one clear line") {
  ListenOptions options;
  options.addresses = {kLoopback};
  Descriptor holder(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketName name(Endpoint{kLoopback, 0});
  REQUIRE(::bind(holder.get(), &name.any, name.length) == 0);
  REQUIRE(::listen(holder.get(), 1) == 0);
  options.port = local_endpoint(holder).port;
  const auto sockets = open_listeners(options, 1);
  REQUIRE_FALSE(sockets.has_value());
  CHECK(sockets.error() == "TCP port " + std::to_string(options.port) +
                               " is in use on 127.0.0.1: another process listens there");
}

TEST_CASE("a second daemon does not slip into the first one's group") {
  ListenOptions options;
  options.addresses = {kLoopback};
  for (const bool tcp : {false, true}) {
    options.port = 0;
    options.tcp = tcp;
    options.udp = !tcp;
    const auto first = open_listeners(options, 2);
    REQUIRE(first.has_value());
    options.port = (*first)[0][0].port;
    CHECK_FALSE(open_listeners(options, 2).has_value());
  }
}

TEST_CASE("the steering filter sends a shard key to its shard, from any address") {
  constexpr uint32_t kShards = 3;
  ListenOptions listen;
  listen.addresses = {kLoopback};
  auto sockets = open_listeners(listen, kShards);
  REQUIRE(sockets.has_value());
  const Endpoint at{kLoopback, (*sockets)[0][0].port};
  const auto arrived = [&](uint32_t shard) {
    uint8_t bytes[64];
    return ::recv((*sockets)[shard][0].udp.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0;
  };
  for (uint32_t i = 0; i < 32; ++i) {
    Descriptor client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const SocketName name(at);
    const uint8_t datagram[] = {static_cast<uint8_t>(0x05 + i % 8), static_cast<uint8_t>(i * 11),
                                0};
    REQUIRE(::sendto(client.get(), datagram, sizeof datagram, 0, &name.any, name.length) == 3);
    for (uint32_t shard = 0; shard < kShards; ++shard)
      CHECK(arrived(shard) == (shard == datagram[1] % kShards));

    const uint8_t stranger[] = {0x16, 0xfe};  // DTLS: anywhere, but once
    REQUIRE(::sendto(client.get(), stranger, sizeof stranger, 0, &name.any, name.length) == 2);
    uint32_t copies = 0;
    for (uint32_t shard = 0; shard < kShards; ++shard) copies += arrived(shard) ? 1 : 0;
    CHECK(copies == 1);
  }
}

TEST_CASE("the largest payload follows from the way's MTU") {
  Fixture relay;
  relay.start();
  // Loopback's MTU is 65,536 unless somebody changed it.
  const uint16_t payload = relay.io->max_payload({kLoopback, 5}, {kLoopback, 0});
  CHECK(payload >= 1500 - 36);
  CHECK(payload == relay.io->max_payload({kLoopback, 6}, {kLoopback, 0}));
  // No route: what every path carries.
  const IpAddress nowhere = *IpAddress::parse("100::1");
  CHECK(relay.io->max_payload({nowhere, 5}, {*IpAddress::parse("2001:db8::1"), 0}) == 1280 - 56);
}

TEST_CASE("random bytes differ from one call to the next") {
  Fixture relay;
  relay.start();
  std::array<std::array<uint8_t, 16>, 1000> values;
  for (auto& value : values) relay.io->random(value);
  std::sort(values.begin(), values.end());
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}

TEST_CASE("it says what is in use") {
  Fixture relay;
  relay.options.read_mode = ReadMode::singles;
  relay.start();
  CHECK(relay.io->describe().find("defer") == 0);
  CHECK(relay.io->describe().find("singles") != std::string::npos);
}
