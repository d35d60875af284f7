// What the web server takes from the control thread's loop (Asio): a call when its readiness set
// has something, one at the end of a turn, and one at a time. Must not know what they are for.
#pragma once

#include <functional>
#include <memory>

#include "common/clock.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

class WebLoop {
 public:
  struct Calls {
    std::function<void()> ready;
    std::function<void()> turn_end;
    std::function<void()> deadline;
  };

  // `descriptor` stays its owner's, and is watched from now on.
  WebLoop(boost::asio::io_context& context, int descriptor, Calls calls);
  // Nothing is called any more.
  ~WebLoop();
  WebLoop(const WebLoop&) = delete;
  WebLoop& operator=(const WebLoop&) = delete;

  // Behind what is ready to run now; asked for twice, it comes once.
  void call_turn_end();
  // The earliest that was asked for since the last call counts.
  void call_deadline(Nanos at);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tandem
