// The operator's HTTP routes: the dashboard, what it shows and what it does.
//
//   GET / and /dashboard               the page, for everybody; it asks for the token
//   GET /api/v1/overview               overview_json()
//   GET /api/v1/sessions?limit=50      {"total":2,"sessions":[...]}, the busiest first
//   GET /api/v1/sessions/{id}          one of these; DELETE ends it
//   GET /api/v1/blocks                 {"blocks":[...]}
//   POST /api/v1/blocks                {"network":"192.0.2.0/24","seconds":300}; 0: until removed
//   DELETE /api/v1/blocks?network=     takes it away
//   POST /api/v1/drain                 {"draining":true}
//   GET /api/v1/rooms?all=true&limit=50&cursor=
//                                      {"rooms":[...],"nextCursor":"50"}, those not listed too
//   DELETE /api/v1/rooms/{id}          closes a room
//
// Everything but the page wants the operator's token as a Bearer token; a header, so nothing that
// another site makes a browser send can do harm. Must not know sockets, shards or rooms: it has
// RelayControl and functions of whoever joins the parts. One thread, the control core's.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "common/relay_control.h"
#include "room/operator/admin_commands.h"
#include "room/operator/operator_request.h"
#include "room/operator/overview.h"
#include "room/web/http_message.h"
#include "room/web/web_server.h"

namespace tandem {

// Texts that a reload may replace.
struct NodeIdentity {
  std::string_view id;
  std::string_view host;
  std::string_view region;
};

struct OperatorSources {
  std::string_view token;  // the operator's, not empty; outlives the routes
  std::function<NodeIdentity()> identity;
  std::function<NodeState()> node;
  std::function<RoomOverview()> rooms;
  std::function<DrainSwitch(bool draining)> set_draining;
  // As GET /api/v1/rooms?all=true gives it.
  std::function<std::string(std::uint32_t cursor, std::uint32_t limit)> rooms_json;
  std::function<bool(std::string_view id)> close_room;  // false: there is no such room
};

class OperatorRoutes {
 public:
  using Answer = std::function<void(HttpReply)>;

  // `relay` outlives this; what it calls back after this is gone goes nowhere.
  OperatorRoutes(RelayControl& relay, OperatorSources sources);
  ~OperatorRoutes();
  OperatorRoutes(const OperatorRoutes&) = delete;
  OperatorRoutes& operator=(const OperatorRoutes&) = delete;

  // By path, and by method where others share the path.
  [[nodiscard]] static bool handles(const HttpRequest& request) {
    return is_operator_request(request);
  }

  // Of what it handles. Answered once, at once or when the shards have answered, which takes two
  // seconds at most. A refusal for want of the token is in the log.
  void answer(const HttpRequest& request, Answer answer);
  void answer(const HttpRequest& request, HttpResponder responder) {
    const auto held = std::make_shared<HttpResponder>(std::move(responder));
    answer(request, Answer([held](HttpReply reply) { held->reply(std::move(reply)); }));
  }

 private:
  struct Listing;

  void execute(const OperatorRequest& request, Answer answer);
  void list_sessions(std::uint32_t max, Answer answer);
  [[nodiscard]] HttpReply overview() const;
  [[nodiscard]] HttpReply drain(bool draining) const;
  [[nodiscard]] HttpReply close_room(std::string_view id) const;

  RelayControl& relay_;
  OperatorSources sources_;
  std::shared_ptr<Listing> listing_;
};

}  // namespace tandem
