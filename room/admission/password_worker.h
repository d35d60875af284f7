// A thread that makes and checks password verifiers, so that scrypt's tens of milliseconds are not
// the control thread's. Results come back to that thread; it alone calls this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "room/admission/password.h"

namespace tandem {

class PasswordWorker {
 public:
  // Jobs that wait; with the one under way at most some 3 s of work.
  static constexpr std::size_t kQueueMax = 64;

  enum class Outcome : std::uint8_t {
    queued,  // the callback comes once
    full,    // it does not: OVER_CAPACITY
  };

  // `post` runs what it is given on the control thread, later; it is called on the worker's.
  using Post = std::function<void(std::function<void()>)>;
  explicit PasswordWorker(Post post, ScryptCost cost = kPasswordCost);
  // Waits for the job under way. No callback comes afterwards, not even one that is already posted.
  ~PasswordWorker();
  PasswordWorker(const PasswordWorker&) = delete;
  PasswordWorker& operator=(const PasswordWorker&) = delete;

  // A password that is to be made a verifier is one by is_password().
  [[nodiscard]] Outcome make(std::string password, std::function<void(std::string verifier)> done);
  [[nodiscard]] Outcome check(std::string password, std::string verifier,
                              std::function<void(PasswordVerdict)> done);

  [[nodiscard]] std::size_t waiting() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
