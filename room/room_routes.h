// The room service's HTTP for those who ask once: lists, one room, the relays, a guest's token.
// Requests in, replies out; knows no socket. The control thread's.
#pragma once

#include <functional>
#include <string_view>

#include "common/config.h"
#include "room/admission/jwt.h"
#include "room/admission/request_limiter.h"
#include "room/lobby/room_registry.h"
#include "room/relays/relay_fleet.h"
#include "room/room_stats.h"
#include "room/storage/store.h"
#include "room/web/http_message.h"

namespace tandem {

// All of it outlives the routes.
struct RoomRouteParts {
  RoomRegistry& registry;
  RelayFleet& fleet;
  Store& store;
  AddressLimits& address_limits;
  ClientLimiter& client_limits;
  RoomStats& stats;
  RandomSource& random;
  std::function<const JwtKeys&()> jwt_keys;
  std::string_view operator_token;  // may look at everything a client may
};

class RoomRoutes {
 public:
  RoomRoutes(const Config& config, RoomRouteParts parts);

  void apply(const Config& config) { config_ = config; }
  void set_draining(bool draining) { draining_ = draining; }

  // GET and HEAD of /api/v1/rooms, /api/v1/rooms/{id}, /api/v1/rooms/by-code/{code} and
  // /api/v1/relays; POST of /api/v1/auth/guest. The operator's token opens them, too. Whether a
  // request is the operator's own (OperatorRoutes::handles()) is asked first.
  [[nodiscard]] static bool handles(std::string_view path);
  [[nodiscard]] HttpReply answer(const HttpRequest& request, Moment now);

 private:
  [[nodiscard]] HttpReply login(const HttpRequest& request, Moment now);
  [[nodiscard]] std::optional<HttpReply> refuse(const HttpRequest& request, Moment now);
  [[nodiscard]] HttpReply list(std::string_view target) const;
  [[nodiscard]] HttpReply room(std::string_view id) const;
  [[nodiscard]] HttpReply room_by_code(std::string_view code, const IpAddress& client, Moment now);
  [[nodiscard]] HttpReply relays() const;

  Config config_;
  RoomRouteParts parts_;
  bool draining_ = false;
};

}  // namespace tandem
