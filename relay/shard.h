// The loop of one core: what the back end has gathered goes to the policy, what the policy decides
// goes back. Nothing is shared with other shards but the rings of Inbox; nothing is allocated for a
// packet.
//
// A turn: wait, commands, datagrams, streams, what sibling shards left, timers, carry out.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "relay/core/relay_core.h"
#include "relay/inbox.h"
#include "relay/io.h"

namespace tandem {

template <Io Backend>
class Shard {
 public:
  // `inboxes` are all the shards', this one's at place.index; `wake(i)` wakes shard i's turn, and
  // wake(shards) control's.
  using Wake = std::function<void(uint32_t)>;
  Shard(Backend& io, ShardPlace place, const ShardSettings& settings, SharedCounts& shared,
        std::vector<std::unique_ptr<Inbox>>& inboxes, Wake wake)
      : io_(io),
        place_(place),
        inboxes_(inboxes),
        wake_(std::move(wake)),
        core_(place, settings, shared, environment_of(io), io.now()) {}

  // Until a StopShard has been carried out.
  void run() {
    while (!core_.stopping()) turn();
    flush();
    // What was said last (CLOSE, resets) leaves with one more turn, which waits for nothing.
    io_.turn(io_.now());
    (void)inbox().messages.try_push(ShardStopped{});  // control joins the thread either way
    wake_(place_.shards);
  }

  void turn() {
    io_.turn(has_backlog() ? std::optional<Nanos>(io_.now()) : core_.next_deadline());
    core_.begin_turn(io_.now(), io_.unix_now(), io_.stream_bytes_free());
    drain_commands();
    if (const uint32_t received = on_datagrams(io_.datagrams()); received != 0)
      core_.state().counters.datagram_batches.count(received);
    for (const StreamEvent& event : io_.stream_events()) {
      core_.on_stream_event(event);
      flush();
    }
    // After the events: the back end may give an arrival the slot whose end is among them.
    drain_siblings();
    core_.on_timers(kTimerBudget);
    flush();
    send_messages();
  }

  [[nodiscard]] RelayCore& core() { return core_; }

 private:
  static constexpr uint32_t kCommandBudget = 16;
  static constexpr uint32_t kSiblingBudget = 32;
  static constexpr uint32_t kTimerBudget = 256;

  static Environment environment_of(Backend& io) {
    return {
        .context = &io,
        .max_payload =
            [](void* context, const Endpoint& to, const LocalAddress& from) {
              return static_cast<Backend*>(context)->max_payload(to, from);
            },
        .random = [](void* context,
                     std::span<uint8_t> bytes) { static_cast<Backend*>(context)->random(bytes); }};
  }

  [[nodiscard]] Inbox& inbox() { return *inboxes_[place_.index]; }

  // Whether something waits that no event will announce.
  [[nodiscard]] bool has_backlog() {
    if (!inbox().commands.empty() || !messages_.empty()) return true;
    return std::any_of(inbox().from.begin(), inbox().from.end(), [](const auto& rings) {
      return !rings->connections.empty() || !rings->strays.empty();
    });
  }

  void drain_commands() {
    ToShard command;
    for (uint32_t i = 0; i < kCommandBudget && inbox().commands.try_pop(command); ++i) {
      core_.on_command(command);
      flush();
    }
  }

  void drain_siblings() {
    for (const auto& rings : inbox().from) {
      for (uint32_t i = 0; i < kSiblingBudget && rings->connections.try_pop(arrival_); ++i) {
        if (const auto id = io_.adopt(arrival_.stream)) {
          core_.on_handed_over(*id, arrival_.client, arrival_.stream.local,
                               std::span(arrival_.bytes).first(arrival_.length));
          flush();
        }
      }
      for (uint32_t i = 0; i < kSiblingBudget && rings->strays.try_pop(stray_); ++i) {
        auto datagram = io_.adopt_datagram(stray_.source, stray_.local,
                                           std::span(stray_.bytes).first(stray_.length));
        if (datagram) {
          on_datagrams({&*datagram, 1});
        } else {
          core_.state().counters.datagrams_received.add();
          core_.state().drop(DropReason::stray_queue_full);
        }
      }
    }
  }

