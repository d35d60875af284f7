// The relays that the room service can send pairs to, and the sessions that it opened there. One
// node knows itself; what hears of other nodes is another implementation of this.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/relay_control.h"
#include "room/relays/placement.h"

namespace tandem {

class RelayFleet {
 public:
  virtual ~RelayFleet() = default;

  // Good until the next call.
  [[nodiscard]] virtual std::span<const RelayNode> nodes() = 0;
  // The session is refused from now on and what is joined ends. A relay that is not there any more
  // has ended it already.
  virtual void revoke(std::string_view relay, std::uint64_t session_id) = 0;
};

// This node alone.
class LocalRelay : public RelayFleet {
 public:
  // `relay` outlives this.
  LocalRelay(const Config& config, RelayControl& relay);

  void apply(const Config& config);
  [[nodiscard]] const std::string& id() const { return node_.id; }
  [[nodiscard]] std::span<const RelayNode> nodes() override;
  void revoke(std::string_view relay, std::uint64_t session_id) override;

 private:
  RelayNode node_;
  RelayControl& relay_;
};

// node.id, or the host's name where that is empty.
[[nodiscard]] std::string node_id(const Config& config);

}  // namespace tandem
