// All shards of this process: opens their back ends, starts a pinned thread for each, and gives
// control its views of them. Which back end they run on is chosen here, once.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/config.h"
#include "common/cpu.h"
#include "common/relay_control.h"
#include "relay/core/shard_state.h"
#include "relay/shard_proxy.h"

namespace tandem {

class ShardPool {
 public:
  // Takes the ports; the error is one line for the operator. `settings` outlive the pool's threads.
  // `wake_control` runs on the shards' threads.
  [[nodiscard]] static Result<std::unique_ptr<ShardPool>, std::string> open(
      const Config& config, const CpuPlan& plan, const ShardSettings& settings,
      std::function<void()> wake_control);
  ~ShardPool();
  ShardPool(const ShardPool&) = delete;
  ShardPool& operator=(const ShardPool&) = delete;

  void start();
  // After every shard has been told to stop.
  void join();

  [[nodiscard]] std::vector<ShardView> views();
  [[nodiscard]] RelayFeatures features() const;

 private:
  struct Member;
  ShardPool(std::function<void()> wake_control);
  void wake(uint32_t shard);

  std::function<void()> wake_control_;
  std::unique_ptr<SharedCounts> shared_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  std::vector<std::unique_ptr<Member>> members_;
  RelayFeatures features_;
};

}  // namespace tandem
