#include "relay/shard_proxy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

namespace tandem {
namespace {

// Shards that only have an inbox: a test reads their commands and answers for them.
class FakeShards {
 public:
  explicit FakeShards(uint32_t count, uint64_t global_bytes_per_second = 0) {
    for (uint32_t i = 0; i < count; ++i) shards_.push_back(std::make_unique<One>(count));
    std::vector<ShardView> views;
    for (const auto& shard : shards_) {
      views.push_back({.cpu = 4,
                       .inbox = &shard->inbox,
                       .counters = &shard->counters,
                       .wake = [&woken = shard->woken] { ++woken; },
                       .collect_io = [](Metrics&, uint32_t) {},
                       .buffers =
                           [] {
                             return std::pair<uint64_t, uint64_t>{3, 8};
                           }});
    }
    auto settings = std::make_unique<ShardSettings>();
    settings->global_bytes_per_second = global_bytes_per_second;
    proxy.emplace(std::move(views), RelayFeatures{"fake", {}, {}, {}}, std::move(settings));
  }

  // The next command to that shard, of this kind.
  template <class Command>
  Command next(uint32_t shard) {
    ToShard command;
    REQUIRE(shards_[shard]->inbox.commands.try_pop(command));
    REQUIRE(std::holds_alternative<Command>(command));
    return std::get<Command>(command);
  }
  // The next of this kind; what comes before it is taken too.
  template <class Command>
  Command next_of_kind(uint32_t shard) {
    ToShard command;
    do {
      REQUIRE(shards_[shard]->inbox.commands.try_pop(command));
    } while (!std::holds_alternative<Command>(command));
    return std::get<Command>(command);
  }
  [[nodiscard]] bool idle(uint32_t shard) const { return shards_[shard]->inbox.commands.empty(); }
  void say(uint32_t shard, const FromShard& message) {
    REQUIRE(shards_[shard]->inbox.messages.try_push(message));
    proxy->drain();
  }
  void fill(uint32_t shard) {
    while (shards_[shard]->inbox.commands.try_push(SetDrain{})) {
    }
  }
  void empty(uint32_t shard) {
    ToShard command;
    while (shards_[shard]->inbox.commands.try_pop(command)) {
    }
  }
  RelayCounters& counters(uint32_t shard) { return shards_[shard]->counters; }
  [[nodiscard]] uint32_t woken(uint32_t shard) const { return shards_[shard]->woken; }

  std::optional<ShardProxy> proxy;

