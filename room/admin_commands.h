// What each admin request does, over RelayControl and the process's hooks. Knows no socket; answers
// may come later, when the shards have answered.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/relay_control.h"
#include "room/admin_protocol.h"
#include "room/control_hooks.h"
#include "room/node_report.h"

namespace tandem {

enum class DrainSwitch : std::uint8_t { switched, stopping };

struct AdminSources {
  std::function<NodeState()> node;
  std::function<const Keyring&()> keyring;
  std::function<void(ReloadDone)> reload;
  // `stopping`: the process is on its way out and cannot be undrained.
  std::function<DrainSwitch(bool draining)> set_draining;
  std::function<std::uint32_t()> token_max_age_s;  // a reload may change it
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
  [[nodiscard]] std::string mint(const MintRequest& request) const;
  [[nodiscard]] std::string switch_draining(bool draining) const;

  RelayControl& relay_;
  AdminSources sources_;
};

}  // namespace tandem
