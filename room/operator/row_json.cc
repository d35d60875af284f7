#include "room/operator/row_json.h"

#include <nlohmann/json.hpp>

#include "common/clock.h"
#include "common/token.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

Json endpoint_json(const Endpoint& endpoint) {
  return endpoint.port == 0 ? Json(nullptr) : Json(to_string(endpoint));
}

Json end_json(const SessionEnd& end) {
  return {{"udp", endpoint_json(end.udp)},
          {"tcp", endpoint_json(end.tcp)},
          {"tcpStreams", end.tcp_streams},
          {"bytes", end.bytes},
          {"packets", end.packets}};
}

template <class Row>
std::string array_of(std::span<const Row> rows) {
  std::string text = "[";
  for (const Row& row : rows) {
    if (text.size() > 1) text += ',';
    text += row_json(row);
  }
  text += ']';
  return text;
}

}  // namespace

std::string row_json(const SessionRow& row) {
  return Json{{"id", format_session_id(row.session_id)},
              {"shard", row.shard},
              {"paired", row.paired},
              {"ageMs", row.age / kNanosPerMillisecond},
              {"idleMs", row.idle / kNanosPerMillisecond},
              {"rateBytesPerSecond", row.rate_bytes_per_second},
              {"droppedPackets", row.dropped_packets},
              {"a", end_json(row.ends[0])},
              {"b", end_json(row.ends[1])}}
      .dump();
}

std::string row_json(const BlockRow& row) {
  const bool forever = row.remaining == 0;
  return Json{{"network", to_string(row.network)},
              {"automatic", row.automatic},
              {"remainingMs", forever ? Json(nullptr) : Json(row.remaining / kNanosPerMillisecond)}}
      .dump();
}

std::string rows_json(std::span<const SessionRow> rows) {
  return array_of(rows);
}
std::string rows_json(std::span<const BlockRow> rows) {
  return array_of(rows);
}

}  // namespace tandem