  // How many they were.
  uint32_t on_datagrams(std::span<Datagram> batch) {
    if (batch.empty()) return 0;
    const uint32_t received = core_.on_datagrams(batch);
    flush();
    for (const Datagram& datagram : batch) io_.release(datagram.buffer);
    return received;
  }

  // Carries out what the core has decided.
  void flush() {
    Decisions& decisions = core_.decisions();
    for (const OutgoingDatagram& outgoing : decisions.forwards) io_.forward(outgoing);
    decisions.forwards.clear();
    for (const Reply& reply : decisions.replies) {
      if (!io_.reply(reply)) core_.state().counters.replies_lost.add();
    }
    decisions.replies.clear();
    for (const Stray& stray : decisions.strays) pass_on(stray);
    decisions.strays.clear();
    // A departure that fails leads to further actions, so by index.
    for (size_t i = 0; i < decisions.actions.size(); ++i) {
      const StreamAction action = decisions.actions[i];
      if (action.kind == StreamAction::Kind::hand_over) {
        hand_over(action);
      } else {
        io_.perform(action);
      }
    }
    decisions.actions.clear();
    if (!decisions.messages.empty()) {
      messages_.insert(messages_.end(), decisions.messages.begin(), decisions.messages.end());
      decisions.messages.clear();
    }
  }

  void pass_on(const Stray& stray) {
    SiblingRings& rings = *inboxes_[stray.shard]->from[place_.index];
    StrayDatagram& copy = stray_;
    if (stray.bytes.size() > copy.bytes.size()) return lose(DropReason::too_large);
    copy.source = stray.source;
    copy.local = stray.local;
    copy.length = static_cast<uint16_t>(stray.bytes.size());
    std::memcpy(copy.bytes.data(), stray.bytes.data(), stray.bytes.size());
    if (!rings.strays.try_push(copy)) return lose(DropReason::stray_queue_full);
    wake_(stray.shard);
  }

  // A stray that nobody else will count.
  void lose(DropReason reason) {
    core_.state().counters.datagrams_received.add();
    core_.state().drop(reason);
  }

  void hand_over(const StreamAction& action) {
    SiblingRings& rings = *inboxes_[action.bytes]->from[place_.index];
    if (rings.connections.size() >= kSiblingRing) return core_.departure_failed(action.stream);
    const RelayCore::Departure departure = core_.departure(action.stream);
    arrival_.client = departure.remote;
    arrival_.length = static_cast<uint16_t>(departure.read.size());
    TANDEM_CHECK(departure.read.size() <= arrival_.bytes.size());
    std::memcpy(arrival_.bytes.data(), departure.read.data(), departure.read.size());
    arrival_.stream = io_.detach(action.stream);
    core_.departed(action.stream);
    TANDEM_CHECK(rings.connections.try_push(arrival_));  // there was room, and we alone fill it
    wake_(action.bytes);
  }

  // Replies that somebody waits for stay until there is room; log lines do not.
  void send_messages() {
    if (messages_.empty()) return;
    size_t sent = 0;
    while (sent < messages_.size() && inbox().messages.try_push(messages_[sent])) ++sent;
    messages_.erase(messages_.begin(), messages_.begin() + static_cast<ptrdiff_t>(sent));
    const auto lost = std::erase_if(messages_, [](const FromShard& message) {
      return std::holds_alternative<LogEvent>(message);
    });
    core_.state().counters.messages_lost.add(lost);
    wake_(place_.shards);
  }

  Backend& io_;
  const ShardPlace place_;
  std::vector<std::unique_ptr<Inbox>>& inboxes_;
  Wake wake_;
  RelayCore core_;
  std::vector<FromShard> messages_;
  HandOver arrival_;
  StrayDatagram stray_;
};

}  // namespace tandem
