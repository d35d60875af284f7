#include "room/admission/password_worker.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "common/assert.h"

namespace tandem {
namespace {

PasswordSalt random_salt() {
  PasswordSalt salt;
  TANDEM_CHECK(::getrandom(salt.data(), salt.size(), 0) == sizeof salt);
  return salt;
}

struct Job {
  std::string password;
  std::string verifier = {};
  std::function<void(std::string)> made = {};  // this one or the other is set
  std::function<void(PasswordVerdict)> checked = {};
};

}  // namespace

class PasswordWorker::Impl {
 public:
  Impl(Post post, const ScryptCost& cost) : post_(std::move(post)), cost_(cost) {
    // Signals are the control thread's.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread_.native_handle(), "passwords");
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  Outcome add(Job job) {
    {
      const std::lock_guard lock(mutex_);
      if (jobs_.size() == kQueueMax) return Outcome::full;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return Outcome::queued;
  }

  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      execute(std::move(job));
      lock.lock();
    }
  }

  void execute(Job job) {
    if (job.made) {
      std::string verifier = make_verifier(job.password, random_salt(), cost_);
      answer([made = std::move(job.made), verifier = std::move(verifier)]() mutable {
        made(std::move(verifier));
      });
    } else {
      const PasswordVerdict verdict = check_password(job.password, job.verifier);
      answer([checked = std::move(job.checked), verdict] { checked(verdict); });
    }
    OPENSSL_cleanse(job.password.data(), job.password.size());
  }

  // What is posted runs on the thread that destroys this, so it sees whether that has happened.
  void answer(std::function<void()> result) {
    post_([alive = std::weak_ptr(alive_), result = std::move(result)] {
      if (!alive.expired()) result();
    });
  }

  Post post_;
  ScryptCost cost_;
  std::shared_ptr<const bool> alive_ = std::make_shared<bool>(true);
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

PasswordWorker::PasswordWorker(Post post, ScryptCost cost)
    : impl_(std::make_unique<Impl>(std::move(post), cost)) {}
PasswordWorker::~PasswordWorker() = default;

PasswordWorker::Outcome PasswordWorker::make(std::string password,
                                             std::function<void(std::string verifier)> done) {
  TANDEM_CHECK(is_password(password));
  return impl_->add({.password = std::move(password), .made = std::move(done)});
}

PasswordWorker::Outcome PasswordWorker::check(std::string password, std::string verifier,
                                              std::function<void(PasswordVerdict)> done) {
  return impl_->add({.password = std::move(password),
                     .verifier = std::move(verifier),
                     .checked = std::move(done)});
}

std::size_t PasswordWorker::waiting() const {
  return impl_->waiting();
}

}  // namespace tandem
