#include "room/web/web_loop.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

namespace tandem {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

}  // namespace

// Handlers hold it weakly: what Asio calls after the destructor finds nothing.
struct WebLoop::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, int fd, Calls to_call)
      : context(io), descriptor(io, fd), timer(io), calls(std::move(to_call)) {}
  ~State() { descriptor.release(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // To wait is to ask whether it is readable now, so what was not taken comes at once.
  void watch() {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [weak = weak_from_this()](error_code failed) {
                            const auto self = weak.lock();
                            if (failed || !self) return;
                            const WatchAgain again{*self};
                            self->calls.ready();
                          });
  }
  struct WatchAgain {
    State& state;
    ~WatchAgain() { state.watch(); }
  };

  asio::io_context& context;
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer timer;
  Calls calls;
  bool turn_end_asked = false;
  Nanos deadline = 0;  // 0: none was asked for
};

WebLoop::WebLoop(asio::io_context& context, int descriptor, Calls calls)
    : state_(std::make_shared<State>(context, descriptor, std::move(calls))) {
  state_->watch();
}
WebLoop::~WebLoop() = default;

void WebLoop::call_turn_end() {
  if (std::exchange(state_->turn_end_asked, true)) return;
  asio::post(state_->context, [weak = std::weak_ptr(state_)] {
    const auto self = weak.lock();
    if (!self) return;
    self->turn_end_asked = false;
    self->calls.turn_end();
  });
}

void WebLoop::call_deadline(Nanos at) {
  if (state_->deadline != 0 && state_->deadline <= at) return;
  state_->deadline = at;
  state_->timer.expires_after(std::chrono::nanoseconds(std::max<Nanos>(at - monotonic_now(), 0)));
  state_->timer.async_wait([weak = std::weak_ptr(state_)](error_code failed) {
    const auto self = weak.lock();
    if (failed || !self) return;
    self->deadline = 0;
    self->calls.deadline();
  });
}

}  // namespace tandem
