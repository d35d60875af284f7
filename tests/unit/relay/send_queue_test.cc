#include "relay/uring/send_queue.h"

#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

using namespace tandem::uring;

namespace {

struct Bytes {
  std::array<uint8_t, 4096> memory;
  Bytes() {
    for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<uint8_t>(i * 13);
  }
};

std::vector<uint8_t> flatten(std::span<const iovec> parts) {
  std::vector<uint8_t> result;
  for (const iovec& part : parts) {
    const uint8_t* data = static_cast<const uint8_t*>(part.iov_base);
    result.insert(result.end(), data, data + part.iov_len);
  }
  return result;
}

}  // namespace

TEST_CASE("chunks and pieces leave in the order they were queued") {
  Bytes bytes;
  SendNodes nodes(8, 2);
  SendQueue queue;
  CHECK(nodes.push_piece(queue, &bytes.memory[0], 10));
  nodes.push_buffer(queue, 5, &bytes.memory[10], 20);
  CHECK(nodes.push_piece(queue, &bytes.memory[30], 5));
  nodes.push_buffer(queue, 2, &bytes.memory[35], 7);

  iovec parts[8];
  const auto all = nodes.gather(queue, parts);
  CHECK(all.parts == 4);
  CHECK(all.bytes == 42);
  CHECK(flatten({parts, 4}) ==
        std::vector<uint8_t>(bytes.memory.begin(), bytes.memory.begin() + 42));

  std::vector<uint32_t> released;
  const auto release = [&](uint32_t buffer) { released.push_back(buffer); };
  CHECK(nodes.consume(queue, 29, release) == 0);  // all but one byte of buffer 5
  CHECK(nodes.consume(queue, 1, release) == 1);
  CHECK(nodes.consume(queue, 12, release) == 1);
  CHECK(released == std::vector<uint32_t>{5, 2});
  CHECK(queue.empty());
}

TEST_CASE("pieces are bounded and come back") {
  Bytes bytes;
  SendNodes nodes(1, 2);
  SendQueue one;
  SendQueue other;
  const auto nothing = [](uint32_t) {};
  for (int round = 0; round < 3; ++round) {
    CHECK(nodes.push_piece(one, bytes.memory.data(), 1));
    CHECK(nodes.push_piece(other, bytes.memory.data(), 1));
    CHECK_FALSE(nodes.push_piece(one, bytes.memory.data(), 1));
    nodes.clear(one, nothing);
    CHECK(nodes.push_piece(other, bytes.memory.data(), 1));
    nodes.clear(other, nothing);
  }
}

TEST_CASE("clear gives back every buffer, the half-sent one too") {
  Bytes bytes;
  SendNodes nodes(4, 1);
  SendQueue queue;
  for (uint32_t i = 0; i < 4; ++i) nodes.push_buffer(queue, i, &bytes.memory[i * 8], 8);
  std::vector<uint32_t> released;
  const auto release = [&](uint32_t buffer) { released.push_back(buffer); };
  nodes.consume(queue, 3, release);
  CHECK(released.empty());
  nodes.clear(queue, release);
  CHECK(released == std::vector<uint32_t>{0, 1, 2, 3});
}

TEST_CASE("any sequence of short sends delivers what was queued") {
  Bytes bytes;
  std::minstd_rand generator(7);
  const auto random = [&] { return static_cast<uint32_t>(generator()); };
  SendNodes nodes(64, 64);
  SendQueue queue;
  std::deque<uint8_t> expected;
  std::vector<uint32_t> free_buffers;
  for (uint32_t i = 0; i < 64; ++i) free_buffers.push_back(i);
  size_t at = 0;
  for (int step = 0; step < 20000; ++step) {
    const uint32_t size = 1 + random() % 50;
    if (at + size > bytes.memory.size()) at = 0;
    const uint8_t* data = &bytes.memory[at];
    bool pushed = false;
    if (random() % 4 == 0) {
      pushed = nodes.push_piece(queue, data, size);
    } else if (!free_buffers.empty()) {
      nodes.push_buffer(queue, free_buffers.back(), data, size);
      free_buffers.pop_back();
      pushed = true;
    }
    if (pushed) expected.insert(expected.end(), data, data + size);
    at += size;

    iovec parts[4];
    const auto gathered = nodes.gather(queue, parts);
    const uint32_t sent = gathered.bytes == 0 ? 0 : random() % (gathered.bytes + 1);
    const std::vector<uint8_t> flat = flatten({parts, gathered.parts});
    for (uint32_t i = 0; i < sent; ++i) {
      REQUIRE(flat[i] == expected.front());
      expected.pop_front();
    }
    nodes.consume(queue, sent, [&](uint32_t buffer) { free_buffers.push_back(buffer); });
  }
}