 private:
  struct One {
    explicit One(uint32_t shards) : inbox(shards) {}
    Inbox inbox;
    RelayCounters counters;
    uint32_t woken = 0;
  };
  std::vector<std::unique_ptr<One>> shards_;
};

// Takes an outcome once.
struct Answer {
  [[nodiscard]] RelayControl::Done done() {
    return [this](RelayOutcome it) {
      CHECK(!outcome);
      outcome = it;
    };
  }
  std::optional<RelayOutcome> outcome;
};

SessionRow row(RequestId request, uint64_t id, uint64_t bytes) {
  SessionRow made;
  made.request = request;
  made.session_id = id;
  made.ends[0].bytes = bytes / 2;
  made.ends[1].bytes = bytes - bytes / 2;
  return made;
}

const Network kNetwork = *Network::parse("192.0.2.0/24");

// ---- asking ----

TEST_CASE("a kick is for the session's own shard, which is woken, and its answer comes back") {
  FakeShards s(3);
  Answer answer;
  s.proxy->kick(0x0104, answer.done());  // 4 modulo 3
  CHECK(s.idle(0));
  CHECK(s.idle(2));
  CHECK(s.woken(1) == 1);
  const auto command = s.next<KickSession>(1);
  CHECK(command.session_id == 0x0104);
  CHECK(command.request != 0);
  CHECK(!answer.outcome);
  CommandOutcome said = CommandOutcome::done;
  RelayOutcome expected = RelayOutcome::done;
  SUBCASE("done") {}
  SUBCASE("not there") {
    said = CommandOutcome::not_found;
    expected = RelayOutcome::not_found;
  }
  SUBCASE("full") {
    said = CommandOutcome::table_full;
    expected = RelayOutcome::table_full;
  }
  s.say(1, CommandDone{command.request, said});
  CHECK(answer.outcome == expected);
}

TEST_CASE("a block is for all shards, and done when the last has answered") {
  FakeShards s(2);
  Answer answer;
  s.proxy->block(kNetwork, 60 * kNanosPerSecond, answer.done());
  const auto first = s.next<AddBlock>(0);
  const auto second = s.next<AddBlock>(1);
  CHECK(first.network == kNetwork);
  CHECK(first.duration == 60 * kNanosPerSecond);
  CHECK(!first.automatic);
  s.say(0, CommandDone{first.request, CommandOutcome::done});
  CHECK(!answer.outcome);
  s.say(1, CommandDone{second.request, CommandOutcome::done});
  CHECK(answer.outcome == RelayOutcome::done);
}

TEST_CASE("of several answers the weightiest is told") {
  using enum CommandOutcome;
  const auto told = [](CommandOutcome a, CommandOutcome b) {
    FakeShards s(2);
    Answer answer;
    s.proxy->unblock(kNetwork, answer.done());
    s.say(0, CommandDone{s.next<RemoveBlock>(0).request, a});
    s.say(1, CommandDone{s.next<RemoveBlock>(1).request, b});
    return answer.outcome;
  };
  CHECK(told(not_found, not_found) == RelayOutcome::not_found);
  CHECK(told(not_found, done) == RelayOutcome::done);
  CHECK(told(done, not_found) == RelayOutcome::done);
  CHECK(told(table_full, done) == RelayOutcome::table_full);
}

TEST_CASE("a shard that does not answer within two seconds is request_failed, and late") {
  FakeShards s(2);
  Answer answer;
  s.proxy->tick(kNanosPerSecond);
  s.proxy->block(kNetwork, 0, answer.done());
  const auto first = s.next<AddBlock>(0);
  const auto second = s.next<AddBlock>(1);
  s.say(0, CommandDone{first.request, CommandOutcome::done});
  s.proxy->tick(3 * kNanosPerSecond - 1);
  CHECK(!answer.outcome);
  s.proxy->tick(3 * kNanosPerSecond);
  CHECK(answer.outcome == RelayOutcome::request_failed);
  s.say(1, CommandDone{second.request, CommandOutcome::done});  // nobody waits any more
}

TEST_CASE("a full ring is request_failed at once, or when the others have answered") {
  FakeShards s(2);
  s.fill(1);
  Answer kick;
  s.proxy->kick(1, kick.done());
  CHECK(kick.outcome == RelayOutcome::request_failed);
  Answer block;
  s.proxy->block(kNetwork, 0, block.done());
  CHECK(!block.outcome);
  s.say(0, CommandDone{s.next<AddBlock>(0).request, CommandOutcome::done});
  CHECK(block.outcome == RelayOutcome::request_failed);
}

TEST_CASE("whoever is answered may ask again at once") {
  FakeShards s(1);
  Answer second;
  s.proxy->tick(kNanosPerSecond);
  s.proxy->kick(1, [&](RelayOutcome) { s.proxy->kick(2, second.done()); });
  s.next<KickSession>(0);
  SUBCASE("after an answer") {
    s.say(0, CommandDone{1, CommandOutcome::done});
  }
  SUBCASE("after none") {
    s.proxy->tick(4 * kNanosPerSecond);
  }
  const auto command = s.next<KickSession>(0);
  CHECK(command.session_id == 2);
  s.say(0, CommandDone{command.request, CommandOutcome::done});
  CHECK(second.outcome == RelayOutcome::done);
}

// ---- lists ----

TEST_CASE("blocks are the same everywhere, so one shard is asked") {
  FakeShards s(2);
  std::optional<RelayOutcome> outcome;
  std::vector<BlockRow> blocks;
  s.proxy->blocks([&](RelayOutcome it, std::vector<BlockRow> rows) {
    outcome = it;
    blocks = std::move(rows);
  });
  CHECK(s.idle(1));
  const RequestId request = s.next<ListBlocks>(0).request;
  s.say(0, BlockRow{request, kNetwork, 5, true});
  s.say(0, BlockRow{request + 1, kNetwork, 6, true});  // another's
  CHECK(!outcome);
  s.say(0, ListEnd{request, 0});
  CHECK(outcome == RelayOutcome::done);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].remaining == 5);
}

