#include "room/operator/operator_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/overloaded.h"
#include "common/token.h"
#include "room/dashboard/page.h"
#include "room/operator/row_json.h"
#include "room/operator/session_routes.h"

namespace tandem {
namespace {

HttpReply page_reply() {
  return {.content_type = "text/html; charset=utf-8",
          .body = std::string(dashboard_page()),
          .allow = {},
          .content_security_policy = dashboard_policy()};
}

HttpReply json_reply(std::string body) {
  return {.body = std::move(body), .allow = {}};
}

// Why the relay did not, or nothing where it did.
std::optional<HttpReply> refusal_of(RelayOutcome outcome) {
  switch (outcome) {
    case RelayOutcome::done:
      return std::nullopt;
    case RelayOutcome::not_found:
      return http_error(404, "there is no such entry");
    case RelayOutcome::table_full:
      return http_error(503, "the table is full");
    case RelayOutcome::request_failed:
      break;
  }
  return http_error(503, "a shard did not answer in time");
}

// For the calls that tell no more than how they went: `done` is the body then.
RelayControl::Done answer_outcome(OperatorRoutes::Answer answer, std::string done) {
  return [answer = std::move(answer), done = std::move(done)](RelayOutcome outcome) {
    const auto refusal = refusal_of(outcome);
    answer(refusal ? *refusal : json_reply(done));
  };
}

// What an operator changes stands in the log.
void note(std::string_view msg, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::info, "operator", msg, fields);
}

}  // namespace

// A list of sessions goes through every shard's whole table. However many pages are open, one is
// under way; who asks meanwhile gets the same. Those that wait are connections, which are bounded.
struct OperatorRoutes::Listing {
  struct Waiting {
    std::uint32_t max;
    Answer answer;
  };
  std::vector<Waiting> waiting;

  void answer(RelayOutcome outcome, std::span<const SessionRow> rows, std::uint64_t total) {
    const auto refusal = refusal_of(outcome);
    for (const Waiting& one : std::exchange(waiting, {})) {
      const auto shown = rows.first(std::min<std::size_t>(rows.size(), one.max));
      one.answer(refusal ? *refusal
                         : json_reply(fmt::format(R"({{"total":{},"sessions":{}}})", total,
                                                  rows_json(shown))));
    }
  }
};

OperatorRoutes::OperatorRoutes(RelayControl& relay, OperatorSources sources)
    : relay_(relay), sources_(std::move(sources)), listing_(std::make_shared<Listing>()) {
  TANDEM_CHECK(!sources_.token.empty());
}
OperatorRoutes::~OperatorRoutes() = default;

void OperatorRoutes::answer(const HttpRequest& request, Answer answer) {
  // Before what is wrong with the request: strangers learn nothing.
  if (wants_operator(request) &&
      judge_operator(request.authorization, sources_.token) != OperatorVerdict::admitted) {
    log_authentication_failed("http", request.client, {{"detail", "operator's token"}});
    HttpReply refusal = http_error(401, "this wants the operator's token, as a Bearer token");
    refusal.challenge = "Bearer";
    return answer(std::move(refusal));
  }
  const auto parsed = parse_operator_request(request);
  if (!parsed) return answer(parsed.error());
  execute(*parsed, std::move(answer));
}

void OperatorRoutes::execute(const OperatorRequest& request, Answer answer) {
  std::visit(
      Overloaded{
          [&](const operation::Page&) { answer(page_reply()); },
          [&](const operation::Overview&) { answer(overview()); },
          [&](const operation::Rooms& rooms) {
            answer(json_reply(sources_.rooms_json(rooms.cursor, rooms.limit)));
          },
          [&](const operation::CloseRoom& close) { answer(close_room(close.id)); },
          [&](const admin::Sessions& sessions) { list_sessions(sessions.max, std::move(answer)); },
          [&](const admin::Session& session) {
            relay_.describe_session(session.id,
                                    [answer](RelayOutcome outcome, const SessionRow& row) {
                                      const auto refusal = refusal_of(outcome);
                                      answer(refusal ? *refusal : json_reply(row_json(row)));
                                    });
          },
          [&](const admin::Kick& kick) {
            const std::string id = format_session_id(kick.id);
            note("kick", {{"session", id}});
            relay_.kick(kick.id, answer_outcome(std::move(answer),
                                                fmt::format(R"({{"sessionId":"{}"}})", id)));
          },
          [&](const admin::Blocks&) {
            relay_.blocks([answer](RelayOutcome outcome, const std::vector<BlockRow>& rows) {
              const auto refusal = refusal_of(outcome);
              answer(refusal ? *refusal
                             : json_reply(fmt::format(R"({{"blocks":{}}})", rows_json(rows))));
            });
          },
          [&](const admin::Block& block) {
            const std::string network = to_string(block.network);
            note("block", {{"network", network}, {"seconds", block.seconds}});
            relay_.block(
                block.network, block.seconds * kNanosPerSecond,
                answer_outcome(std::move(answer), fmt::format(R"({{"network":"{}","seconds":{}}})",
                                                              network, block.seconds)));
          },
          [&](const admin::Unblock& unblock) {
            const std::string network = to_string(unblock.network);
            note("unblock", {{"network", network}});
            relay_.unblock(
                unblock.network,
                answer_outcome(std::move(answer), fmt::format(R"({{"network":"{}"}})", network)));
          },
          [&](const admin::SetDraining& set) { answer(drain(set.draining)); },
      },
      request);
}

void OperatorRoutes::list_sessions(std::uint32_t max, Answer answer) {
  listing_->waiting.push_back({max, std::move(answer)});
  if (listing_->waiting.size() > 1) return;
  // The relay outlives the listing's readers.
  relay_.list_sessions(kOperatorSessionsMax,
                       [listing = std::weak_ptr(listing_), relay = &relay_](
                           RelayOutcome outcome, const std::vector<SessionRow>& rows) {
                         if (const auto here = listing.lock())
                           here->answer(outcome, rows, relay->sessions());
                       });
}

HttpReply OperatorRoutes::overview() const {
  const NodeIdentity identity = sources_.identity();
  Overview seen{.id = identity.id,
                .host = identity.host,
                .region = identity.region,
                .node = sources_.node(),
                .features = relay_.features(),
                .relay = {},
                .rooms = sources_.rooms()};
  relay_.collect(seen.relay);
  return json_reply(overview_json(seen));
}

HttpReply OperatorRoutes::drain(bool draining) const {
  switch (sources_.set_draining(draining)) {
    case DrainSwitch::switched:
      note(draining ? "drain" : "undrain");
      return json_reply(fmt::format(R"({{"draining":{}}})", draining));
    case DrainSwitch::stopping:
      break;
  }
  return http_error(409, "DRAINING", "the daemon is stopping");
}

HttpReply OperatorRoutes::close_room(std::string_view id) const {
  if (!sources_.close_room(id)) return http_error(404, "there is no such room");
  note("close room", {{"room", id}});
  return json_reply(fmt::format(R"({{"roomId":"{}"}})", id));
}

}  // namespace tandem
