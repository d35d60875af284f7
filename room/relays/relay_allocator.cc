#include "room/relays/relay_allocator.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "common/assert.h"
#include "common/base64url.h"
#include "room/relays/token_mint.h"

namespace tandem {
namespace {

std::string random_key() {
  std::array<std::uint8_t, 32> bytes;
  TANDEM_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == ssize_t{bytes.size()});
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

}  // namespace

RelayAllocator::RelayAllocator(RelayFleet& fleet, std::function<const Keyring&()> keyring,
                               Options options)
    : fleet_(fleet), keyring_(std::move(keyring)), options_(options) {}

Result<std::uint64_t, AllocationFault> RelayAllocator::open(std::string_view region,
                                                            BeaconReports a, BeaconReports b,
                                                            std::string_view avoided) {
  const auto nodes = fleet_.nodes();
  const auto chosen = place(nodes, region, a, b, avoided);
  if (!chosen) {
    const bool drains = !nodes.empty() && std::ranges::none_of(nodes, &RelayNode::accepts);
    return unexpected(drains ? AllocationFault::draining : AllocationFault::no_relay);
  }
  std::uint64_t id = random_session_id();
  while (sessions_.contains(id)) id = random_session_id();
  sessions_.emplace(id, Opened{nodes[*chosen], random_key()});
  ++opened_;
  return id;
}

std::string_view RelayAllocator::relay_of(std::uint64_t session_id) const {
  const auto found = sessions_.find(session_id);
  return found == sessions_.end() ? std::string_view{} : found->second.relay.id;
}

bool RelayAllocator::is_usable(std::uint64_t session_id) const {
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return false;
  const auto nodes = fleet_.nodes();
  const auto relay = std::ranges::find(nodes, found->second.relay.id, &RelayNode::id);
  return relay != nodes.end() && relay->accepts;
}

std::optional<RelayTicket> RelayAllocator::grant(std::uint64_t session_id, std::uint8_t slot,
                                                 UnixSeconds now) const {
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return std::nullopt;
  const auto& [relay, e2e_key] = found->second;
  const MintRequest request{
      .slots = slot == 0 ? MintSlots::a : MintSlots::b,
      .tcp = relay.tcp,
      .udp = relay.udp,
      .expires_in_s = std::min(options_.token_lifetime_s, options_.token_max_age_s)};
  const auto minted = mint_tokens(keyring_(), request, session_id, now, options_.token_max_age_s);
  if (!minted) return std::nullopt;
  return RelayTicket{.server = relay.host,
                     .port = relay.port,
                     .token = slot == 0 ? minted->a : minted->b,
                     .session_id = session_id,
                     .slot = slot,
                     .tcp = minted->tcp,
                     .udp = minted->udp,
                     .expires_at = minted->expires_at,
                     .region = relay.region,
                     .e2e_key = e2e_key};
}

std::optional<std::vector<std::uint64_t>> RelayAllocator::take_stranded() {
  std::vector<std::string> accepting;
  for (const RelayNode& relay : fleet_.nodes())
    if (relay.accepts) accepting.push_back(relay.id);
  if (accepting == accepting_) return std::nullopt;
  accepting_ = std::move(accepting);
  std::vector<std::uint64_t> stranded;
  if (accepting_.empty()) return stranded;
  for (const auto& [session_id, opened] : sessions_)
    if (std::ranges::find(accepting_, opened.relay.id) == accepting_.end())
      stranded.push_back(session_id);
  return stranded;
}

void RelayAllocator::revoke(std::uint64_t session_id) {
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return;
  fleet_.revoke(found->second.relay.id, session_id);
  sessions_.erase(found);
}

}  // namespace tandem
