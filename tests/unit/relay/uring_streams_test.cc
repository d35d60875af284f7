// TCP through the back end, on loopback: every action and event.
#include <sys/resource.h>

#include <thread>
#include <utility>

#include "tests/unit/relay/uring_fixture.h"

using namespace tandem;
using namespace tandem::uring;
using Event = StreamEvent::Kind;
using Act = StreamAction::Kind;

namespace {

constexpr uint32_t kMany = 1u << 20;

// Reads from `client` until `bytes` are there, while the relay turns.
std::vector<uint8_t> collect(Fixture& relay, const Descriptor& client, size_t bytes) {
  std::vector<uint8_t> got;
  relay.until([&] {
    const auto some = receive_some(client, 65536);
    got.insert(got.end(), some.begin(), some.end());
    return got.size() >= bytes;
  });
  return got;
}

int last_error(const Descriptor& client) {
  uint8_t byte;
  return ::recv(client.get(), &byte, 1, 0) < 0 ? errno : 0;
}

}  // namespace

TEST_CASE("a stream's first line, its bytes and its end") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    auto [client, stream, remote] = relay.connect();
    CHECK(remote == local_endpoint(client));

    uint8_t line[16] = {};
    relay.read_line(stream, line, sizeof line);
    send_all(client, pattern(5));
    CHECK(relay.expect(Event::line).bytes == 5);
    CHECK(std::vector<uint8_t>(line, line + 5) == pattern(5));

    relay.act(Act::read, stream, kMany);
    const auto sent = pattern(300'000);
    std::jthread sender([&] {
      send_all(client, sent);
      ::shutdown(client.get(), SHUT_WR);
    });
    std::vector<uint8_t> echoed;
    bool finished = false;
    relay.until([&] {
      for (; !relay.events.empty(); relay.events.pop_front()) {
        const StreamEvent& event = relay.events.front();
        if (event.kind == Event::received) relay.send(stream, event.chunk);
        if (event.kind == Event::finished) finished = true;
      }
      const auto some = receive_some(client, 65536);
      echoed.insert(echoed.end(), some.begin(), some.end());
      return finished && echoed.size() == sent.size();
    });
    sender.join();
    CHECK(echoed == sent);
    relay.act(Act::finish, stream);
    relay.until([&] { return ::recv(client.get(), line, 1, MSG_DONTWAIT) == 0; });
    relay.act(Act::close, stream);
    CHECK(relay.expect(Event::closed).stream == stream);
  });
}

TEST_CASE("a FIN instead of a first line") {
  Fixture relay;
  relay.start();
  auto [client, stream, remote] = relay.connect();
  uint8_t line[16];
  relay.read_line(stream, line, sizeof line);
  ::shutdown(client.get(), SHUT_WR);
  CHECK(relay.expect(Event::line).bytes == 0);
}

