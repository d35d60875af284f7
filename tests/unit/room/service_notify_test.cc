#include "room/service_notify.h"

#include <doctest/doctest.h>

#include "tests/unit/room/loopback.h"
#include "tests/unit/room/notify_socket.h"

namespace tandem {
namespace {

TEST_CASE("what the manager is told") {
  const TempFolder folder;
  const NotifySocket manager(folder.file("notify"));
  const ServiceNotify service;
  service.ready();
  CHECK(manager.next() == "READY=1");
  service.reloading(1'234'567'890);
  CHECK(manager.next() == "RELOADING=1\nMONOTONIC_USEC=1234567");
  service.stopping(300 * kNanosPerSecond);
  CHECK(manager.next() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=300000000");
  service.watchdog();
  CHECK(manager.next() == "WATCHDOG=1");
}

TEST_CASE("without a manager nothing happens") {
  const ServiceNotify service;
  service.ready();
  service.reloading(1);
  service.stopping(1);
  service.watchdog();
  CHECK(!service.watchdog_interval());
}

TEST_CASE("the watchdog is fed twice as often as it has to be") {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  CHECK(ServiceNotify().watchdog_interval() == 15 * kNanosPerSecond);
  ::setenv("WATCHDOG_PID", "1", 1);  // another process's
  CHECK(!ServiceNotify().watchdog_interval());
  ::unsetenv("WATCHDOG_PID");
  ::unsetenv("WATCHDOG_USEC");
}

}  // namespace
}  // namespace tandem
