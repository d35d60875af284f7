// What the relay tells of sessions and blocks, as JSON: one shape for tandemctl and for the
// operator's HTTP routes. Pure.
#pragma once

#include <span>
#include <string>

#include "common/control.h"

namespace tandem {

// One object each, without a line end:
//   {"id":"0123456789abcdef","shard":0,"paired":true,"ageMs":1,"idleMs":1,"rateBytesPerSecond":0,
//    "droppedPackets":0,"a":{"udp":"192.0.2.7:4000","tcp":null,"tcpStreams":0,"bytes":1,
//    "packets":1},"b":{...}}
//   {"network":"192.0.2.0/24","automatic":false,"remainingMs":null}
// `rateBytesPerSecond` is the session's cap, 0 for none; `remainingMs` null: until it is removed.
[[nodiscard]] std::string row_json(const SessionRow& row);
[[nodiscard]] std::string row_json(const BlockRow& row);

// An array of these.
[[nodiscard]] std::string rows_json(std::span<const SessionRow> rows);
[[nodiscard]] std::string rows_json(std::span<const BlockRow> rows);

}  // namespace tandem