struct Listing {
  [[nodiscard]] auto done() {
    return [this](RelayOutcome it, std::vector<SessionRow> found) {
      outcome = it;
      for (const SessionRow& each : found) ids.push_back(each.session_id);
    };
  }
  std::optional<RelayOutcome> outcome;
  std::vector<uint64_t> ids;
};

TEST_CASE("sessions are read page by page, and the busiest of all shards kept, busiest first") {
  FakeShards s(2);
  Listing listing;
  s.proxy->list_sessions(3, listing.done());
  const auto first = s.next<ListSessions>(0);
  const auto second = s.next<ListSessions>(1);
  CHECK(first.cursor == 0);
  CHECK(first.max > 0);
  s.say(0, row(first.request, 1, 100));
  s.say(0, row(first.request, 2, 700));
  s.say(0, ListEnd{first.request, 512});
  const auto more = s.next<ListSessions>(0);
  CHECK(more.request == first.request);
  CHECK(more.cursor == 512);
  s.say(1, row(second.request, 3, 500));
  s.say(1, row(second.request, 4, 50));
  s.say(1, ListEnd{second.request, 0});
  CHECK(!listing.outcome);
  s.say(0, row(first.request, 5, 600));
  s.say(0, row(first.request, 6, 1));
  s.say(0, ListEnd{first.request, 0});
  CHECK(listing.outcome == RelayOutcome::done);
  CHECK(listing.ids == std::vector<uint64_t>{2, 5, 3});
}

TEST_CASE("each page has two seconds of its own") {
  FakeShards s(1);
  Listing listing;
  s.proxy->tick(kNanosPerSecond);
  s.proxy->list_sessions(10, listing.done());
  const auto first = s.next<ListSessions>(0);
  s.proxy->tick(2 * kNanosPerSecond + kNanosPerSecond / 2);
  s.say(0, row(first.request, 1, 1));
  s.say(0, ListEnd{first.request, 9});
  s.proxy->tick(4 * kNanosPerSecond);
  CHECK(!listing.outcome);
  s.proxy->tick(5 * kNanosPerSecond);
  CHECK(listing.outcome == RelayOutcome::request_failed);
  CHECK(listing.ids == std::vector<uint64_t>{1});  // what had come by then
}

TEST_CASE("a ring that is full between pages fails the list") {
  FakeShards s(1);
  Listing listing;
  s.proxy->list_sessions(10, listing.done());
  const auto first = s.next<ListSessions>(0);
  s.fill(0);
  s.say(0, ListEnd{first.request, 9});
  CHECK(listing.outcome == RelayOutcome::request_failed);
}

TEST_CASE("a list of none is none, however many there are") {
  FakeShards s(1);
  Listing listing;
  s.proxy->list_sessions(0, listing.done());
  const auto first = s.next<ListSessions>(0);
  s.say(0, row(first.request, 1, 1));
  CHECK(!listing.outcome);
  s.say(0, ListEnd{first.request, 0});
  CHECK(listing.outcome == RelayOutcome::done);
  CHECK(listing.ids.empty());
}

