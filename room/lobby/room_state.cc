#include "room/lobby/room_state.h"

#include "room/text/json_write.h"

namespace tandem {

std::optional<std::uint32_t> PasswordTries::count(std::uint64_t who, std::uint32_t one_max,
                                                  Nanos now) {
  std::erase_if(tries_, [&](const Try& each) { return each.at <= now - kNanosPerMinute; });
  const auto own =
      std::count_if(tries_.begin(), tries_.end(), [&](const Try& each) { return each.who == who; });
  if (own < static_cast<std::ptrdiff_t>(one_max) && tries_.size() < kAllMax) {
    tries_.push_back({.who = who, .at = now});
    return std::nullopt;
  }
  Nanos first = now;
  if (tries_.size() >= kAllMax) first = tries_.front().at;
  if (own >= static_cast<std::ptrdiff_t>(one_max)) {
    const auto oldest = std::find_if(tries_.begin(), tries_.end(),
                                     [&](const Try& each) { return each.who == who; });
    if (oldest != tries_.end()) first = oldest->at;
  }
  const Nanos left = first + kNanosPerMinute - now;
  return static_cast<std::uint32_t>((left + kNanosPerSecond - 1) / kNanosPerSecond);
}

// The lowest one that nobody sits on, and that nobody may come back to, where there is such a one.
std::uint32_t RoomRegistry::Room::free_seat(Nanos now) const {
  std::uint32_t lowest = 0;
  for (std::uint32_t seat = 1; seat <= record.max_players; ++seat) {
    if (is_taken(seat)) continue;
    if (lowest == 0) lowest = seat;
    const bool claimed = std::any_of(former.begin(), former.end(), [&](const FormerSeat& each) {
      return each.player_id == seat && each.until > now;
    });
    if (!claimed) return seat;
  }
  return lowest;
}

void append_player(std::string& into, const PlayerRecord& player) {
  JsonObject object(into);
  object.text("clientId", player.client_id)
      .number("playerId", player.player_id)
      .text("name", player.name)
      .number("joinedAt", player.joined_at)
      .flag("ready", player.ready);
  object.end();
}

void RoomRegistry::Room::append_players(std::string& into) const {
  into += '[';
  for (const Member& member : members) {
    if (&member != &members.front()) into += ',';
    append_player(into, member.player);
  }
  into += ']';
}

const SharedJson& RoomRegistry::Room::as_public() {
  if (public_json) return public_json;
  const Member* hosting = find(host);
  std::string text;
  text.reserve(512 + record.metadata.size());
  JsonObject object(text);
  object.text("id", record.id)
      .text("code", record.code)
      .text("name", record.name)
      .text("gameId", record.game_id)
      .text("gameVersion", record.game_version)
      .text("hostId", record.host_id)
      .text("hostName", hosting == nullptr ? "" : hosting->player.name)
      .number("currentPlayers", members.size())
      .number("maxPlayers", record.max_players)
      .flag("hasPassword", !record.password_verifier.empty())
      .text("visibility", visibility_name(record.visibility))
      .flag("locked", record.locked)
      .text("region", record.region)
      .number("createdAt", record.created_at)
      .number("updatedAt", record.updated_at)
      .json("metadata", record.metadata);
  object.end();
  public_json = std::make_shared<const std::string>(std::move(text));
  return public_json;
}

const SharedJson& RoomRegistry::Room::as_member() {
  if (member_json) return member_json;
  std::string text = *as_public();
  text.pop_back();
  std::string own;
  JsonObject object(own);
  object.text("hostEndpoint", record.host_endpoint).text("hostPeerId", record.host_peer_id);
  object.end();
  own.front() = ',';
  text += own;
  member_json = std::make_shared<const std::string>(std::move(text));
  return member_json;
}

}  // namespace tandem
