// The zero-copy ways of the back end, on loopback: splice by transfer(), and SEND_ZC.
#include <thread>

#include "tests/unit/relay/uring_fixture.h"

using namespace tandem;
using namespace tandem::uring;
using Event = StreamEvent::Kind;
using Act = StreamAction::Kind;

namespace {

void transfer(Fixture& relay, StreamId from, StreamId to, uint32_t bytes) {
  StreamAction action;
  action.kind = Act::transfer;
  action.stream = from;
  action.other = to;
  action.bytes = bytes;
  relay.io->perform(action);
}

}  // namespace

TEST_CASE("a transfer moves its credit, to the byte and in order, and then the FIN is told") {
  in_each_mode([](Fixture& relay) {
    relay.tcp_send_buffer = 8192;
    relay.start();
    auto [source, from, a] = relay.connect();
    auto [sink, to, b] = relay.connect(8192);
    const auto body = pattern(500'000);
    std::jthread sender([&] {
      send_all(source, body);
      ::shutdown(source.get(), SHUT_WR);
    });
    // Queued before, so it arrives before.
    const auto greeting = pattern(3000, 5);
    relay.send_bytes(to, greeting.data(), 3000);
    uint64_t moved = 0;
    uint64_t granted = 70'000;
    bool finished = false;
    std::vector<uint8_t> got;
    transfer(relay, from, to, 70'000);
    relay.until([&] {
      for (; !relay.events.empty(); relay.events.pop_front()) {
        const StreamEvent& event = relay.events.front();
        if (event.kind == Event::transferred) moved += event.bytes;
        if (event.kind == Event::finished) finished = true;
        if (event.kind != Event::read_ended) continue;
        REQUIRE(moved == granted);
        granted += 70'000;
        transfer(relay, from, to, 70'000);
      }
      const auto some = receive_some(sink, 5000);
      got.insert(got.end(), some.begin(), some.end());
      return finished && got.size() == body.size() + greeting.size();
    });
    sender.join();
    CHECK(moved == body.size());
    CHECK(std::equal(greeting.begin(), greeting.end(), got.begin()));
    CHECK(std::equal(body.begin(), body.end(), got.begin() + 3000));
    const auto& sent = relay.io->counters().stream_sent_bytes;
    CHECK(sent[SentHow::splice].load() == body.size());
    CHECK(sent[SentHow::copied].load() == greeting.size());
    CHECK(sent[SentHow::zero_copy].load() == 0);
    CHECK(relay.io->counters().splice_bytes_lost.load() == 0);
  });
}

TEST_CASE("both directions at once, a pause, and buffers afterwards") {
  Fixture relay;
  relay.start();
  auto a = relay.connect();
  auto b = relay.connect();
  transfer(relay, a.stream, b.stream, 1u << 20);
  transfer(relay, b.stream, a.stream, 1u << 20);
  send_all(a.client, pattern(1000));
  send_all(b.client, pattern(2000, 2));
  std::vector<uint8_t> at_a;
  std::vector<uint8_t> at_b;
  relay.until([&] {
    for (const uint8_t byte : receive_some(a.client, 4000)) at_a.push_back(byte);
    for (const uint8_t byte : receive_some(b.client, 4000)) at_b.push_back(byte);
    return at_a.size() == 2000 && at_b.size() == 1000;
  });
  CHECK(at_a == pattern(2000, 2));
  CHECK(at_b == pattern(1000));
  relay.act(Act::pause, a.stream);
  CHECK(relay.expect(Event::read_ended).stream == a.stream);
  relay.act(Act::read, a.stream, 10);
  send_all(a.client, pattern(10));
  CHECK(relay.expect(Event::read_ended).stream == a.stream);
  CHECK(relay.release_received() == 10);
}

TEST_CASE("a peer that has sent its FIN and reads slowly is waited for") {
  // The kernel takes a FIN for room to send; neither an error nor a busy wait may come of it.
  for (const bool by_transfer : {false, true}) {
    CAPTURE(by_transfer);
    in_each_mode([&](Fixture& relay) {
      relay.tcp_send_buffer = 65536;
      relay.start();
      auto [source, from, a] = relay.connect();
      auto [sink, to, b] = relay.connect(65536);
      const auto body = pattern(2u << 20);
      ::shutdown(sink.get(), SHUT_WR);
      transfer(relay, to, from, 1);
      CHECK(relay.expect(Event::finished).stream == to);
      std::jthread sender([&] { send_all(source, body); });
      if (by_transfer)
        transfer(relay, from, to, static_cast<uint32_t>(body.size()));
      else
        relay.act(Act::read, from, static_cast<uint32_t>(body.size()));
      const auto pass_on = [&] {
        for (; !relay.events.empty(); relay.events.pop_front()) {
          const StreamEvent& event = relay.events.front();
          REQUIRE(event.kind != Event::broken);
          if (event.kind == Event::received) relay.send(to, event.chunk);
        }
      };
      // Everything is as full as it gets: then the relay rests.
      uint64_t before = 0;
      relay.until([&] {
        pass_on();
        const uint64_t now = relay.io->ring_counters().cqes.load();
        const bool resting = now == before;
        before = now;
        relay.turn(20 * kNanosPerMillisecond);
        return resting;
      });
      std::vector<uint8_t> got;
      relay.until([&] {
        pass_on();
        const auto some = receive_some(sink, 65536);
        got.insert(got.end(), some.begin(), some.end());
        return got.size() == body.size();
      });
      sender.join();
      CHECK(got == body);
    });
  }
}

TEST_CASE("where no pipe is free a transfer reads") {
  Fixture relay;
  relay.options.pipes_max = 0;
  relay.start();
  auto a = relay.connect();
  auto b = relay.connect();
  transfer(relay, a.stream, b.stream, 100);
  send_all(a.client, pattern(200));
  relay.expect(Event::read_ended);
  CHECK(relay.release_received() == 100);
}

TEST_CASE("an end that breaks during a transfer") {
  for (const bool source_breaks : {true, false}) {
    CAPTURE(source_breaks);
    Fixture relay;
    relay.tcp_send_buffer = 4096;
    relay.options.pipes_max = 1;
    relay.start();
    for (int round = 0; round < 5; ++round) {
      auto a = relay.connect();
      auto b = relay.connect(4096);
      transfer(relay, a.stream, b.stream, 1u << 20);
      send_all(a.client, pattern(100'000));
      relay.expect(Event::transferred);
      reset_connection(source_breaks ? a.client : b.client);
      // A reset behind bytes that nobody reads shows when the pipe moves on, so the watch tells.
      relay.act(Act::watch, a.stream);
      relay.act(Act::watch, b.stream);
      const StreamEvent event = relay.expect(Event::broken);
      CHECK(event.stream == (source_breaks ? a.stream : b.stream));
      relay.act(Act::close, a.stream);
      relay.act(Act::reset, b.stream);
      relay.expect(Event::closed);
      relay.expect(Event::closed);
      relay.events.clear();
    }
    CHECK(relay.io->counters().splice_bytes_lost.load() > 0);
  }
}

TEST_CASE("SEND_ZC delivers the same bytes, and is left off where the kernel copies") {
  in_each_mode([](Fixture& relay) {
    relay.options.zero_copy = ZeroCopy::send_zc;
    relay.tcp_send_buffer = 65536;
    relay.start();
    if (!probe_features().send_zc) return;
    const uint64_t free = relay.io->stream_bytes_free();
    auto [source, from, a] = relay.connect();
    auto [sink, to, b] = relay.connect();
    const auto body = pattern(1'000'000);
    std::jthread sender([&] { send_all(source, body); });
    relay.act(Act::read, from, static_cast<uint32_t>(body.size()));
    std::vector<uint8_t> got;
    uint64_t sent = 0;
    uint32_t chunks = 0;
    relay.until([&] {
      for (; !relay.events.empty(); relay.events.pop_front()) {
        const StreamEvent& event = relay.events.front();
        if (event.kind == Event::received) {
          relay.send(to, event.chunk);
          ++chunks;
        }
        if (event.kind != Event::sent) continue;
        sent += event.bytes;
        chunks -= event.chunks;
      }
      const auto some = receive_some(sink, 65536);
      got.insert(got.end(), some.begin(), some.end());
      return got.size() == body.size() && sent == body.size();
    });
    sender.join();
    CHECK(got == body);
    CHECK(chunks == 0);
    CHECK(relay.io->counters().zero_copy_sends.load() > 0);
    CHECK(relay.io->counters().zero_copy_copied.load() > 0);
    CHECK(relay.io->counters().stream_sent_bytes[SentHow::copied].load() == body.size());
    CHECK(relay.io->counters().stream_sent_bytes.total() == body.size());
    relay.turn();
    CHECK(relay.io->stream_bytes_free() == free);
  });
}

TEST_CASE("a connection that is closed before its notification gives its buffers back after it") {
  Fixture relay;
  relay.options.zero_copy = ZeroCopy::send_zc;
  relay.start();
  const uint64_t free = relay.io->stream_bytes_free();
  auto [source, from, a] = relay.connect();
  auto [sink, to, b] = relay.connect(4096);
  relay.act(Act::read, from, 400'000);
  send_all(source, pattern(400'000));
  relay.expect(Event::read_ended);
  for (const StreamEvent& event : relay.events)
    if (event.kind == Event::received) relay.send(to, event.chunk);
  relay.events.clear();
  relay.turn(kNanosPerMillisecond);
  relay.act(Act::reset, to);
  relay.expect(Event::closed);
  relay.until([&] { return relay.io->stream_bytes_free() == free; });
}

TEST_CASE("what SEND_ZC did not copy is counted so") {
  // On loopback the kernel copies whatever arrives, so nothing may: the peer's window is full, and
  // the connection ends before it opens.
  in_each_mode([](Fixture& relay) {
    relay.options.zero_copy = ZeroCopy::send_zc;
    relay.tcp_send_buffer = 1 << 20;
    relay.start();
    if (!probe_features().send_zc) return;
    auto [source, from, a] = relay.connect();
    auto [sink, to, b] = relay.connect(4096);
    const auto filling = pattern(12'000);  // too little for SEND_ZC, more than the window
    relay.send_bytes(to, filling.data(), 12'000);
    CHECK(relay.expect(Event::sent).bytes == 12'000);
    relay.act(Act::read, from, 300'000);
    send_all(source, pattern(300'000));
    relay.expect(Event::read_ended);
    const auto& sent = relay.io->counters().stream_sent_bytes;
    CHECK(sent[SentHow::copied].load() == 12'000);
    for (const StreamEvent& event : relay.events)
      if (event.kind == Event::received) relay.send(to, event.chunk);
    relay.events.clear();
    relay.until([&] { return relay.io->counters().zero_copy_sends.load() > 0; });
    relay.turn(kNanosPerMillisecond);
    relay.act(Act::reset, to);
    relay.expect(Event::closed);
    relay.until([&] { return sent[SentHow::zero_copy].load() != 0; });
    CHECK(relay.io->counters().zero_copy_copied.load() == 0);
    CHECK(sent[SentHow::copied].load() == 12'000);
    CHECK(sent.total() <= 312'000);
  });
}
