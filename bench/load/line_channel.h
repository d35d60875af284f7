// A TCP connection that carries lines of text both ways: the control connection between two
// tandem-bench processes. Owns its socket; knows nothing of what the lines say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bench/load/interrupt.h"
#include "bench/load/socket.h"

namespace tandem::bench {

class LineChannel {
 public:
  // `line_max` bounds what is kept of a line that has not ended.
  LineChannel(Socket socket, std::size_t line_max)
      : socket_(std::move(socket)), line_max_(line_max) {}

  [[nodiscard]] int fd() const { return socket_.fd(); }
  // Without its LF, which is added.
  void send(std::string_view line);
  // Waits as long as `timeout_ms`, and no interrupt where one is given; nothing then, or where the
  // other side has closed. Throws where the line is too long.
  [[nodiscard]] std::optional<std::string> receive(const Interrupt* interrupt, int timeout_ms);

 private:
  Socket socket_;
  std::size_t line_max_;
  std::string begun_;
};

}  // namespace tandem::bench
