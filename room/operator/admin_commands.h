// What each admin request does, over RelayControl and the process's hooks. Knows no socket; answers
// may come later, when the shards have answered.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/relay_control.h"
#include "room/control_hooks.h"
#include "room/node_report.h"
#include "room/operator/admin_protocol.h"
#include "room/storage/store.h"

namespace tandem {

enum class DrainSwitch : std::uint8_t { switched, stopping };

// What the operator asks of the rooms; none of it is set where room.enabled is off.
struct RoomAdmin {
  std::function<std::vector<RoomView>(std::size_t most)> rooms;
  std::function<std::optional<RoomView>(std::string_view id_or_code)> room;
  std::function<bool(std::string_view id)> close;  // false: there is no such room
  std::function<std::vector<ClientView>(std::size_t most)> clients;
};

struct AdminSources {
  std::function<NodeState()> node;
  std::function<const Keyring&()> keyring;
  std::function<void(ReloadDone)> reload;
  // `stopping`: the process is on its way out and cannot be undrained.
  std::function<DrainSwitch(bool draining)> set_draining;
  std::function<std::uint32_t()> token_max_age_s;  // a reload may change it
  RoomAdmin rooms = {};
  std::function<void(std::string path, BackupDone done)> backup = {};  // empty: no store
};

class AdminCommands {
 public:
  // One JSON object without the LF; called once, at once or later.
  using Answer = std::function<void(std::string)>;

  // `relay` outlives this.
  AdminCommands(RelayControl& relay, AdminSources sources);

  void execute(std::string_view line, Answer answer);

 private:
  void execute(const AdminRequest& request, const Answer& answer);
  void execute_on_rooms(const AdminRequest& request, const Answer& answer);
  [[nodiscard]] std::string close_room(std::string_view name) const;
  [[nodiscard]] std::string mint(const MintRequest& request) const;
  [[nodiscard]] std::string switch_draining(bool draining) const;
  void back_up(const std::string& path, const Answer& answer) const;

  RelayControl& relay_;
  AdminSources sources_;
};

}  // namespace tandem
