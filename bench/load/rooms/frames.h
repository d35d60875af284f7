// WebSocket frames (RFC 6455, 5.2) as a client writes and reads them: pure functions over bytes, no
// extension. Knows no socket and nothing of what a frame carries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::bench {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// One whole frame behind `into`, masked with the four bytes of `mask` as a client's must be.
void append_frame(std::string& into, Opcode opcode, std::string_view payload, std::uint32_t mask);

struct Frame {
  Opcode opcode = Opcode::text;
  bool final = true;
  std::string_view payload;
  std::size_t size = 0;  // with its header
};

enum class FrameOutcome : std::uint8_t {
  frame,
  partial,    // more bytes are needed
  malformed,  // no frame that a server may send: masked, a reserved bit, an unknown opcode
  too_large,  // its payload is
};

// The first frame of `bytes`, whose payload lies in them.
[[nodiscard]] FrameOutcome read_frame(std::string_view bytes, std::size_t payload_max,
                                      Frame& frame);

}  // namespace tandem::bench
