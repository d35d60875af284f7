// The control thread in one piece: monitoring HTTP, admin socket, signals, service manager, drain and
// reload, around the one hand it has on the relay (RelayControl). Must not know shards, rings or how a
// configuration is loaded: main.cc gives those as hooks. Everything here runs on the thread that
// calls run(), hooks and callbacks too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/keyring.h"
#include "common/relay_control.h"
#include "common/result.h"

namespace tandem {

// Keys as in the configuration, "sessions.max_sessions".
struct ReloadReport {
  std::vector<std::string> applied;
  std::vector<std::string> needs_restart;
};
using ReloadOutcome = Result<ReloadReport, std::string>;
using ReloadDone = std::function<void(ReloadOutcome)>;

// All of them are set.
struct ControlHooks {
  // Loads the configuration again and applies what can change live; `done` is called once, at once or
  // when every shard goes by it. Not called again before that.
  std::function<void(ReloadDone done)> reload;
  // The ring that mints; asked for each mint, so a reload may replace it.
  std::function<const Keyring&()> keyring;
  // Every 100 ms and whenever a watched descriptor's callback did not come: drains what shards sent.
  std::function<void()> on_tick;
  std::function<void(LogLevel)> set_log_level;
  // Lines that the logger's queue had no room for, since the start.
  std::function<std::uint64_t()> log_lines_dropped;
};

enum class ControlEnd : std::uint8_t {
  drained,        // the last session ended after SIGTERM or SIGINT
  drain_timeout,  // sessions.drain_timeout_s was over
  forced,         // a second signal, or end()
};

class ControlCore {
 public:
  // `relay` outlives this. Restores nothing: one a process, SIGPIPE is ignored from here on.
  ControlCore(const Config& config, RelayControl& relay, ControlHooks hooks);
  ~ControlCore();
  ControlCore(const ControlCore&) = delete;
  ControlCore& operator=(const ControlCore&) = delete;

  // Takes the monitoring port and the admin socket; the error is one line for the operator
  // ("monitoring.port 8080 on 127.0.0.1: Address already in use"). Before run(), once.
  [[nodiscard]] Result<void, std::string> open();

  // Calls `readable` whenever `descriptor` is readable. The callback takes what made it so (reads the
  // eventfd), else it is called again at once. The descriptor stays its owner's, who closes it after
  // this object is gone. Before or during run().
  void watch_descriptor(int descriptor, std::function<void()> readable);

  // Serves until a drain has ended. SIGTERM and SIGINT drain, a second one ends at once; SIGHUP reloads.
  // READY=1 goes out when the relay leaves RelayState::starting.
  [[nodiscard]] ControlEnd run();

  // What a first (drain) and a second signal (end) do, for hooks that find a reason to stop.
  void drain_and_end();
  void end();

  // The port that monitoring listens on: the configured one, or the kernel's choice where that is 0.
  [[nodiscard]] std::uint16_t monitoring_port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
