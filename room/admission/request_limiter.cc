#include "room/admission/request_limiter.h"

#include <algorithm>
#include <span>
#include <tuple>

namespace tandem {
namespace {

std::uint32_t seconds_until(Nanos until, Nanos now) {
  return static_cast<std::uint32_t>((until - now + kNanosPerSecond - 1) / kNanosPerSecond);
}

}  // namespace

LimitVerdict RateWindow::peek(const RateLimit& limit, Nanos now) const {
  if (limit.max == 0 || at_rest(now)) return {};
  if (blocked_) return {LimitOutcome::blocked, seconds_until(until_, now)};
  if (count_ < limit.max) return {};
  return {LimitOutcome::exceeded, limit.block_s != 0 ? limit.block_s : seconds_until(until_, now)};
}

LimitVerdict RateWindow::charge(const RateLimit& limit, Nanos now) {
  if (limit.max == 0) return {};
  const LimitVerdict verdict = peek(limit, now);
  switch (verdict.outcome) {
    case LimitOutcome::allowed:
      if (at_rest(now)) *this = RateWindow{};
      if (count_ == 0) until_ = now + limit.window_s * kNanosPerSecond;
      ++count_;
      break;
    case LimitOutcome::exceeded:
      blocked_ = true;
      if (limit.block_s != 0) until_ = now + limit.block_s * kNanosPerSecond;
      break;
    case LimitOutcome::blocked:
      break;
  }
  return verdict;
}

bool RateWindow::matters_less(const RateWindow& other, Nanos now) const {
  const auto weight = [now](const RateWindow& window) {
    const int rank = window.at_rest(now) ? 0 : window.blocked_ ? 2 : 1;
    return std::tuple(rank, rank == 2 ? Nanos{0} : Nanos{window.count_}, window.until_);
  };
  return weight(*this) < weight(other);
}

LimitVerdict ClientLimits::charge(EventClass of, const Config::Room& limits, Nanos now) {
  RateWindow& window = windows_[static_cast<std::size_t>(of)];
  switch (of) {
    case EventClass::request:
      return window.charge(limits.rate_limit, now);
    case EventClass::message:
      return window.charge(limits.message_rate_limit, now);
    case EventClass::signal:
      return window.charge(limits.signal_rate_limit, now);
  }
  return {};
}

const RateWindow& ClientLimits::weightiest(Nanos now) const {
  return *std::ranges::max_element(
      windows_, [now](const RateWindow& a, const RateWindow& b) { return a.matters_less(b, now); });
}

bool ClientLimits::at_rest(Nanos now) const {
  return std::ranges::all_of(windows_, [now](const RateWindow& one) { return one.at_rest(now); });
}

bool ClientLimits::matters_less(const ClientLimits& other, Nanos now) const {
  return weightiest(now).matters_less(other.weightiest(now), now);
}

LimitVerdict ClientLimiter::charge(std::string_view client_id, EventClass of,
                                   const Config::Room& limits, Nanos now) {
  // 128 keyed bits: two ids that share them are not to be found.
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(client_id.data()), client_id.size());
  return clients_.claim(siphash24_128(key_, bytes), now).charge(of, limits, now);
}

LimitVerdict AddressLimiter::charge(const RateLimit& limit, const IpAddress& address, Nanos now) {
  if (limit.max == 0) return {};
  return addresses_.claim(rate_scope(address).bytes, now).charge(limit, now);
}

LimitVerdict AddressLimiter::peek(const RateLimit& limit, const IpAddress& address,
                                  Nanos now) const {
  const RateWindow* const window = addresses_.find(rate_scope(address).bytes, now);
  return window == nullptr ? LimitVerdict{} : window->peek(limit, now);
}

namespace {

constexpr std::size_t kEntries = 8'192;

}  // namespace

AddressLimits::AddressLimits(const SipKey& key)
    : requests_(key, kEntries),
      failed_logins_(key, kEntries),
      guest_logins_(key, kEntries),
      code_lookups_(key, kEntries) {}

LimitVerdict AddressLimits::charge_request(const RateLimit& limit, const IpAddress& address,
                                           Nanos now) {
  return requests_.charge(limit, address, now);
}

// A block begins with the failure that is one too many, so what is not yet blocked may try.
LimitVerdict AddressLimits::may_log_in(const IpAddress& address, Nanos now) const {
  const LimitVerdict verdict = failed_logins_.peek(kFailedLoginLimit, address, now);
  return verdict.outcome == LimitOutcome::blocked ? verdict : LimitVerdict{};
}

LimitVerdict AddressLimits::record_failed_login(const IpAddress& address, Nanos now) {
  return failed_logins_.charge(kFailedLoginLimit, address, now);
}

LimitVerdict AddressLimits::charge_guest_login(const IpAddress& address, Nanos now) {
  return guest_logins_.charge(kGuestLoginLimit, address, now);
}

LimitVerdict AddressLimits::charge_code_lookup(const IpAddress& address, Nanos now) {
  return code_lookups_.charge(kCodeLookupLimit, address, now);
}

std::uint64_t AddressLimits::evicted() const {
  return requests_.evicted() + failed_logins_.evicted() + guest_logins_.evicted() +
         code_lookups_.evicted();
}

}  // namespace tandem
