// The modes sessions and reflect: the load of sessions rather than of bytes. How fast pairs are
// joined and how long each waits for it, what the idle ones cost in memory and in CPU; and R3's
// question, what an unvalidated UDP source gets back.
#pragma once

#include <cstddef>

#include "bench/load/report.h"
#include "bench/load/scene.h"

namespace tandem::bench {

enum class AfterPairing { keep, close };

struct SessionsOptions {
  Transport transport = Transport::udp;
  AfterPairing after = AfterPairing::keep;
  std::size_t count = 1000;
  std::size_t in_flight = 128;  // pairs being joined at once, in one process
  // Processes, TCP; more where each would need more descriptors than it may have, and one where no
  // relay joins the pairs.
  std::size_t workers = 2;
  double settle_s = 1;  // between the last pairing and the quiet interval
  double quiet_s = 0;   // how long the idle pairs are watched; 0 = not
};

// Over TCP on every route, over UDP through a relay. Damaged: pairs that are held do not forward.
// Throws std::runtime_error where the route does not join the pairs, and std::invalid_argument for
// what cannot be measured.
Integrity run_sessions(const Scene& scene, const SessionsOptions& options, Report& report);

// Through a relay only. Damaged: some probe got more bytes back than it sent, or the relay is
// silent altogether.
Integrity run_reflection(const Scene& scene, Report& report);

}  // namespace tandem::bench
