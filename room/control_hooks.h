// What the control core needs from the process around it and cannot know itself: main.cc gives
// these.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/keyring.h"
#include "common/result.h"
#include "room/admission/jwt_keys.h"

namespace tandem {

// Keys as in the configuration, "sessions.max_sessions".
struct ReloadReport {
  std::vector<std::string> applied;
  std::vector<std::string> needs_restart;
};
using ReloadOutcome = Result<ReloadReport, std::string>;
using ReloadDone = std::function<void(ReloadOutcome)>;

// All but the last are set. The functions run on the control thread.
struct ControlHooks {
  // Loads the configuration again and applies what can change live, of the log too (its file is
  // opened anew in any case, by the control core). `done` is called once, at once or when every
  // shard goes by it; there is no second call before that.
  std::function<void(ReloadDone done)> reload;
  // The ring that mints; asked for each mint, so a reload may replace it.
  std::function<const Keyring&()> keyring;
  // What clients' tokens are signed with; asked for each, so a reload may replace them.
  std::function<const JwtKeys&()> jwt_keys;
  // What admin.token_file had at the start; not empty.
  std::string operator_token;
  // Every 100 ms: drains what the shards sent, whether or not they woke the control thread for it.
  std::function<void()> on_tick;
};

}  // namespace tandem
