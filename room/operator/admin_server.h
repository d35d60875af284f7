// The admin socket: who may connect, lines in, lines out. Must not know what they say. A
// connection's requests are answered one after the other; nothing that a peer does reaches past its
// own connection.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

// As the kernel noted it at connect(): SO_PEERCRED and SO_PEERGROUPS (unix(7)).
struct PeerIdentity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::span<const gid_t> groups;  // supplementary
};

enum class PeerVerdict : std::uint8_t { admitted, refused };

// Root, the daemon's own user and the socket's group. The file's mode says the same, unless
// somebody changed it or the descriptor came by another way.
[[nodiscard]] PeerVerdict judge_peer(const PeerIdentity& peer, uid_t daemon, gid_t socket_group);

struct AdminLimits {
  std::size_t connections_max = 32;            // one more is closed at once
  Nanos idle_deadline = 60 * kNanosPerSecond;  // for the next request, and for taking an answer
};

class AdminServer {
 public:
  // `line` is without its LF and lives during the call; `answer` is called once, at once or later,
  // and may outlive the server.
  using Handler =
      std::function<void(std::string_view line, std::function<void(std::string)> answer)>;

  AdminServer(boost::asio::io_context& context, AdminLimits limits, Handler handler);
  // Takes the socket's file away, where it is still this server's.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Makes the socket with mode 0660, and its folder where that alone is missing. A file that nobody
  // listens on is what a crash left and is replaced; anything else there is an error.
  [[nodiscard]] Result<void, std::string> listen(const std::string& path);

  class Impl;  // Asio stays in the .cc

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
