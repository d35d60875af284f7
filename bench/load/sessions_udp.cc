#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unordered_map>

#include "bench/load/idle_sessions.h"
#include "bench/load/relay_client.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryAfter = 250ms;
constexpr int kRetriesMax = 24;  // about 6 s
constexpr std::size_t kSamplesMax = 1000;
// So many are asked at once: no socket buffer of the relay's overflows.
constexpr std::size_t kSamplesAtOnce = 64;
constexpr int kAsked = 3;
constexpr auto kArrivalTimeout = 1s;

struct Joining {
  struct End {
    Binding binding;
    Clock::time_point first_asked_at;
  };
  std::array<End, 2> ends;
  Clock::time_point retry_at;
  int retries = 0;
};

bool is_paired(const Joining::End& end) {
  return end.binding.state() == Binding::State::paired;
}

[[noreturn]] void fail_refused(const SocketAddress& target) {
  throw std::runtime_error("nothing listens on UDP at " + to_string(target));
}

}  // namespace

// The sessions that are being bound, a bounded number at once.
class UdpSessions::Binder {
 public:
  explicit Binder(UdpSessions& sessions)
      : sessions_(sessions), scene_(sessions.scene_), ends_(*sessions.ends_) {}

  Joined run();

 private:
  void start(std::size_t session);
  void request(std::size_t session, std::size_t slot);
  void on_answer(std::size_t end, std::span<const std::uint8_t> datagram);
  void on_paired(std::size_t session);
  void retry_late(Clock::time_point now);

  UdpSessions& sessions_;
  const JoiningScene& scene_;
  UdpEnds& ends_;
  std::uint64_t nonce_base_ = random_session_base();
  std::unordered_map<std::size_t, Joining> joining_;
  Joined joined_;
};

Joined UdpSessions::Binder::run() {
  const auto& options = scene_.options;
  auto look_for_late_at = Clock::now() + kRetryAfter;
  for (std::size_t next = 0; next < options.count || !joining_.empty();) {
    if (scene_.interrupt.raised()) break;
    while (next < options.count && joining_.size() < options.in_flight) start(next++);
    ends_.receive(static_cast<int>(kRetryAfter / 1ms),
                  [this](std::size_t end, std::span<const std::uint8_t> datagram) {
                    on_answer(end, datagram);
                  });
    if (const auto now = Clock::now(); now >= look_for_late_at) {
      retry_late(now);
      look_for_late_at = now + kRetryAfter / 4;
    }
    scene_.progress(joined_.pairs);
  }
  return std::move(joined_);
}

void UdpSessions::Binder::start(std::size_t session) {
  const TokenPair& tokens = scene_.route.tokens.at(session);
  const auto now = Clock::now();
  const auto end = [now](const TokenBytes& token, std::uint64_t nonce) {
    return Joining::End{.binding = Binding(token, nonce), .first_asked_at = now};
  };
  const auto nonce = nonce_base_ + 2 * session;
  joining_.emplace(session, Joining{.ends = {end(tokens.a, nonce), end(tokens.b, nonce + 1)},
                                    .retry_at = now + kRetryAfter});
  request(session, 0);
  request(session, 1);
}

void UdpSessions::Binder::request(std::size_t session, std::size_t slot) {
  ends_.send(2 * session + slot, joining_.at(session).ends[slot].binding.request());
}

void UdpSessions::Binder::on_answer(std::size_t end, std::span<const std::uint8_t> datagram) {
  const auto found = joining_.find(end / 2);
  if (found == joining_.end()) return;
  Joining::End& mine = found->second.ends[end % 2];
  const auto before = mine.binding.state();
  const auto state = mine.binding.on_answer(datagram);
  if (state == before) return;
  if (state == Binding::State::refused) {
    throw std::runtime_error("the relay refused a BIND: " + std::string(mine.binding.refusal()) +
                             after_pairs(joined_.pairs));
  }
  if (state == Binding::State::challenged) request(end / 2, end % 2);
  if (state != Binding::State::paired) return;
  const auto waited = Clock::now() - mine.first_asked_at;
  joined_.waits.add(std::chrono::nanoseconds(waited).count());
  if (std::ranges::all_of(found->second.ends, is_paired)) on_paired(found->first);
}

void UdpSessions::Binder::on_paired(std::size_t session) {
  const auto sample_every = std::max(scene_.options.count / kSamplesMax, std::size_t{1});
  if (session % sample_every == 0) {
    sessions_.samples_.push_back({session, joining_.at(session).ends[0].binding.data_header()});
  }
  ++joined_.pairs;
  joining_.erase(session);
}

void UdpSessions::Binder::retry_late(Clock::time_point now) {
  for (auto& [session, joining] : joining_) {
    if (now < joining.retry_at) continue;
    if (++joining.retries > kRetriesMax) {
      throw std::runtime_error("is " + to_string(scene_.route.target) +
                               " a relay? It does not pair by BIND" + after_pairs(joined_.pairs));
    }
    joining.retry_at = now + kRetryAfter;
    for (const std::size_t slot : {0, 1}) {
      if (!is_paired(joining.ends[slot])) request(session, slot);
    }
  }
}

UdpSessions::UdpSessions(const JoiningScene& scene)
    : scene_(scene), ends_(make_udp_ends(scene.route.target, 2 * scene.options.count)) {}

Joined UdpSessions::establish() {
  try {
    return Binder(*this).run();
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::connection_refused) throw;
    fail_refused(scene_.route.target);
  }
}

// How many of `samples` carry a datagram from A to B.
std::size_t UdpSessions::ask(std::span<const Sample> samples) {
  std::unordered_map<std::size_t, const Sample*> missing;  // by B's end
  for (const auto& sample : samples) missing.emplace(2 * sample.session + 1, &sample);
  for (int asked = 0; asked < kAsked && !missing.empty(); ++asked) {
    for (const auto& [end, sample] : missing) ends_->send(2 * sample->session, sample->header);
    const auto deadline = Clock::now() + kArrivalTimeout;
    while (!missing.empty() && Clock::now() < deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      ends_->receive(
          static_cast<int>(std::max(left, 0ms).count()),
          [&missing](std::size_t end, std::span<const std::uint8_t> datagram) {
            const auto found = missing.find(end);
            if (found != missing.end() && std::ranges::equal(datagram, found->second->header)) {
              missing.erase(found);
            }
          });
    }
  }
  return samples.size() - missing.size();
}

double UdpSessions::share_alive() {
  std::size_t alive = 0;
  try {
    for (std::size_t first = 0; first < samples_.size(); first += kSamplesAtOnce) {
      const auto size = std::min(kSamplesAtOnce, samples_.size() - first);
      const auto now_alive = ask(std::span(samples_).subspan(first, size));
      if (now_alive == 0) break;  // nothing at all comes through: the rest need not be waited for
      alive += now_alive;
    }
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::connection_refused) throw;  // else the relay is gone
  }
  return ratio(static_cast<double>(alive), static_cast<double>(samples_.size()));
}

}  // namespace tandem::bench
