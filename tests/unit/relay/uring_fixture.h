// A back end on loopback and clients that are plain blocking sockets.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "relay/uring/address.h"
#include "relay/uring/uring_io.h"

namespace tandem::uring {

// A bound, never waited for: under a sanitizer, beside other tests, a turn may take seconds.
inline constexpr Nanos kPatience = 30 * kNanosPerSecond;

inline const IpAddress kLoopback = IpAddress::v4(127, 0, 0, 1);

struct Fixture {
  ListenOptions listen;
  UringOptions options;
  std::unique_ptr<UringIo> io;
  uint16_t port = 0;
  int tcp_send_buffer = 0;         // of each connection; 0: the kernel's choice
  bool udp_checksums = true;       // of what is sent
  std::deque<StreamEvent> events;  // not yet looked at
  std::function<void(Datagram&)> on_datagram;
  bool busy = false;  // something came in the last turn

  Fixture() {
    listen.addresses = {kLoopback};
    options.submission = Submission::defer;
    options.ring_entries = 256;
    options.streams_max = 64;
  }

  void start() {
    open();
    turn();
  }
  void open() {
    if (tcp_send_buffer != 0) options.near_us = 0;  // that size is to stay
    auto sockets = open_listeners(listen, 1);
    REQUIRE_MESSAGE(sockets.has_value(), (sockets ? "" : sockets.error()));
    port = (*sockets)[0][0].port;
    if (tcp_send_buffer != 0)
      ::setsockopt((*sockets)[0][0].tcp.get(), SOL_SOCKET, SO_SNDBUF, &tcp_send_buffer,
                   sizeof tcp_send_buffer);
    const int no_check = udp_checksums ? 0 : 1;
    ::setsockopt((*sockets)[0][0].udp.get(), SOL_SOCKET, SO_NO_CHECK, &no_check, sizeof no_check);
    auto opened = UringIo::open(options, std::move((*sockets)[0]));
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error()));
    io = std::move(*opened);
  }

  void turn(Nanos wait = 0) {
    io->turn(io->now() + wait);
    for (Datagram& datagram : io->datagrams()) {
      if (on_datagram) on_datagram(datagram);
      io->release(datagram.buffer);
    }
    for (const StreamEvent& event : io->stream_events()) events.push_back(event);
    busy = !io->datagrams().empty() || !io->stream_events().empty();
  }

  // Turns until `done`, or fails.
  template <class Done>
  void until(Done&& done) {
    const Nanos deadline = monotonic_now() + kPatience;
    while (!done()) {
      REQUIRE(monotonic_now() < deadline);
      turn(busy ? 0 : kNanosPerMillisecond);  // what the last turn led to leaves with this one
    }
  }

  // The next event of this kind; the others are kept.
  StreamEvent expect(StreamEvent::Kind kind) {
    StreamEvent found;
    until([&] {
      for (auto event = events.begin(); event != events.end(); ++event) {
        if (event->kind != kind) continue;
        found = *event;
        events.erase(event);
        return true;
      }
      return false;
    });
    return found;
  }
  bool saw(StreamEvent::Kind kind) const {
    for (const StreamEvent& event : events)
      if (event.kind == kind) return true;
    return false;
  }

  void act(StreamAction::Kind kind, StreamId stream, uint32_t bytes = 0) {
    StreamAction action;
    action.kind = kind;
    action.stream = stream;
    action.bytes = bytes;
    io->perform(action);
  }
  void read_line(StreamId stream, uint8_t* into, uint32_t bytes) {
    StreamAction action;
    action.kind = StreamAction::Kind::read_line;
    action.stream = stream;
    action.bytes = bytes;
    action.into = into;
    io->perform(action);
  }
  void send(StreamId stream, const Chunk& chunk) {
    StreamAction action;
    action.kind = StreamAction::Kind::send;
    action.stream = stream;
    action.chunk = chunk;
    io->perform(action);
  }
  void send_bytes(StreamId stream, const uint8_t* data, uint32_t bytes) {
    StreamAction action;
    action.kind = StreamAction::Kind::send_bytes;
    action.stream = stream;
    action.data = data;
    action.bytes = bytes;
    io->perform(action);
  }
  void release(const Chunk& chunk) {
    StreamAction action;
    action.kind = StreamAction::Kind::release;
    action.chunk = chunk;
    io->perform(action);
  }

  // Gives back everything that came, so far, and counts it.
  uint32_t release_received() {
    uint32_t bytes = 0;
    std::erase_if(events, [&](const StreamEvent& event) {
      if (event.kind != StreamEvent::Kind::received) return false;
      bytes += event.chunk.bytes;
      release(event.chunk);
      return true;
    });
    return bytes;
  }

  // A client and the stream that it became.
  struct Connected {
    Descriptor client;
    StreamId stream;
    Endpoint remote;
  };
  Connected connect(int receive_buffer = 0) {
    Connected result{client_socket(SOCK_STREAM, receive_buffer), {}, {}};
    const StreamEvent event = expect(StreamEvent::Kind::accepted);
    result.stream = event.stream;
    result.remote = event.remote;
    CHECK(event.local == LocalAddress{kLoopback, 0});
    return result;
  }

  Descriptor client_socket(int type, int receive_buffer = 0) const {
    Descriptor fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    REQUIRE(fd.open());
    if (receive_buffer != 0)
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const SocketName name(Endpoint{kLoopback, port});
    const int connected = ::connect(fd.get(), &name.any, name.length);
    const std::string reason = connected == 0 ? "" : std::strerror(errno);
    REQUIRE_MESSAGE(connected == 0, reason);
    // Only now: with a time-out, the ring's own notifications would end a connect() with EINTR.
    const timeval patience{kPatience / kNanosPerSecond, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
  }
};

// Both ways of submitting and both ways of reading.
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

inline Endpoint local_endpoint(const Descriptor& socket) {
  SocketName name;
  ::getsockname(socket.get(), &name.any, &name.length);
  return to_endpoint(name);
}

inline std::vector<uint8_t> pattern(size_t bytes, uint32_t seed = 1) {
  std::vector<uint8_t> result(bytes);
  uint32_t state = seed;
  for (uint8_t& byte : result) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return result;
}

inline void send_all(const Descriptor& socket, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    REQUIRE(sent > 0);
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

// What is there now, at most `max` bytes.
inline std::vector<uint8_t> receive_some(const Descriptor& socket, size_t max) {
  std::vector<uint8_t> result(max);
  const ssize_t got = ::recv(socket.get(), result.data(), max, MSG_DONTWAIT);
  result.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return result;
}

inline void reset_connection(Descriptor& socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.reset();
}

}  // namespace tandem::uring
