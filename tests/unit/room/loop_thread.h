// A ControlLoop on a thread of its own for as long as a test needs it. What a test puts on the loop
// is made before start() and gone after the destructor of this.
#pragma once

#include <thread>

#include "room/control_loop.h"

namespace tandem {

class LoopThread {
 public:
  explicit LoopThread(ControlLoop& loop) : loop_(loop), thread_([this] { loop_.run(); }) {}
  ~LoopThread() {
    loop_.stop();
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

 private:
  ControlLoop& loop_;
  std::thread thread_;
};

}  // namespace tandem
