#include "room/lobby/room_outcome.h"

#include "common/assert.h"
#include "room/lobby/message.h"

namespace tandem {

std::string_view room_event_name(RoomEventName name) {
  switch (name) {
    case RoomEventName::room_created:
      return "room:created";
    case RoomEventName::room_list:
      return "room:list";
    case RoomEventName::room_list_update:
      return "room:list:update";
    case RoomEventName::room_joined:
      return "room:joined";
    case RoomEventName::room_left:
      return "room:left";
    case RoomEventName::room_updated:
      return "room:updated";
    case RoomEventName::room_kicked:
      return "room:kicked";
    case RoomEventName::room_host:
      return "room:host";
    case RoomEventName::room_closed:
      return "room:closed";
    case RoomEventName::room_resumed:
      return "room:resumed";
    case RoomEventName::room_message:
      return "room:message";
    case RoomEventName::player_joined:
      return "player:joined";
    case RoomEventName::player_left:
      return "player:left";
    case RoomEventName::player_ready:
      return "player:ready";
    case RoomEventName::p2p_signal:
      return "p2p:signal";
    case RoomEventName::error:
      return "error";
  }
  TANDEM_CHECK(false);
}

void Outcome::clear() {
  error.reset();
  password = PasswordWork::none;
  verifier.clear();
  relay.reset();
  revoked.clear();
  notices.clear();
  text_.clear();
  recipients_.clear();
  events_.clear();
  acknowledgement_ = {};
  text_used_ = recipients_used_ = 0;
}

std::string_view Outcome::acknowledgement() const {
  return std::string_view(text_).substr(acknowledgement_.begin,
                                        acknowledgement_.end - acknowledgement_.begin);
}

RoomEvent Outcome::event(std::size_t index) const {
  TANDEM_CHECK(index < events_.size());
  const Entry& entry = events_[index];
  return {.name = entry.name,
          .arguments =
              std::string_view(text_).substr(entry.text.begin, entry.text.end - entry.text.begin),
          .to = std::span(recipients_).subspan(entry.to.begin, entry.to.end - entry.to.begin),
          .attachments = entry.attachments};
}

void Outcome::refuse(ClientKey asker, ApiError reason) {
  append_failure(text_, reason);
  acknowledge();
  append_error(text_, reason);
  to(asker);
  end_event(RoomEventName::error);
  error = std::move(reason);
}

void Outcome::to(std::span<const ClientKey> clients) {
  recipients_.insert(recipients_.end(), clients.begin(), clients.end());
}

void Outcome::end_event(RoomEventName name, bool attachments) {
  const Range recipients{.begin = recipients_used_, .end = recipients_.size()};
  recipients_used_ = recipients_.size();
  if (recipients.begin == recipients.end) {
    text_.resize(text_used_);
    return;
  }
  events_.push_back(
      {.name = name, .attachments = attachments, .text = rest_of_text(), .to = recipients});
}

void Outcome::acknowledge() {
  acknowledgement_ = rest_of_text();
}

Outcome::Range Outcome::rest_of_text() {
  const Range range{.begin = text_used_, .end = text_.size()};
  text_used_ = text_.size();
  return range;
}

}  // namespace tandem