TEST_CASE("a session is described by its own shard") {
  FakeShards s(2);
  std::optional<RelayOutcome> outcome;
  SessionRow found;
  s.proxy->describe_session(3, [&](RelayOutcome it, const SessionRow& described) {
    outcome = it;
    found = described;
  });
  CHECK(s.idle(0));
  const auto command = s.next<DescribeSession>(1);
  CHECK(command.session_id == 3);
  SUBCASE("there") {
    s.say(1, row(command.request, 3, 9));
    CHECK(outcome == RelayOutcome::done);
    CHECK(found.session_id == 3);
  }
  SUBCASE("not there") {
    s.say(1, CommandDone{command.request, CommandOutcome::not_found});
    CHECK(outcome == RelayOutcome::not_found);
  }
}

// ---- what shards report ----

TEST_CASE("an automatic block is told to the other shards: the address, or its /64") {
  FakeShards s(3);
  const auto told = [&](std::string_view address) {
    s.say(1, AutoBlocked{*IpAddress::parse(address), 60 * kNanosPerSecond});
    CHECK(s.idle(1));
    for (const uint32_t other : {0u, 2u}) {
      const auto command = s.next<AddBlock>(other);
      CHECK(command.automatic);
      CHECK(command.request == 0);
      CHECK(command.duration == 60 * kNanosPerSecond);
      if (other == 2) return to_string(command.network);
    }
    return std::string();
  };
  CHECK(told("192.0.2.7") == to_string(*Network::parse("192.0.2.7")));
  CHECK(told("2001:db8::7") == "2001:db8::/64");
}

TEST_CASE("what is logged is of no other consequence") {
  FakeShards s(1);
  for (int kind = 0; kind <= static_cast<int>(LogKind::session_kicked); ++kind) {
    s.say(0, LogEvent{static_cast<LogKind>(kind), IpAddress::v4(192, 0, 2, 1), 1, "test", 2});
  }
  CHECK(s.idle(0));
}

// ---- global bandwidth ----

