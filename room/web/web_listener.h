// A port that clients connect to: accepts, and waits where the system has no descriptors left.
// Must not know what becomes of a connection.
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/result.h"
#include "room/web/readiness.h"
#include "room/web/web_server.h"

namespace tandem {

class WebListener final : public ReadyTarget {
 public:
  explicit WebListener(WebServer::Impl& server) : server_(server) {}
  ~WebListener();
  WebListener(const WebListener&) = delete;
  WebListener& operator=(const WebListener&) = delete;

  // The error is the system's reason.
  [[nodiscard]] Result<void, std::string> open(const Endpoint& endpoint);
  [[nodiscard]] std::uint16_t port() const;

  void on_ready(Readiness readiness) override;
  // Goes on where it paused and the time is over.
  void on_deadline(Nanos now);

 private:
  void pause(int error);

  WebServer::Impl& server_;
  int descriptor_ = -1;
  Nanos paused_until_ = 0;  // 0: it does not pause
};

}  // namespace tandem