TEST_CASE("a credit is respected to the byte, however much is waiting") {
  in_each_mode([](Fixture& relay) {
    relay.options.stream_buffer_bytes = 4096;
    relay.start();
    auto [client, stream, remote] = relay.connect();
    const auto sent = pattern(200'000);
    send_all(client, sent);
    std::vector<uint8_t> all;
    uint32_t seed = 1;
    while (all.size() < sent.size()) {
      seed = seed * 1103515245 + 12345;
      const uint32_t left = static_cast<uint32_t>(sent.size() - all.size());
      const uint32_t credit = std::min(1 + seed % 20'000, left);
      relay.act(Act::read, stream, credit);
      relay.expect(Event::read_ended);
      relay.turn();
      uint32_t got = 0;
      for (; !relay.events.empty(); relay.events.pop_front()) {
        const StreamEvent& event = relay.events.front();
        REQUIRE(event.kind == Event::received);
        got += event.chunk.bytes;
        relay.release(event.chunk);
      }
      REQUIRE(got == credit);
      all.resize(all.size() + got);
    }
    ::shutdown(client.get(), SHUT_WR);
    relay.act(Act::read, stream, 1);
    relay.expect(Event::finished);
  });
}

TEST_CASE("small messages of a spent ring entry do not tear what follows") {
  // A limit that ends within a buffer shortens it in the kernel's ring; the next tenant must cope.
  in_each_mode([](Fixture& relay) {
    relay.options.stream_buffer_bytes = 4096;
    relay.options.stream_buffers = 16;
    relay.start();
    auto first = relay.connect();
    auto second = relay.connect();
    const auto sent = pattern(20'000);
    for (uint32_t round = 0; round < 50; ++round) {
      relay.act(Act::read, first.stream, 100 + round * 37);  // armed, and nothing comes
      relay.turn();
      relay.act(Act::read, second.stream, 20'000);
      send_all(second.client, sent);
      std::vector<uint8_t> echoed;
      relay.until([&] {
        std::erase_if(relay.events, [&](const StreamEvent& event) {
          if (event.kind == Event::received) relay.send(second.stream, event.chunk);
          return event.kind == Event::received;
        });
        const auto some = receive_some(second.client, 65536);
        echoed.insert(echoed.end(), some.begin(), some.end());
        return echoed.size() == sent.size();
      });
      REQUIRE(echoed == sent);
      relay.expect(Event::read_ended);
      relay.act(Act::pause, first.stream);
      CHECK(relay.expect(Event::read_ended).stream == first.stream);
    }
  });
}

TEST_CASE("pause takes back what is left") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    auto [client, stream, remote] = relay.connect();
    for (int round = 0; round < 20; ++round) {
      relay.act(Act::read, stream, kMany);
      relay.turn();
      relay.act(Act::pause, stream);
      relay.act(Act::pause, stream);
      relay.expect(Event::read_ended);
      CHECK_FALSE(relay.saw(Event::read_ended));
      send_all(client, pattern(10));
      relay.turn(kNanosPerMillisecond);
      CHECK_FALSE(relay.saw(Event::received));
      relay.act(Act::read, stream, 10);
      relay.expect(Event::read_ended);
      CHECK(relay.release_received() == 10);
    }
  });
}

TEST_CASE("short sends keep the order, ours and the received between each other") {
  in_each_mode([](Fixture& relay) {
    relay.tcp_send_buffer = 8192;
    relay.start();
    auto [source, from, a] = relay.connect();
    auto [sink, to, b] = relay.connect(16384);
    const auto body = pattern(400'000);
    const auto greeting = pattern(1000, 9);
    relay.send_bytes(to, greeting.data(), 1000);
    std::jthread sender([&] { send_all(source, body); });
    relay.act(Act::read, from, static_cast<uint32_t>(body.size()));
    std::vector<uint8_t> got;
    uint64_t sent_bytes = 0;
    uint32_t chunks = 0;
    uint32_t sent_chunks = 0;
    relay.until([&] {
      for (; !relay.events.empty(); relay.events.pop_front()) {
        const StreamEvent& event = relay.events.front();
        if (event.kind == Event::received) {
          relay.send(to, event.chunk);
          ++chunks;
        }
        if (event.kind == Event::sent) {
          sent_bytes += event.bytes;
          sent_chunks += event.chunks;
        }
      }
      const auto some = receive_some(sink, 20'000);
      got.insert(got.end(), some.begin(), some.end());
      return sent_bytes == body.size() + greeting.size() && got.size() == sent_bytes;
    });
    sender.join();
    CHECK(std::equal(greeting.begin(), greeting.end(), got.begin()));
    CHECK(std::equal(body.begin(), body.end(), got.begin() + 1000));
    CHECK(chunks == sent_chunks);
  });
}

TEST_CASE("a few buffers starve the readers and let all of them come to an end") {
  in_each_mode([](Fixture& relay) {
    relay.options.stream_buffers = 4;
    relay.options.stream_buffer_bytes = 4096;
    relay.start();
    const uint64_t free = relay.io->stream_bytes_free();
    std::vector<Fixture::Connected> peers;
    std::vector<uint64_t> got(8);
    for (int i = 0; i < 8; ++i) {
      peers.push_back(relay.connect());
      relay.act(Act::read, peers.back().stream, kMany);
    }
    for (auto& peer : peers) send_all(peer.client, pattern(100'000));
    uint64_t total = 0;
    relay.until([&] {
      std::erase_if(relay.events, [&](const StreamEvent& event) {
        if (event.kind != Event::received) return false;
        total += event.chunk.bytes;
        relay.release(event.chunk);
        return true;
      });
      return total == 800'000;
    });
    CHECK(relay.io->counters().starved_reads.load() > 0);
    for (auto& peer : peers) relay.act(Act::pause, peer.stream);
    for (size_t i = 0; i < peers.size(); ++i) relay.expect(Event::read_ended);
    relay.turn();
    CHECK(relay.io->stream_bytes_free() == free);
  });
}

TEST_CASE("a reader that starves can be paused, and reads on when there are buffers") {
  in_each_mode([](Fixture& relay) {
    relay.options.stream_buffers = 4;
    relay.options.stream_buffer_bytes = 4096;
    relay.start();
    auto [client, stream, remote] = relay.connect();
    send_all(client, pattern(60'000));
    relay.act(Act::read, stream, kMany);
    relay.until([&] { return relay.io->counters().starved_reads.load() > 0; });
    relay.turn();
    relay.act(Act::pause, stream);
    relay.expect(Event::read_ended);
    const uint32_t got = relay.release_received();
    CHECK(got <= 4 * 4096);
    relay.act(Act::read, stream, 60'000 - got);
    uint32_t rest = 0;
    relay.until([&] { return (rest += relay.release_received()) == 60'000 - got; });
    relay.expect(Event::read_ended);
  });
}

TEST_CASE("starved readers take turns without waiting; one that is paused is not resumed") {
  in_each_mode([](Fixture& relay) {
    relay.options.stream_buffers = 4;
    relay.options.stream_buffer_bytes = 4096;
    relay.start();
    auto greedy = relay.connect();
    auto idle = relay.connect();
    auto busy = relay.connect();
    auto paused = relay.connect();
    send_all(greedy.client, pattern(4 * 4096));
    relay.act(Act::read, greedy.stream, 4 * 4096);
    relay.expect(Event::read_ended);  // with every buffer
    send_all(busy.client, pattern(10));
    const auto starve = [&](StreamId stream) {
      const uint64_t before = relay.io->counters().starved_reads.load();
      relay.act(Act::read, stream, 10);
      relay.until([&] { return relay.io->counters().starved_reads.load() > before; });
    };
    starve(paused.stream);
    starve(idle.stream);
    starve(busy.stream);
    CHECK(relay.release_received() == 4 * 4096);
    relay.act(Act::pause, paused.stream);
    CHECK(relay.expect(Event::read_ended).stream == paused.stream);
    const Nanos deadline = monotonic_now() + kPatience;
    while (!relay.saw(Event::received) && monotonic_now() < deadline) relay.turn(kPatience);
    CHECK(monotonic_now() < deadline);
    CHECK(relay.release_received() == 10);
    CHECK(relay.expect(Event::read_ended).stream == busy.stream);
  });
}

TEST_CASE("a reset is seen by the watch while nothing is read") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    auto [client, stream, remote] = relay.connect();
    relay.act(Act::watch, stream);
    relay.act(Act::watch, stream);
    send_all(client, pattern(100));
    relay.turn(kNanosPerMillisecond);
    reset_connection(client);
    const StreamEvent event = relay.expect(Event::broken);
    CHECK(event.stream == stream);
    CHECK(event.error == ECONNRESET);
    relay.act(Act::close, stream);
    relay.expect(Event::closed);
    CHECK(relay.events.empty());
  });
}

TEST_CASE("a FIN is seen by the watch that asks for it, and by no other") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    auto [client, stream, remote] = relay.connect();
    relay.act(Act::watch, stream);
    relay.turn();
    ::shutdown(client.get(), SHUT_WR);
    relay.turn(2 * kNanosPerMillisecond);
    CHECK(relay.events.empty());
    relay.act(Act::watch, stream, 1);  // while the other is armed
    CHECK(relay.expect(Event::half_closed).stream == stream);
    // Both FINs: a hang-up, but nothing is broken.
    relay.act(Act::watch, stream);
    relay.act(Act::finish, stream);
    relay.turn(2 * kNanosPerMillisecond);
    relay.turn(2 * kNanosPerMillisecond);
    CHECK_FALSE(relay.saw(Event::broken));
    relay.act(Act::read, stream, 10);
    relay.expect(Event::finished);
  });
}

TEST_CASE("a reset is seen by the watch after a FIN too, which wakes it once") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    for (const uint32_t fin : {0u, 1u}) {
      auto [client, stream, remote] = relay.connect();
      relay.act(Act::watch, stream, fin);
      relay.turn();
      ::shutdown(client.get(), SHUT_WR);
      if (fin != 0) CHECK(relay.expect(Event::half_closed).stream == stream);
      const uint64_t before = relay.io->ring_counters().cqes.load();
      for (int i = 0; i < 10; ++i) relay.turn(kNanosPerMillisecond);
      CHECK(relay.io->ring_counters().cqes.load() <= before + 1);
      CHECK(relay.events.empty());
      reset_connection(client);
      const StreamEvent event = relay.expect(Event::broken);
      CHECK(event.stream == stream);
      CHECK(event.error == EPIPE);  // what the kernel says of a reset after a FIN
      relay.act(Act::close, stream);
      CHECK(relay.expect(Event::closed).stream == stream);
      CHECK(relay.events.empty());
    }
  });
}

TEST_CASE("a broken stream says so once, and its buffers come back") {
  in_each_mode([](Fixture& relay) {
    relay.tcp_send_buffer = 4096;
    relay.start();
    const uint64_t free = relay.io->stream_bytes_free();
    auto [source, from, a] = relay.connect();
    auto [sink, to, b] = relay.connect(4096);
    relay.act(Act::read, from, 200'000);
    relay.act(Act::read, to, 1000);
    send_all(source, pattern(200'000));
    relay.expect(Event::read_ended);
    std::erase_if(relay.events, [&](const StreamEvent& event) {
      if (event.kind != Event::received) return false;
      relay.send(to, event.chunk);
      return true;
    });
    relay.turn(kNanosPerMillisecond);
    CHECK(relay.io->stream_bytes_free() < free);
    reset_connection(sink);
    CHECK(relay.expect(Event::broken).stream == to);
    relay.turn(kNanosPerMillisecond);
    CHECK(relay.io->stream_bytes_free() == free);
    CHECK_FALSE(relay.saw(Event::broken));
    relay.act(Act::close, to);
    CHECK(relay.expect(Event::closed).stream == to);
  });
}

TEST_CASE("close with everything in flight, and slots that are used again at once") {
  in_each_mode([](Fixture& relay) {
    relay.options.streams_max = 2;
    relay.start();
    const uint64_t free = relay.io->stream_bytes_free();
    StreamId before;
    for (int round = 0; round < 100; ++round) {
      auto [client, stream, remote] = relay.connect();
      CHECK_FALSE(stream == before);
      before = stream;
      relay.act(Act::watch, stream, 1);
      relay.act(Act::read, stream, kMany);
      if (round % 2 == 0) relay.turn();
      send_all(client, pattern(50'000));
      relay.act(round % 3 == 0 ? Act::reset : Act::close, stream);
      relay.expect(Event::closed);
      relay.release_received();
      relay.turn();
      CHECK(relay.events.empty());
      CHECK(relay.io->stream_bytes_free() == free);
      if (round % 3 == 0) CHECK(last_error(client) == ECONNRESET);
    }
  });
}

TEST_CASE("linger_close: what is queued arrives, what still comes is dropped") {
  in_each_mode([](Fixture& relay) {
    relay.start();
    auto [client, stream, remote] = relay.connect();
    relay.act(Act::read, stream, kMany);
    send_all(client, pattern(3000));
    const auto farewell = pattern(500);
    relay.send_bytes(stream, farewell.data(), 500);
    relay.act(Act::linger_close, stream);
    CHECK(collect(relay, client, 500) == farewell);
    uint8_t byte;
    relay.until([&] { return ::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0; });
    CHECK_FALSE(relay.saw(Event::closed));
    client.reset();
    relay.expect(Event::closed);
  });
}

TEST_CASE("linger_close gives up on a peer that never stops") {
  Fixture relay;
  relay.start();
  auto [client, stream, remote] = relay.connect();
  relay.act(Act::linger_close, stream);
  const auto flood = pattern(4096);
  relay.until([&] {
    ::send(client.get(), flood.data(), flood.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return relay.saw(Event::closed);
  });
}

TEST_CASE("a connection goes over to another shard with what it has not yet read") {
  Fixture relay;
  relay.start();
  Fixture other;
  other.start();
  auto [client, stream, remote] = relay.connect();
  uint8_t line[4];
  relay.read_line(stream, line, sizeof line);
  send_all(client, pattern(1000));
  relay.expect(Event::line);
  const DetachedStream detached = relay.io->detach(stream);
  CHECK(detached.remote == remote);
  CHECK(detached.local == LocalAddress{kLoopback, 0});
  const auto adopted = other.io->adopt(detached);
  REQUIRE(adopted.has_value());
  other.act(Act::read, *adopted, 996);
  other.expect(Event::read_ended);
  CHECK(other.release_received() == 996);
  relay.turn();
  CHECK(relay.events.empty());
}

TEST_CASE("out of descriptors: accepting stops, says so and goes on when told") {
  in_each_mode([](Fixture& relay) {
    relay.open();
    const Descriptor next(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // The kernel notes the limit when the accept is armed, that is in the first turn.
    rlimit before;
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{3, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const SocketName name(Endpoint{kLoopback, relay.port});
    REQUIRE(::connect(next.get(), &name.any, name.length) == 0);
    CHECK(relay.expect(Event::accept_failed).error == EMFILE);
    relay.turn(kNanosPerMillisecond);
    CHECK_FALSE(relay.saw(Event::accept_failed));
    ::setrlimit(RLIMIT_NOFILE, &before);
    relay.act(Act::accept_again, {});
    CHECK(relay.expect(Event::accepted).remote == local_endpoint(next));
    CHECK(relay.io->counters().accept_failures.load() == 1);
  });
}

TEST_CASE("no slot: the connection is refused, the others stay") {
  Fixture relay;
  relay.options.streams_max = 1;
  relay.start();
  auto [client, stream, remote] = relay.connect();
  const Descriptor refused = relay.client_socket(SOCK_STREAM);
  relay.until([&] { return relay.io->counters().accepts_refused.load() == 1; });
  relay.act(Act::read, stream, 10);
  send_all(client, pattern(10));
  relay.expect(Event::read_ended);
}

namespace {

int option_of(const Descriptor& socket, int name) {
  int value = 0;
  socklen_t bytes = sizeof value;
  REQUIRE(::getsockopt(socket.get(), SOL_SOCKET, name, &value, &bytes) == 0);
  return value;
}

// The receive and send buffers of the relay's end of a connection that reads.
std::pair<int, int> kernel_buffers_of_a_reader(Fixture& relay) {
  auto [client, stream, remote] = relay.connect();
  relay.act(Act::read, stream, 1);
  send_all(client, pattern(1));
  relay.expect(Event::read_ended);
  relay.release_received();
  const Descriptor socket(relay.io->detach(stream).descriptor);
  return {option_of(socket, SO_RCVBUF), option_of(socket, SO_SNDBUF)};
}

}  // namespace

TEST_CASE("the kernel's buffers are bounded for a near peer and left alone for any other") {
  Fixture relay;
  relay.start();
  const std::pair<int, int> near = kernel_buffers_of_a_reader(relay);
  // What the kernel makes of the bounds, which rmem_max and wmem_max may cut.
  const Descriptor fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int receive = 512 * 1024;
  const int send = 192 * 1024;
  REQUIRE(::setsockopt(fresh.get(), SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive) == 0);
  REQUIRE(::setsockopt(fresh.get(), SOL_SOCKET, SO_SNDBUF, &send, sizeof send) == 0);
  CHECK(near == std::pair(option_of(fresh, SO_RCVBUF), option_of(fresh, SO_SNDBUF)));

  Fixture distant;
  distant.options.near_us = 0;
  distant.start();
  const std::pair<int, int> left_alone = kernel_buffers_of_a_reader(distant);
  CHECK(left_alone.first != near.first);
  CHECK(left_alone.second != near.second);
}
