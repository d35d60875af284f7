// Owns what two tandem-bench processes say to each other about a run: the request of the one that
// has the A ends, as one line of JSON, and the tallies of the one that has B. Encoding only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/scene.h"
#include "common/result.h"

namespace tandem::bench {

inline constexpr int kFarProtocol = 1;
inline constexpr std::size_t kFarLineMax = 4 << 20;  // bytes; a request has a token for each pair
inline constexpr std::size_t kFarPairsMax = 20'000;

enum class FarLoad { bulk, scattered, trains, echo };

struct FarRequest {
  Transport transport = Transport::tcp;
  FarLoad load = FarLoad::bulk;
  RouteKind route = RouteKind::direct;
  std::size_t pairs = 1;
  BulkOptions bulk = {};
  UdpOptions udp = {};
  std::vector<std::string> joins =
      {};  // of B, one a pair: its token's text, or its greeting in hex
  std::vector<std::string> expected = {};  // greeted: what B gets for it, in hex
};

[[nodiscard]] std::string encode_request(const FarRequest& request);
// Whatever comes from another host is checked against the bounds of this one's command line. The
// error is one sentence.
[[nodiscard]] Result<FarRequest, std::string> parse_request(std::string_view line);

// B's answers: each is one line, with what it has to tell in it.
struct FarAnswer {
  std::string error = {};  // not empty: the run is over
  std::uint16_t port = 0;
  std::vector<std::uint16_t> udp_ports = {};
  Tally tally = {};
  double cpu_s = 0;  // that its process has used so far
};
[[nodiscard]] std::string encode_answer(const FarAnswer& answer);
[[nodiscard]] Result<FarAnswer, std::string> parse_answer(std::string_view line);

}  // namespace tandem::bench