TEST_CASE("the global bandwidth is dealt by what each shard asks for") {
  FakeShards s(2, 1'000'000);
  const auto deal = [&](Nanos now) {
    s.proxy->tick(now);
    const uint64_t first = s.next<SetGlobalShare>(0).bytes_per_second;
    const uint64_t second = s.next<SetGlobalShare>(1).bytes_per_second;
    CHECK(first + second <= 1'000'000);
    return std::pair{first, second};
  };
  CHECK(deal(1) == std::pair<uint64_t, uint64_t>{500'000, 500'000});
  // One floods, the other wants 200,000 a second: it has that, and what it might start is kept.
  s.counters(0).demand.add(1'000'000);
  s.counters(1).demand.add(20'000);
  CHECK(deal(2) == std::pair<uint64_t, uint64_t>{800'000, 200'000});
  // An idle one keeps a part ready.
  s.counters(0).demand.add(1'000'000);
  CHECK(deal(3) == std::pair<uint64_t, uint64_t>{950'000, 50'000});
  s.counters(0).demand.add(1'000'000);
  s.counters(1).demand.add(1'000'000);
  CHECK(deal(4) == std::pair<uint64_t, uint64_t>{500'000, 500'000});
}

TEST_CASE("without a global bandwidth nothing is dealt, and taking it away takes the shares away") {
  FakeShards s(2);
  s.proxy->tick(1);
  CHECK(s.idle(0));
  FakeShards limited(1, 1000);
  limited.proxy->apply(ShardSettings{}, [](RelayOutcome) {});
  (void)limited.next<ApplySettings>(0);
  CHECK(limited.next<SetGlobalShare>(0).bytes_per_second == 0);
  limited.proxy->tick(1);
  CHECK(limited.idle(0));
}

// ---- settings ----

// The shard takes its next settings.
void apply_next(FakeShards& s, uint32_t shard) {
  const auto command = s.next_of_kind<ApplySettings>(shard);
  s.say(shard, SettingsApplied{command.request, command.settings});
}

ShardSettings with_sessions(uint32_t max) {
  ShardSettings made;
  made.max_sessions = max;
  return made;
}

TEST_CASE("settings are applied when every shard goes by them") {
  FakeShards s(2);
  const ShardSettings next = with_sessions(17);
  Answer answer;
  s.proxy->apply(next, answer.done());
  CHECK(s.proxy->sessions_max() == 17);
  const auto first = s.next<ApplySettings>(0);
  const auto second = s.next<ApplySettings>(1);
  CHECK(first.settings == second.settings);
  CHECK(first.settings != &next);  // control's own
  CHECK(first.settings->max_sessions == 17);
  s.say(0, SettingsApplied{first.request, first.settings});
  CHECK(!answer.outcome);
  s.say(1, SettingsApplied{second.request, second.settings});
  CHECK(answer.outcome == RelayOutcome::done);
  Answer again;
  s.proxy->apply(next, again.done());
  CHECK(!again.outcome);
}

TEST_CASE("a shard that does not take settings in time fails them, and not those after them") {
  FakeShards s(2);
  s.proxy->tick(kNanosPerSecond);
  Answer late;
  s.proxy->apply(with_sessions(17), late.done());
  apply_next(s, 0);
  s.proxy->tick(3 * kNanosPerSecond - 1);
  CHECK(!late.outcome);
  s.proxy->tick(3 * kNanosPerSecond);
  CHECK(late.outcome == RelayOutcome::request_failed);

  Answer next;
  s.proxy->apply(with_sessions(18), next.done());
  CHECK(!next.outcome);
  apply_next(s, 0);
  const auto held = s.next_of_kind<ApplySettings>(1);
  CHECK(held.settings->max_sessions == 17);  // kept: the shard is about to read them
  s.say(1, SettingsApplied{held.request, held.settings});
  CHECK(!next.outcome);  // that was the answer to the first
  apply_next(s, 1);
  CHECK(next.outcome == RelayOutcome::done);
}

TEST_CASE("a shard that could not be told goes on by settings that are kept for it") {
  FakeShards s(2);
  Answer told;
  s.proxy->apply(with_sessions(17), told.done());
  apply_next(s, 0);
  const auto taken = s.next_of_kind<ApplySettings>(1);
  s.say(1, SettingsApplied{taken.request, taken.settings});
  CHECK(told.outcome == RelayOutcome::done);

  s.fill(1);
  Answer partly;
  s.proxy->apply(with_sessions(18), partly.done());
  apply_next(s, 0);
  CHECK(partly.outcome == RelayOutcome::request_failed);
  CHECK(taken.settings->max_sessions == 17);  // shard 1 reads them

  s.empty(1);
  Answer all;
  s.proxy->apply(with_sessions(19), all.done());
  for (const uint32_t i : {0u, 1u}) apply_next(s, i);
  CHECK(all.outcome == RelayOutcome::done);
}

TEST_CASE("settings that reach no shard are request_failed") {
  FakeShards s(1);
  s.fill(0);
  Answer answer;
  s.proxy->apply(with_sessions(17), answer.done());
  CHECK(answer.outcome == RelayOutcome::request_failed);
  s.empty(0);
  Answer again;
  s.proxy->apply(with_sessions(18), again.done());
  apply_next(s, 0);
  CHECK(again.outcome == RelayOutcome::done);
}

// ---- state ----

TEST_CASE("draining and stopping are told to all") {
  FakeShards s(2);
  CHECK(s.proxy->state() == RelayState::serving);
  s.proxy->set_draining(true);
  CHECK(s.proxy->state() == RelayState::draining);
  for (const uint32_t i : {0u, 1u}) CHECK(s.next<SetDrain>(i).draining);
  s.proxy->set_draining(false);
  CHECK(s.proxy->state() == RelayState::serving);
  for (const uint32_t i : {0u, 1u}) CHECK(!s.next<SetDrain>(i).draining);
  s.proxy->stop();
  for (const uint32_t i : {0u, 1u}) (void)s.next<StopShard>(i);
  s.say(0, ShardStopped{});
  CHECK(!s.proxy->stopped());
  s.say(1, ShardStopped{});
  CHECK(s.proxy->stopped());
  CHECK(s.proxy->state() == RelayState::stopped);
}

TEST_CASE("a shard whose loop stands still for several checks is a fault, until it turns again") {
  FakeShards s(2);
  const auto check = [&](Nanos now, uint64_t turns_of_first, uint64_t turns_of_second) {
    s.counters(0).turns.add(turns_of_first);
    s.counters(1).turns.add(turns_of_second);
    s.proxy->tick(now * kNanosPerSecond);
    return s.proxy->healthy();
  };
  CHECK(check(1, 0, 0));   // nothing to compare with yet
  CHECK(s.woken(1) == 1);  // a sleeping one has to turn once
  CHECK(check(2, 1, 1));
  Nanos now = 3;
  for (; now < 7; ++now) CHECK(check(now, 1, 0));  // a busy host is not a fault yet
  CHECK(check(now++, 1, 1));
  for (const Nanos still = now + 4; now < still; ++now) CHECK(check(now, 1, 0));
  CHECK(!check(now++, 1, 0));
  CHECK(!check(now++, 1, 0));
  CHECK(check(now, 1, 1));
}

TEST_CASE("figures are the shards' own") {
  FakeShards s(2);
  s.counters(0).sessions.set(3);
  s.counters(1).sessions.set(4);
  s.counters(1).sessions_paired.set(2);
  s.counters(1).datagrams_received.add(10);
  s.counters(1).datagrams_forwarded.add(7);
  s.counters(1).datagrams_dropped[DropReason::malformed].add(1);
  s.counters(1).datagrams_dropped[DropReason::no_channel].add(2);
  CHECK(s.proxy->sessions() == 7);
  const auto summaries = s.proxy->shards();
  REQUIRE(summaries.size() == 2);
  CHECK(summaries[1].shard == 1);
  CHECK(summaries[1].cpu == 4);
  CHECK(summaries[1].sessions == 4);
  CHECK(summaries[1].sessions_paired == 2);
  CHECK(summaries[1].datagrams_received == 10);
  CHECK(summaries[1].datagrams_forwarded == 7);
  CHECK(summaries[1].datagrams_dropped == 3);
  CHECK(summaries[1].buffers_free == 3);
  CHECK(summaries[1].buffers_total == 8);
  CHECK(s.proxy->features().backend == "fake");
}

TEST_CASE("metrics are each shard's own") {
  FakeShards s(2);
  s.counters(0).datagrams_received.add(4);
  s.counters(1).datagrams_dropped[DropReason::malformed].add(5);
  for (const uint64_t size : {1, 3, 300}) s.counters(1).datagram_batches.count(size);
  Metrics metrics;
  s.proxy->collect(metrics);
  const auto value = [&](std::string_view name, std::string_view suffix, std::string_view labels) {
    const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const Metric& metric) {
      return metric.name == name && metric.suffix == suffix && metric.labels == labels;
    });
    REQUIRE(found != metrics.end());
    return found->value;
  };
  CHECK(value("tandem_datagrams_received_total", "", "shard=\"0\"") == 4);
  CHECK(value("tandem_datagrams_received_total", "", "shard=\"1\"") == 0);
  CHECK(value("tandem_datagrams_dropped_total", "", "shard=\"1\",reason=\"malformed\"") == 5);
  const auto batches = [&](std::string_view suffix, const std::string& more = {}) {
    return value("tandem_datagram_batch_size", suffix, "shard=\"1\"" + more);
  };
  CHECK(batches("_bucket", ",le=\"2\"") == 1);
  CHECK(batches("_bucket", ",le=\"256\"") == 2);
  CHECK(batches("_bucket", ",le=\"32768\"") == 3);
  CHECK(batches("_bucket", ",le=\"+Inf\"") == 3);
  CHECK(batches("_sum") == 304);
  CHECK(batches("_count") == 3);
  CHECK(value("tandem_datagram_batch_size", "_count", "shard=\"0\"") == 0);
}

}  // namespace
}  // namespace tandem
