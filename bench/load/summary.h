// Owns how what was measured becomes a report's figures and warnings: names, units, and what makes
// a figure doubtful. Knows neither sockets nor the command line.
#pragma once

#include <string_view>

#include "bench/load/leg.h"
#include "bench/load/report.h"
#include "bench/load/scene.h"

namespace tandem::bench {

// Delivered bytes: throughput, and what they cost.
void summarize_bytes(const Measured& measured, Figures& figures);
// Of streams, over the whole run: what has not come and what of it is still under way.
void summarize_lost_bytes(const Tally& overall, Figures& figures);
// Delivered datagrams or messages, the loss of the whole run, and what they cost.
void summarize_packets(const Measured& measured, Figures& figures);
// latency_p50_us and so on, with `prefix` before each.
void summarize_latency(const Latencies& latencies, std::string_view prefix, Figures& figures);
// Both, and what the first is more: latency_added_p50_us and so on.
void summarize_added(const Latencies& route, const Latencies& direct, Figures& figures);

// Of streams nothing may be missing, but where it is still under way. Of datagrams loss is a
// figure, and a run of which nothing came is damaged. Where nothing was sent, nothing could be.
[[nodiscard]] Integrity judge_bulk(const Tally& overall);
[[nodiscard]] Integrity judge_datagrams(const Tally& overall);
[[nodiscard]] Integrity judge_messages(const Tally& overall);

// Whether the traffic was whole, and who used what: the end of every summary.
void summarize_run(const Measured& measured, Integrity integrity, Report& report);

enum class Loop { closed, open };
// Where the generator, or somebody else on the machine, had a part in the figures.
void warn(const Measured& measured, Loop loop, Report& report);
// Its part that concerns everybody else on the machine.
void warn_of_others(const CpuUse& use, Report& report);
// Where the relay's own limits had.
void warn_of_caps(const RelayTold& told, Report& report);

}  // namespace tandem::bench
