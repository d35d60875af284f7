#include "room/admission/password_worker.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace tandem {
namespace {

constexpr ScryptCost kCheap{.log2_n = 4, .r = 1, .p = 1};

// What the control thread is to the worker; take_one() runs what was posted on the test's thread.
class Mailbox {
 public:
  PasswordWorker::Post post() {
    return [this](std::function<void()> task) {
      std::unique_lock lock(mutex_);
      shut_.wait(lock, [this] { return !held_; });
      tasks_.push_back(std::move(task));
      changed_.notify_all();
    };
  }
  std::function<void()> take_one() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !tasks_.empty(); });
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }
  // While it is held the worker waits with its first result.
  void hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    shut_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable shut_;
  std::deque<std::function<void()>> tasks_;
  bool held_ = false;
};

TEST_CASE("verifiers are made and checked, and results come back in order") {
  Mailbox mailbox;
  PasswordWorker worker(mailbox.post(), kCheap);
  std::string verifier;
  REQUIRE(worker.make("s3cret", [&](std::string made) { verifier = std::move(made); }) ==
          PasswordWorker::Outcome::queued);
  mailbox.take_one()();
  CHECK(verifier.starts_with("scrypt:4:1:1:"));
  std::vector<PasswordVerdict> verdicts;
  for (const char* password : {"s3cret", "wrong", ""})
    CHECK(worker.check(password, verifier, [&](PasswordVerdict verdict) {
      verdicts.push_back(verdict);
    }) == PasswordWorker::Outcome::queued);
  CHECK(verdicts.empty());  // never from within
  for (int i = 0; i < 3; ++i) mailbox.take_one()();
  CHECK(verdicts ==
        std::vector{PasswordVerdict::right, PasswordVerdict::wrong, PasswordVerdict::wrong});
}

TEST_CASE("each verifier has a salt of its own") {
  Mailbox mailbox;
  PasswordWorker worker(mailbox.post(), kCheap);
  std::vector<std::string> made;
  for (int i = 0; i < 2; ++i) {
    CHECK(worker.make("x", [&](std::string verifier) { made.push_back(verifier); }) ==
          PasswordWorker::Outcome::queued);
    mailbox.take_one()();
  }
  CHECK(made[0] != made[1]);
}

TEST_CASE("a full queue is an outcome, and its callback never comes") {
  Mailbox mailbox;
  mailbox.hold(true);
  PasswordWorker worker(mailbox.post(), kCheap);
  const auto add = [&](std::size_t& calls) {
    return worker.make("x", [&calls](std::string) { ++calls; });
  };
  std::size_t calls = 0;
  std::size_t queued = 0;
  // One is under way sooner or later and waits there; the others fill the queue.
  while (worker.waiting() < PasswordWorker::kQueueMax)
    if (add(calls) == PasswordWorker::Outcome::queued) ++queued;
  std::size_t refused_calls = 0;
  while (add(refused_calls) == PasswordWorker::Outcome::queued) ++queued;
  refused_calls = 0;
  CHECK(queued >= PasswordWorker::kQueueMax);
  CHECK(queued <= PasswordWorker::kQueueMax + 1);
  CHECK(add(refused_calls) == PasswordWorker::Outcome::full);
  mailbox.hold(false);
  for (std::size_t i = 0; i < queued; ++i) mailbox.take_one()();
  CHECK(calls + refused_calls == queued);
}

TEST_CASE("no callback comes after destruction, not even one that is posted") {
  Mailbox mailbox;
  bool called = false;
  std::function<void()> posted;
  {
    PasswordWorker worker(mailbox.post(), kCheap);
    CHECK(worker.make("x", [&](std::string) { called = true; }) == PasswordWorker::Outcome::queued);
    posted = mailbox.take_one();
    for (int i = 0; i < 10; ++i)
      CHECK(worker.make("x", [&](std::string) { called = true; }) ==
            PasswordWorker::Outcome::queued);
  }
  posted();
  CHECK(!called);
}

}  // namespace
}  // namespace tandem
