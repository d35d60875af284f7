// The room service in one piece: its port, Socket.IO, the rooms, their storage, and the tokens that
// let pairs meet at a relay. Puts the parts together and knows no rule of theirs. The control
// thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/keyring.h"
#include "common/metrics.h"
#include "common/relay_control.h"
#include "common/result.h"
#include "room/admission/jwt_keys.h"
#include "room/lobby/room_views.h"
#include "room/node_report.h"
#include "room/operator/overview.h"
#include "room/storage/store.h"
#include "room/web/web_server.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

// What it needs from the process around it.
struct RoomHooks {
  std::function<const Keyring&()> keyring;
  std::function<const JwtKeys&()> jwt_keys;
  std::string_view operator_token;  // outlives the service
  // Requests that are not the rooms': health, metrics, the operator's. Outlives the service.
  WebApp* node = nullptr;
};

class RoomService {
 public:
  // `relay` outlives this.
  RoomService(boost::asio::io_context& context, const Config& config, RelayControl& relay,
              RoomHooks hooks);
  ~RoomService();
  RoomService(const RoomService&) = delete;
  RoomService& operator=(const RoomService&) = delete;

  // Opens the storage, takes up the rooms of before, and listens; the error is one line for the
  // operator.
  [[nodiscard]] Result<void, std::string> open();
  [[nodiscard]] std::uint16_t port() const;

  // For a reload. The error says what was left as it was.
  [[nodiscard]] Result<void, std::string> apply(const Config& config);
  // Draining: every client's transport goes without a word, so that it comes back elsewhere, and
  // nobody new comes in. Rooms stay for those who come back, after a restart too; where nothing is
  // stored they are closed.
  void set_draining(bool draining);
  // At the node's end: writes what is queued for the storage, and how long what lasts between
  // members has lasted; gives how many writes were not made in time.
  std::size_t finish(Nanos patience);

  void collect(Metrics& into) const;
  // The names of monitoring.compat_metrics; `into` is the page so far, which some are summed from.
  void collect_compatible(std::uint64_t resident_bytes, Metrics& into) const;
  // The rooms' part of health.
  void describe(NodeState& node) const;
  [[nodiscard]] RoomOverview overview() const;
  [[nodiscard]] StoreStatistics storage() const;

  // The operator's. False where there is no such room.
  bool close_room(std::string_view id);
  [[nodiscard]] std::optional<RoomView> room(std::string_view id_or_code) const;
  [[nodiscard]] std::vector<RoomView> rooms(std::size_t most) const;
  // {"rooms":[...],"nextCursor":...}, as clients see them; see RoomRegistry::append_all().
  [[nodiscard]] std::string rooms_json(std::uint32_t cursor, std::uint32_t limit) const;
  [[nodiscard]] std::vector<ClientView> clients(std::size_t most) const;
  void backup(std::string path, BackupDone done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
