#include "room/service_notify.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace tandem {
namespace {

// A lost message is the manager's to notice (by its time limits); there is nobody else to tell.
void notify(const std::string& state) {
  static_cast<void>(::sd_notify(0, state.c_str()));
}

}  // namespace

ServiceNotify::ServiceNotify() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) > 0)
    watchdog_interval_ = static_cast<Nanos>(microseconds / 2) * kNanosPerMicrosecond;
}

void ServiceNotify::ready() const {
  notify("READY=1");
}

void ServiceNotify::reloading(Nanos now) const {
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now / kNanosPerMicrosecond));
}

void ServiceNotify::stopping(Nanos at_most) const {
  notify(fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", at_most / kNanosPerMicrosecond));
}

void ServiceNotify::watchdog() const {
  notify("WATCHDOG=1");
}

}  // namespace tandem
