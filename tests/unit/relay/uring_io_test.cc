#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <netinet/udp.h>

#include <thread>

#include "tests/unit/relay/uring_fixture.h"

using namespace tandem;
using namespace tandem::uring;
using Event = StreamEvent::Kind;
using Act = StreamAction::Kind;

namespace {

constexpr uint32_t kMany = 1u << 20;

// Both ways of submitting and both ways of reading: what each test case is run under.
template <class Body>
void in_each_mode(Body&& body) {
  for (const Submission submission : {Submission::defer, Submission::sqpoll})
    for (const ReadMode read_mode : {ReadMode::automatic, ReadMode::singles}) {
      CAPTURE(static_cast<int>(submission));
      CAPTURE(static_cast<int>(read_mode));
      Fixture fixture;
      fixture.options.submission = submission;
      fixture.options.sqpoll_idle_ms = 5;
      fixture.options.read_mode = read_mode;
      body(fixture);
    }
}

OutgoingDatagram back_to_sender(const Datagram& datagram) {
  return {datagram.source,       datagram.local,
          datagram.data,         datagram.length,
          datagram.segment_size, static_cast<uint16_t>(datagram.segments()),
          datagram.buffer};
}

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
    for (uint32_t i = 0; i < 2000; ++i) {
      const auto sent = pattern(1 + i % 1400, i);
      send_all(client, sent);
      std::vector<uint8_t> got;
      relay.until([&] { return !(got = receive_some(client, 65536)).empty(); });
      REQUIRE(got == sent);
    }
    REQUIRE(seen.size() == 2000);
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
    std::thread sender([&] { send_all(client, sent); ::shutdown(client.get(), SHUT_WR); });
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
