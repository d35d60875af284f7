// The control thread in one piece: monitoring HTTP, admin socket, signals, service manager, drain
// and reload, around the one hand it has on the relay (RelayControl). Must not know shards, rings
// or how a configuration is loaded: main.cc gives those as hooks. Everything here runs on the
// thread that calls run(), hooks and callbacks too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/config.h"
#include "common/relay_control.h"
#include "common/result.h"
#include "room/control_hooks.h"

namespace tandem {

enum class ControlEnd : std::uint8_t {
  drained,        // the last session ended after SIGTERM or SIGINT
  drain_timeout,  // sessions.drain_timeout_s was over
  forced,         // a second signal, or end()
};

class ControlCore {
 public:
  // `relay` outlives this and calls nothing back once it is gone. One a process: signals are its.
  ControlCore(const Config& config, RelayControl& relay, ControlHooks hooks);
  ~ControlCore();
  ControlCore(const ControlCore&) = delete;
  ControlCore& operator=(const ControlCore&) = delete;

  // Takes the monitoring port, the admin socket and the signals (SIGPIPE is ignored from here on);
  // the error is one line for the operator ("cannot listen on 127.0.0.1:8080 (monitoring.bind,
  // monitoring.port): Address already in use"). Before run(), once.
  [[nodiscard]] Result<void, std::string> open();

  // Calls `readable` whenever `descriptor` is readable. The callback takes what made it so (reads
  // the eventfd), else it is called again at once. The descriptor stays its owner's, who closes it
  // after this object is gone. Before or during run().
  void watch_descriptor(int descriptor, std::function<void()> readable);

  // Serves until a drain has ended. SIGTERM and SIGINT drain, a second one ends at once; SIGHUP
  // reloads. READY=1 goes out when the relay leaves RelayState::starting.
  [[nodiscard]] ControlEnd run();

  // Goes by the live keys of `config` from now on: the reload hook calls it with what it has
  // loaded.
  void apply(const Config& config);

  // What a first (drain) and a second signal (end) do, for hooks that find a reason to stop.
  void drain_and_end();
  void end();

  // The port that monitoring listens on: the configured one, or the kernel's choice where that is
  // 0.
  [[nodiscard]] std::uint16_t monitoring_port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
