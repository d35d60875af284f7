// What the relay's counters are called on the metrics page. One sample for each shard, so that an
// operator sees one that is hot; sums are the query's business.
#include <string>

#include "relay/shard_proxy.h"

namespace tandem {
namespace {

struct Named {
  std::string_view name;
  std::string_view help;
  MetricType type;
  Counter RelayCounters::*counter;
};

constexpr auto kCounter = MetricType::counter;
constexpr auto kGauge = MetricType::gauge;

constexpr Named kNamed[] = {
    {"tandem_sessions", "Sessions that are open.", kGauge, &RelayCounters::sessions},
    {"tandem_sessions_paired", "Sessions whose two sides are joined.", kGauge,
     &RelayCounters::sessions_paired},
    {"tandem_sessions_opened_total", "Sessions opened.", kCounter, &RelayCounters::sessions_opened},
    {"tandem_sessions_closed_total", "Sessions closed.", kCounter, &RelayCounters::sessions_closed},
    {"tandem_streams", "TCP connections.", kGauge, &RelayCounters::streams},
    {"tandem_streams_half_open", "TCP connections whose first line is still kept.", kGauge,
     &RelayCounters::streams_half_open},
    {"tandem_connections_total", "TCP connections accepted.", kCounter,
     &RelayCounters::connections},
    {"tandem_accept_failures_total", "Times that accepting failed and was tried again later.",
     kCounter, &RelayCounters::accept_failures},
    {"tandem_stream_bytes_total", "Payload that came over TCP for the other side.", kCounter,
     &RelayCounters::stream_bytes},
    {"tandem_lane_pauses_total", "Times that reading ceased since the other side was slower.",
     kCounter, &RelayCounters::lane_pauses},
    {"tandem_rate_pauses_total", "Times that reading ceased at a bandwidth cap.", kCounter,
     &RelayCounters::rate_pauses},
    {"tandem_datagrams_received_total", "Datagrams received.", kCounter,
     &RelayCounters::datagrams_received},
    {"tandem_datagrams_forwarded_total", "Datagrams decided to go to the other side.", kCounter,
     &RelayCounters::datagrams_forwarded},
    {"tandem_datagrams_replied_total", "Datagrams answered by the relay itself.", kCounter,
     &RelayCounters::datagrams_replied},
    {"tandem_datagram_bytes_total", "Payload of forwarded datagrams, headers apart.", kCounter,
     &RelayCounters::datagram_bytes},
    {"tandem_notices_total", "Datagrams sent unasked: BOUND and CLOSE.", kCounter,
     &RelayCounters::notices},
    {"tandem_strays_total", "Datagrams that reached another shard than their session's.", kCounter,
     &RelayCounters::strays},
    {"tandem_replies_lost_total", "Replies for which no slot was free.", kCounter,
     &RelayCounters::replies_lost},
    {"tandem_offences_total", "Offences from proven addresses.", kCounter,
     &RelayCounters::offences},
    {"tandem_auto_blocks_total", "Addresses blocked for their offences.", kCounter,
     &RelayCounters::auto_blocks},
    {"tandem_messages_lost_total", "Log lines that control was too slow for.", kCounter,
     &RelayCounters::messages_lost},
    {"tandem_shard_turns_total", "Turns of the shard's loop.", kCounter, &RelayCounters::turns},
};

std::string shard_label(size_t shard) {
  return "shard=\"" + std::to_string(shard) + "\"";
}

}  // namespace

void ShardProxy::collect(Metrics& into) const {
  const auto add = [&](std::string_view name, std::string_view help, MetricType type,
                       std::string labels, uint64_t value) {
    into.push_back({name, help, type, std::move(labels), static_cast<double>(value)});
  };
  for (const Named& named : kNamed) {
    for (size_t i = 0; i < shards_.size(); ++i) {
      add(named.name, named.help, named.type, shard_label(i),
          (shards_[i].counters->*named.counter).load());
    }
  }
  const auto add_all = [&]<class Outcome, size_t N>(std::string_view name, std::string_view help,
                                                    const char* label,
                                                    CounterArray<Outcome, N> RelayCounters::*array,
                                                    std::string_view (*text)(Outcome)) {
    for (size_t i = 0; i < shards_.size(); ++i) {
      for (size_t value = 0; value < N; ++value) {
        const auto outcome = static_cast<Outcome>(value);
        add(name, help, kCounter,
            shard_label(i) + "," + label + "=\"" + std::string(text(outcome)) + "\"",
            (shards_[i].counters->*array)[outcome].load());
      }
    }
  };
  add_all("tandem_datagrams_dropped_total", "Datagrams dropped, by reason.", "reason",
          &RelayCounters::datagrams_dropped, drop_reason_text);
  for (size_t i = 0; i < shards_.size(); ++i) {
    const auto& batches = shards_[i].counters->datagram_batches;
    append_histogram(into, "tandem_datagram_batch_size",
                     "Datagrams that a turn of the shard's loop received at once; turns that "
                     "received none are not counted.",
                     shard_label(i), batches.buckets(), batches.sum());
  }
  add_all("tandem_binds_total", "BINDs, by outcome.", "outcome", &RelayCounters::binds,
          bind_outcome_text);
  add_all("tandem_joins_total", "First lines of TCP connections, by outcome.", "outcome",
          &RelayCounters::joins, join_outcome_text);
  add_all("tandem_lanes_ended_total", "TCP lanes ended, by how.", "how",
          &RelayCounters::lanes_ended, lane_end_text);
  add("tandem_sessions_limit", "Sessions that are allowed at once.", kGauge, {}, sessions_max());
  for (size_t i = 0; i < shards_.size(); ++i) {
    const auto [buffers_free, buffers_total] = shards_[i].buffers();
    add("tandem_stream_buffers_free_bytes", "Stream buffers that are free.", kGauge, shard_label(i),
        buffers_free);
  }
  for (uint32_t i = 0; i < shards_.size(); ++i) shards_[i].collect_io(into, i);
}

}  // namespace tandem
