#include "room/control_loop.h"

#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <utility>

#include "common/log.h"

namespace tandem {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

}  // namespace

struct ControlLoop::Impl {
  struct Signal {
    Signal(asio::io_context& context, int number, std::function<void()> call)
        : set(context, number), callback(std::move(call)) {}
    asio::signal_set set;
    std::function<void()> callback;
  };
  struct Period {
    Period(asio::io_context& context, Nanos nanos, std::function<void()> call)
        : timer(context), interval(nanos), callback(std::move(call)) {}
    asio::steady_timer timer;
    std::chrono::nanoseconds interval;
    std::function<void()> callback;
  };
  struct Watch {
    Watch(asio::io_context& context, int fd, std::function<void()> call)
        : descriptor(context, fd), readable(std::move(call)) {}
    ~Watch() { descriptor.release(); }  // its owner closes it
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    asio::posix::stream_descriptor descriptor;
    std::function<void()> readable;
  };

  asio::io_context context{1};
  // Lists: what waits holds a reference.
  std::list<Signal> signals;
  std::list<Period> periods;
  std::list<Watch> watches;

  // Each waits again before it calls, so that a callback that throws does not end it.
  void wait(Signal& signal) {
    signal.set.async_wait([this, &signal](error_code failed, int) {
      if (failed) return;
      wait(signal);
      signal.callback();
    });
  }

  void wait(Period& period) {
    period.timer.expires_after(period.interval);
    period.timer.async_wait([this, &period](error_code failed) {
      if (failed) return;
      wait(period);
      period.callback();
    });
  }

  // Not this one: to wait is to ask whether it is readable now, which only the callback changes.
  void wait(Watch& watch) {
    struct WaitAgain {
      Impl& loop;
      Watch& watch;
      ~WaitAgain() { loop.wait(watch); }
    };
    watch.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                [this, &watch](error_code failed) {
                                  if (failed) return;
                                  const WaitAgain again{*this, watch};
                                  watch.readable();
                                });
  }
};

ControlLoop::ControlLoop() : impl_(std::make_unique<Impl>()) {}
ControlLoop::~ControlLoop() = default;

boost::asio::io_context& ControlLoop::context() {
  return impl_->context;
}

void ControlLoop::run() {
  while (!impl_->context.stopped()) {
    try {
      impl_->context.run();
    } catch (const std::exception& thrown) {
      log(LogLevel::error, "control", "a callback failed", {{"reason", thrown.what()}});
    }
  }
}

void ControlLoop::stop() {
  impl_->context.stop();
}

void ControlLoop::on_signal(int signal, std::function<void()> callback) {
  impl_->wait(impl_->signals.emplace_back(impl_->context, signal, std::move(callback)));
}

void ControlLoop::every(Nanos interval, std::function<void()> callback) {
  impl_->wait(impl_->periods.emplace_back(impl_->context, interval, std::move(callback)));
}

void ControlLoop::watch(int descriptor, std::function<void()> readable) {
  impl_->wait(impl_->watches.emplace_back(impl_->context, descriptor, std::move(readable)));
}

}  // namespace tandem
