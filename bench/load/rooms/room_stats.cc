#include "bench/load/rooms/room_stats.h"

#include <algorithm>

namespace tandem::bench {
namespace {

constexpr std::string_view kOtherCodes = "other";

// A code stands in reports of one line an error.
std::string presentable(std::string_view code) {
  std::string text(code.substr(0, ErrorCounts::kCodeBytesMax));
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

std::string_view name_of(RoomEvent event) {
  switch (event) {
    case RoomEvent::login:
      return "login";
    case RoomEvent::connect:
      return "connect";
    case RoomEvent::create:
      return "create";
    case RoomEvent::join:
      return "join";
    case RoomEvent::message:
      return "message";
    case RoomEvent::leave:
      return "leave";
  }
  return "";
}

void ErrorCounts::add(std::string_view code, std::uint64_t times) {
  if (times == 0) return;
  auto text = presentable(code);
  const bool full = counts_.size() >= kCodesMax && !counts_.contains(text);
  counts_[full ? std::string(kOtherCodes) : std::move(text)] += times;
}

void ErrorCounts::merge(const ErrorCounts& other) {
  for (const auto& [code, count] : other.counts_) add(code, count);
}

std::uint64_t ErrorCounts::total() const {
  std::uint64_t total = 0;
  for (const auto& [code, count] : counts_) total += count;
  return total;
}

void RoomStats::merge(const RoomStats& other) {
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    kinds[i].sent += other.kinds[i].sent;
    kinds[i].answered += other.kinds[i].answered;
    kinds[i].latency.merge(other.kinds[i].latency);
  }
  errors.merge(other.errors);
  notices += other.notices;
}

}  // namespace tandem::bench
