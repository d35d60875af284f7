#include "room/operator/admin_commands.h"

#include <utility>

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/overloaded.h"
#include "common/token.h"
#include "room/version.h"

namespace tandem {
namespace {

const AdminError kNoRoom{AdminErrorCode::not_found, "there is no such room"};

// Why the relay did not, or nothing where it did.
std::optional<AdminError> refusal_of(RelayOutcome outcome) {
  switch (outcome) {
    case RelayOutcome::done:
      return std::nullopt;
    case RelayOutcome::not_found:
      return AdminError{AdminErrorCode::not_found, "no such entry"};
    case RelayOutcome::table_full:
      return AdminError{AdminErrorCode::table_full, "the table is full"};
    case RelayOutcome::request_failed:
      return AdminError{AdminErrorCode::no_answer, "a shard did not answer in time"};
  }
  return AdminError{AdminErrorCode::no_answer, "a shard did not answer in time"};
}

RelayControl::Done answer_outcome(AdminCommands::Answer answer) {
  return [answer = std::move(answer)](RelayOutcome outcome) {
    const auto refusal = refusal_of(outcome);
    answer(refusal ? encode_error(*refusal) : encode_done());
  };
}

// For the calls that bring something with their outcome.
template <class Value, class Encode>
auto answer_value(AdminCommands::Answer answer, Encode encode) {
  return [answer = std::move(answer), encode](RelayOutcome outcome, const Value& value) {
    const auto refusal = refusal_of(outcome);
    answer(refusal ? encode_error(*refusal) : encode(value));
  };
}

// What an operator changed stands in the log; what was only looked at does not.
void log_change(const AdminRequest& request) {
  const auto note = [](std::string_view msg, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::info, "admin", msg, fields);
  };
  std::visit(
      Overloaded{
          [&](const admin::Kick& kick) {
            note("kick", {{"session", format_session_id(kick.id)}});
          },
          [&](const admin::Block& block) {
            note("block", {{"network", to_string(block.network)}, {"seconds", block.seconds}});
          },
          [&](const admin::Unblock& unblock) {
            note("unblock", {{"network", to_string(unblock.network)}});
          },
          [&](const admin::SetDraining& set) { note(set.draining ? "drain" : "undrain"); },
          [&](const admin::SetLogLevel& set) {
            note("log level", {{"level", log_level_name(set.level)}});
          },
          [&](const admin::CloseRoom& room) {
            note("close room", {{"room", room.name}});
          },
          [&](const MintRequest&) { note("mint"); },
          [&](const admin::Backup& backup) {
            note("backup", {{"path", backup.path}});
          },
          [](const auto&) {},
      },
      request);
}

ReloadDone answer_reload(AdminCommands::Answer answer) {
  return [answer = std::move(answer)](const ReloadOutcome& outcome) {
    answer(outcome ? encode_reloaded(*outcome)
                   : encode_error({AdminErrorCode::failed, outcome.error()}));
  };
}

}  // namespace

AdminCommands::AdminCommands(RelayControl& relay, AdminSources sources)
    : relay_(relay), sources_(std::move(sources)) {}

void AdminCommands::execute(std::string_view line, Answer answer) {
  const auto request = decode_request(line);
  if (!request) return answer(encode_error(request.error()));
  log_change(*request);
  execute(*request, answer);
}

void AdminCommands::execute(const AdminRequest& request, const Answer& answer) {
  const auto done = [&] { return answer_outcome(answer); };
  std::visit(
      Overloaded{
          [&](const admin::Status&) { answer(status_json(sources_.node(), relay_.features())); },
          [&](const admin::Sessions& sessions) {
            relay_.list_sessions(sessions.max,
                                 answer_value<std::vector<SessionRow>>(answer, &encode_sessions));
          },
          [&](const admin::Session& session) {
            relay_.describe_session(session.id, answer_value<SessionRow>(answer, &encode_session));
          },
          [&](const admin::Kick& kick) { relay_.kick(kick.id, done()); },
          [&](const admin::Block& block) {
            relay_.block(block.network, block.seconds * kNanosPerSecond, done());
          },
          [&](const admin::Unblock& unblock) { relay_.unblock(unblock.network, done()); },
          [&](const admin::Blocks&) {
            relay_.blocks(answer_value<std::vector<BlockRow>>(answer, &encode_blocks));
          },
          [&](const MintRequest& mint_request) { answer(mint(mint_request)); },
          [&](const admin::SetDraining& set) { answer(switch_draining(set.draining)); },
          [&](const admin::Reload&) { sources_.reload(answer_reload(answer)); },
          [&](const admin::SetLogLevel& set) {
            set_log_level(set.level);
            answer(encode_done());
          },
          [&](const admin::Backup& backup) { back_up(backup.path, answer); },
          [&](const admin::Version&) { answer(encode_version(version())); },
          [&](const auto&) { execute_on_rooms(request, answer); },
      },
      request);
}

void AdminCommands::execute_on_rooms(const AdminRequest& request, const Answer& answer) {
  const RoomAdmin& rooms = sources_.rooms;
  if (!rooms.rooms)
    return answer(encode_error({AdminErrorCode::refused, "this node has no rooms: room.enabled"}));
  if (const auto* all = std::get_if<admin::Rooms>(&request))
    return answer(encode_rooms(rooms.rooms(all->max)));
  if (const auto* clients = std::get_if<admin::Clients>(&request))
    return answer(encode_clients(rooms.clients(clients->max)));
  if (const auto* closed = std::get_if<admin::CloseRoom>(&request))
    return answer(close_room(closed->name));
  const auto* one = std::get_if<admin::Room>(&request);
  TANDEM_CHECK(one != nullptr);
  const auto view = rooms.room(one->name);
  answer(view ? encode_room(*view) : encode_error(kNoRoom));
}

std::string AdminCommands::close_room(std::string_view name) const {
  const auto view = sources_.rooms.room(name);
  return view && sources_.rooms.close(view->record.id) ? encode_done() : encode_error(kNoRoom);
}

std::string AdminCommands::mint(const MintRequest& request) const {
  const std::uint64_t session_id = request.session_id.value_or(random_session_id());
  const auto minted =
      mint_tokens(sources_.keyring(), request, session_id, unix_now(), sources_.token_max_age_s());
  if (!minted) return encode_error({AdminErrorCode::bad_request, minted.error()});
  return encode_minted(*minted);
}

void AdminCommands::back_up(const std::string& path, const Answer& answer) const {
  if (!sources_.backup)
    return answer(encode_error({AdminErrorCode::refused, "the daemon keeps no database"}));
  sources_.backup(path, [answer](const Result<BackupReport, std::string>& report) {
    answer(report ? encode_backed_up(report->path, report->bytes)
                  : encode_error({AdminErrorCode::failed, report.error()}));
  });
}

std::string AdminCommands::switch_draining(bool draining) const {
  switch (sources_.set_draining(draining)) {
    case DrainSwitch::switched:
      return encode_done();
    case DrainSwitch::stopping:
      break;
  }
  return encode_error({AdminErrorCode::refused, "the daemon is stopping"});
}

}  // namespace tandem
