#include "room/lobby/room_types.h"

#include "common/assert.h"

namespace tandem {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::auth_failed:
      return "AUTH_FAILED";
    case ErrorCode::bad_request:
      return "BAD_REQUEST";
    case ErrorCode::not_found:
      return "NOT_FOUND";
    case ErrorCode::room_full:
      return "ROOM_FULL";
    case ErrorCode::room_locked:
      return "ROOM_LOCKED";
    case ErrorCode::bad_password:
      return "BAD_PASSWORD";
    case ErrorCode::banned:
      return "BANNED";
    case ErrorCode::not_host:
      return "NOT_HOST";
    case ErrorCode::not_in_room:
      return "NOT_IN_ROOM";
    case ErrorCode::rate_limited:
      return "RATE_LIMITED";
    case ErrorCode::over_capacity:
      return "OVER_CAPACITY";
    case ErrorCode::no_relay:
      return "NO_RELAY";
    case ErrorCode::draining:
      return "DRAINING";
    case ErrorCode::internal:
      return "INTERNAL";
  }
  TANDEM_CHECK(false);
}

std::string_view visibility_name(Visibility visibility) {
  switch (visibility) {
    case Visibility::listed:
      return "public";
    case Visibility::unlisted:
      return "unlisted";
    case Visibility::hidden:
      return "private";
  }
  TANDEM_CHECK(false);
}

std::string_view leave_cause_name(LeaveCause cause) {
  switch (cause) {
    case LeaveCause::left:
      return "left";
    case LeaveCause::timeout:
      return "timeout";
    case LeaveCause::kicked:
      return "kicked";
    case LeaveCause::banned:
      return "banned";
  }
  TANDEM_CHECK(false);
}

std::string_view close_reason_name(CloseReason reason) {
  switch (reason) {
    case CloseReason::timeout:
      return "timeout";
    case CloseReason::by_operator:
      return "operator";
    case CloseReason::draining:
      return "draining";
    case CloseReason::empty:
      return "empty";
  }
  TANDEM_CHECK(false);
}

}  // namespace tandem
