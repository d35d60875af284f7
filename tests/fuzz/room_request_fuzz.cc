// Clients' events: whatever stands behind the name is a request within its bounds, or one sentence;
// and a registry that applies it answers with JSON.
//
// The first byte chooses the event, the second how many attachments it has.
#include <array>
#include <string_view>
#include <vector>

#include "common/assert.h"
#include "room/lobby/message.h"
#include "room/lobby/room_registry.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

constexpr std::size_t kSentenceMax = 512;
constexpr std::size_t kDepthMax = 64;
constexpr std::array<std::string_view, 18> kEvents = {
    "room:create",   "room:list",    "room:subscribe", "room:unsubscribe", "room:join",
    "room:leave",    "room:update",  "room:kick",      "room:ban",         "room:transfer",
    "room:ready",    "room:message", "p2p:signal",     "p2p:success",      "p2p:failure",
    "relay:beacons", "relay:report", "room:unheard of"};

class Counting final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(state_ = state_ * 5 + 3);
  }

 private:
  std::uint32_t state_ = 0;
};

void check_text(std::string_view text, std::size_t most) {
  const auto count = visible_code_points(text);
  TANDEM_CHECK(count && *count <= most);
}

void check_bounds(const RoomRequest& request) {
  if (const auto* create = std::get_if<CreateRoom>(&request)) {
    TANDEM_CHECK(!create->name.empty() && !create->game_id.empty());
    check_text(create->name, kRoomNameMax);
    check_text(create->game_id, kGameIdMax);
    check_text(create->region, kShortTextMax);
    TANDEM_CHECK(!create->max_players || (*create->max_players >= 2 && *create->max_players <= 8));
    TANDEM_CHECK(create->metadata.size() <= kMetadataBytesMax);
    TANDEM_CHECK(scan_json(create->metadata, kDepthMax).has_value());
  } else if (const auto* list = std::get_if<ListRooms>(&request)) {
    TANDEM_CHECK(list->limit >= 1 && list->limit <= kListLimitMax);
    check_text(list->filter.text, kRoomNameMax);
  } else if (const auto* join = std::get_if<JoinRoom>(&request)) {
    TANDEM_CHECK(!join->room.id.empty() || !join->room.code.empty());
  } else if (const auto* message = std::get_if<SendMessage>(&request)) {
    TANDEM_CHECK(scan_json(message->data, kDepthMax).has_value());
  } else if (const auto* beacons = std::get_if<ReportBeacons>(&request)) {
    TANDEM_CHECK(beacons->relays.size() <= kBeaconsMax);
  }
}

void check_outcome(const Outcome& outcome) {
  if (outcome.password != PasswordWork::none) return;
  TANDEM_CHECK(scan_json(outcome.acknowledgement(), kDepthMax + 8).has_value());
  for (std::size_t at = 0; at < outcome.event_count(); ++at)
    TANDEM_CHECK(scan_json(outcome.event(at).arguments, kDepthMax + 8).has_value());
}

void check_applied(const RoomRequest& request) {
  Counting random;
  const Moment now{.mono = kNanosPerHour, .wall = 1};
  RoomRegistry registry({.connected_max = 2, .absent_max = 1, .rooms_max = 2}, {}, SipKey{}, random,
                        now);
  Outcome outcome;
  const auto client = registry.connect(now, "c", "c", Return::fresh, outcome);
  TANDEM_CHECK(client.has_value());
  registry.apply(now, client->client, CreateRoom{.name = "n", .game_id = "1"}, outcome);
  outcome.clear();
  registry.apply(now, client->client, request, outcome);
  check_outcome(outcome);
  outcome.clear();
  (void)registry.take_list_changes(8, outcome);
  for (std::size_t at = 0; at < outcome.event_count(); ++at)
    TANDEM_CHECK(scan_json(outcome.event(at).arguments, kDepthMax + 8).has_value());
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tandem;
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto argument = scan_json(text, kDepthMax);
  if (!argument) return 0;
  const auto request = parse_request(kEvents[data[0] % kEvents.size()], {&*argument, 1},
                                     data[1] % 3, {.max_players = 8});
  if (!request) {
    TANDEM_CHECK(request.error().code == ErrorCode::bad_request);
    TANDEM_CHECK(!request.error().message.empty());
    TANDEM_CHECK(request.error().message.size() < kSentenceMax);
    return 0;
  }
  check_bounds(*request);
  check_applied(*request);
  return 0;
}
