// Which room service is under load, and how its clients come by their tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "bench/load/address.h"
#include "bench/load/rooms/jwt.h"

namespace tandem::bench {

struct RoomService {
  SocketAddress address{};
  std::string authority;                 // HOST:PORT, as requests name it
  std::string path = "/socket.io/";      // of Engine.IO
  std::optional<JwtSecret> secret = {};  // none: each client logs in as a guest
  JwtClaims claims = {};
  std::string subjects;  // what the clients' names in this run begin with
};

// "http://HOST:PORT[/PATH]"; the path is "/socket.io/" where none is given. Throws
// std::invalid_argument for what is none, std::runtime_error where a name is unknown.
[[nodiscard]] RoomService parse_room_service(const std::string& url);

// A prefix of clients' names that no other run has.
[[nodiscard]] std::string fresh_subjects();

}  // namespace tandem::bench
