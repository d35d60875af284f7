#include "bench/load/worker.h"

#include <pthread.h>
#include <time.h>

#include "bench/load/cpu_account.h"

namespace tandem::bench {

Worker::Worker(std::unique_ptr<Load> load, int cpu, const Interrupt& interrupt)
    : load_(std::move(load)), interrupt_(interrupt), thread_([this, cpu] { live(cpu); }) {}

Worker::~Worker() {
  state_.store(State::ended);
  state_.notify_all();
  thread_.join();
}

void Worker::start() {
  state_.store(State::sending);
  state_.notify_all();
}

void Worker::stop() {
  auto sending = State::sending;  // unless it has failed
  state_.compare_exchange_strong(sending, State::settling);
}

void Worker::await_settled() {
  state_.wait(State::settling);
  rethrow_failure();
}

void Worker::rethrow_failure() const {
  if (state_.load() == State::failed) std::rethrow_exception(failure_);
}

Tally Worker::tally() const {
  Tally::Words words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = published_[i].load(std::memory_order_relaxed);
  }
  return Tally::from(words);
}

double Worker::cpu_s() const {
  clockid_t clock{};
  timespec used{};
  // Either fails only where the thread is gone, and it lives as long as this object.
  ::pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock);
  ::clock_gettime(clock, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void Worker::live(int cpu) {
  try {
    pin_to_cpu(cpu);
    for (;;) {
      state_.wait(State::idle);
      if (state_.load() == State::ended) return;
      load_->start(Clock::now());
      take_turns();
    }
  } catch (...) {
    failure_ = std::current_exception();
    state_.store(State::failed);
    state_.notify_all();
    interrupt_.wake();
  }
}

// Until all has come after the stop, or the time for that is over.
void Worker::take_turns() {
  Clock::time_point deadline = Clock::time_point::max();
  for (auto now = Clock::now();;) {
    const State state = state_.load(std::memory_order_relaxed);
    if (state == State::ended) return;
    if (state == State::settling && deadline == Clock::time_point::max()) {
      load_->stop();
      deadline = now + load_->drain_timeout();
    }
    if (forget_.load(std::memory_order_relaxed)) {
      forget_.store(false);
      load_->forget_latencies();
    }
    const Turn turn = load_->turn(now, state == State::sending ? Sending::on : Sending::off);
    const auto after = Clock::now();
    if (turn == Turn::full) full_ns_ += static_cast<std::uint64_t>((after - now).count());
    now = after;
    publish(load_->tally(), full_ns_);
    if (state != State::settling || (!load_->drained() && now < deadline)) continue;
    auto settling = State::settling;  // unless it is to end altogether
    state_.compare_exchange_strong(settling, State::idle);
    state_.notify_all();
    return;
  }
}

void Worker::publish(Tally tally, std::uint64_t full_ns) {
  tally.full_ns = full_ns;
  const auto words = tally.words();
  for (std::size_t i = 0; i < words.size(); ++i) {
    published_[i].store(words[i], std::memory_order_relaxed);
  }
}

}  // namespace tandem::bench
