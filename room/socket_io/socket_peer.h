// What the Socket.IO server hangs on an Engine.IO session. For socket_server's own files.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "room/socket_io/deadline_list.h"
#include "room/socket_io/socket_server.h"

namespace tandem {

struct SocketNamespace {
  std::string name;
  SharedMessage disconnect;
};

// A binary packet whose attachments have not all come.
struct PartialPacket : DeadlineEntry {
  explicit PartialPacket(SocketPeer& whose) : peer(whose) {}

  SocketPeer& peer;
  std::string text;
  std::vector<std::string> attachments;
  std::size_t wanted = 0;
  std::size_t bytes = 0;
};

// In the list of those that are in no namespace while it has no socket.
struct SocketPeer : DeadlineEntry {
  explicit SocketPeer(EngineSession& its_session) : session(its_session) {}

  EngineSession& session;
  Socket* first = nullptr;
  std::unique_ptr<PartialPacket> partial;
  // What its sockets are told where the server closes the session.
  SocketEnd end = SocketEnd::transport_lost;
  bool was_connected = false;  // to any namespace
};

}  // namespace tandem
