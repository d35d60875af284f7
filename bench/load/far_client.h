// The A ends' side of a run on two hosts: tells the other host's `tandem-bench -s` what to do,
// joins the pairs with it, and has it start, stop and tell.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "bench/load/far_request.h"
#include "bench/load/interrupt.h"
#include "bench/load/leg.h"

namespace tandem::bench {

struct FarJoined {
  std::vector<SocketPair> pairs;  // their A ends
  std::unique_ptr<FarHalf> far;
};
// Throws std::runtime_error, with the other host's own words where it has any.
[[nodiscard]] FarJoined join_with_far_host(const SocketAddress& control, const RouteOptions& route,
                                           FarRequest request, const Interrupt& interrupt);

}  // namespace tandem::bench
