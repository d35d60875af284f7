#include "room/relays/relay_fleet.h"

#include <unistd.h>

#include "common/log.h"
#include "common/token.h"

namespace tandem {

std::string node_id(const Config& config) {
  if (!config.node.id.empty()) return config.node.id;
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "tandem";
  return name;
}

LocalRelay::LocalRelay(const Config& config, RelayControl& relay) : relay_(relay) {
  apply(config);
}

void LocalRelay::apply(const Config& config) {
  node_ = {.id = node_id(config),
           .region = config.node.region,
           .host = config.node.public_host,
           .port = config.listen.port,
           .tcp = config.listen.tcp,
           .udp = config.listen.udp,
           .weight = config.node.weight};
}

std::span<const RelayNode> LocalRelay::nodes() {
  if (!node_.tcp && !node_.udp) return {};  // rooms alone
  node_.accepts = relay_.state() == RelayState::serving && relay_.healthy();
  node_.sessions = relay_.sessions();
  node_.sessions_max = relay_.sessions_max();
  return {&node_, 1};
}

void LocalRelay::revoke(std::string_view relay, std::uint64_t session_id) {
  if (relay != node_.id) return;
  relay_.kick(session_id, [session_id](RelayOutcome outcome) {
    // Not found: nobody has joined it. It is revoked all the same.
    if (outcome == RelayOutcome::done || outcome == RelayOutcome::not_found) return;
    log(LogLevel::warn, "room", "relay session not revoked",
        {{"session", format_session_id(session_id)}});
  });
}

}  // namespace tandem
