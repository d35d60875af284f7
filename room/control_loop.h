// The control thread's event loop: descriptors, signals and periodic work on one Asio io_context.
// Must not know what any of them is for. Asio itself stays out of the headers.
#pragma once

#include <functional>
#include <memory>

#include "common/clock.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

class ControlLoop {
 public:
  ControlLoop();
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  [[nodiscard]] boost::asio::io_context& context();

  // Until stop(). A callback that throws is logged and the loop goes on: what is wrong on this
  // thread is no reason to cut every session.
  void run();
  void stop();

  // The signal no longer does what it did by default, from now on.
  void on_signal(int signal, std::function<void()> callback);
  // The first call comes one interval from now; a late one is not made up for.
  void every(Nanos interval, std::function<void()> callback);
  // While `descriptor` is readable, again and again. It is never closed here.
  void watch(int descriptor, std::function<void()> readable);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
