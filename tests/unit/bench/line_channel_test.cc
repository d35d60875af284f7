#include "bench/load/line_channel.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <thread>

namespace tandem::bench {
namespace {

constexpr std::size_t kLineMax = 10'000;
constexpr int kPatienceMs = 5000;
constexpr int kSoonMs = 20;

// The channel is at one end, the test has the other.
struct Line {
  Line() {
    std::array<int, 2> ends;
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    channel.emplace(Socket(ends[0]), kLineMax);
    other = Socket(ends[1]);
  }
  std::optional<std::string> receive(int timeout_ms = kPatienceMs) {
    return channel->receive(&interrupt, timeout_ms);
  }

  const Interrupt interrupt;
  std::optional<LineChannel> channel;
  Socket other;
};

TEST_CASE("lines that came together are told one by one") {
  Line line;
  send_all(line.other.fd(), "one\n\nthree\nfo");
  CHECK(line.receive() == "one");
  CHECK(line.receive() == "");
  CHECK(line.receive() == "three");
  CHECK(!line.receive(kSoonMs));
  send_all(line.other.fd(), "ur\n");
  CHECK(line.receive() == "four");
}

TEST_CASE("a line in pieces, of which none is the end") {
  Line line;
  const std::string text(9000, 'x');
  std::thread sender([&] {
    for (std::size_t at = 0; at < text.size(); at += 1000) {
      send_all(line.other.fd(), text.substr(at, 1000));
    }
    send_all(line.other.fd(), "\n");
  });
  CHECK(line.receive() == text);
  sender.join();
}

TEST_CASE("what is sent is one line") {
  Line line;
  line.channel->send("a line");
  line.channel->send("");
  CHECK(receive_exactly(line.other.fd(), 8, "it") == "a line\n\n");
}

TEST_CASE("a line without an end is refused at the bound") {
  Line line;
  send_all(line.other.fd(), std::string(kLineMax, 'x'));
  CHECK(!line.receive(kSoonMs));
  send_all(line.other.fd(), "x");
  CHECK_THROWS_AS((void)line.receive(), std::runtime_error);
}

TEST_CASE("nothing comes of a side that has closed, but for what it said before") {
  Line line;
  send_all(line.other.fd(), "last\nhalf");
  line.other = Socket();
  CHECK(line.receive() == "last");
  CHECK(!line.receive());
}

TEST_CASE("an interrupt ends the waiting, of who has one") {
  Line line;
  line.interrupt.wake();
  CHECK(!line.receive());
  CHECK(!line.channel->receive(nullptr, kSoonMs));
  send_all(line.other.fd(), "word\n");
  CHECK(line.channel->receive(nullptr, kPatienceMs) == "word");
}

}  // namespace
}  // namespace tandem::bench
