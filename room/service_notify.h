// Tells the service manager how the daemon is (sd_notify(3), Type=notify-reload). Where there is
// none, each call does nothing. Must not know what the daemon does.
#pragma once

#include <optional>

#include "common/clock.h"

namespace tandem {

class ServiceNotify {
 public:
  // Reads WATCHDOG_USEC and WATCHDOG_PID, once.
  ServiceNotify();

  // Half of what the unit's WatchdogSec allows, as sd_watchdog_enabled(3) advises; nothing where
  // the watchdog is off.
  [[nodiscard]] std::optional<Nanos> watchdog_interval() const { return watchdog_interval_; }

  void ready() const;
  // Between RELOADING=1 and the next READY=1 a `systemctl reload` waits. `now` is
  // CLOCK_MONOTONIC's, which tells the manager that this reload began after it asked (systemd 253).
  void reloading(Nanos now) const;
  // A drain may take longer than the unit's TimeoutStopSec: `at_most` asks for that long.
  void stopping(Nanos at_most) const;
  void watchdog() const;

 private:
  std::optional<Nanos> watchdog_interval_;
};

}  // namespace tandem
