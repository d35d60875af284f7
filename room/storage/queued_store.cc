#include "room/storage/queued_store.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/log.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;
using Lock = std::unique_lock<std::mutex>;

constexpr std::int64_t kMillisPerDay = kNanosPerDay / kNanosPerMillisecond;
// For a call that was interrupted to come back.
constexpr auto kInterruptPatience = std::chrono::seconds(2);
// Once the store ends, so that a disk that is back just then is not missed.
constexpr auto kRetryAtTheEnd = std::chrono::milliseconds(50);
constexpr auto kSizeEvery = std::chrono::seconds(1);

UnixMillis system_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / kNanosPerMillisecond;
}

// A thread that takes no signal: those are the control thread's.
template <class Body>
Result<std::thread, std::string> start_thread(const char* name, Body body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<std::thread, std::string> started = std::thread();
  try {
    started = std::thread(std::move(body));
    pthread_setname_np(started->native_handle(), name);
  } catch (const std::system_error& error) {
    started = unexpected(fmt::format("cannot start a thread: {}", error.what()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace

class QueuedStore::Work : public std::enable_shared_from_this<Work> {
 public:
  Work(std::unique_ptr<StoreDriver> driver, StorePost post, QueuedStoreOptions options)
      : options_(std::move(options)),
        post_(std::move(post)),
        driver_(std::move(driver)),
        name_(driver_->name()),
        retention_(options_.retention),
        queue_(options_.queue) {
    if (!options_.now) options_.now = system_now;
    size_bytes_ = driver_->size_bytes();
  }

  Result<LiveRooms, std::string> load();
  void post(StoreWrite write);
  void replace_live(LiveRooms live);
  void backup(std::string path, BackupDone done);
  void set_retention(const Retention& retention);
  StoreStatistics statistics() const;
  std::size_t finish(Nanos patience);

 private:
  void start_writer();
  void run_backup(const std::string& path, const BackupDone& done);
  void run();
  void wait_for_work(Lock& lock);
  void write_until_done(const StoreBatch& batch, Lock& lock);
  void expire(Lock& lock);
  void measure(Lock& lock);
  void note_success();
  void note_failure(const std::string& reason);
  bool has_work() const {
    return finishing_ || queue_.size() > 0 || (retention_.days > 0 && Clock::now() >= expire_at_);
  }

  QueuedStoreOptions options_;
  const StorePost post_;
  std::unique_ptr<StoreDriver> driver_;
  const std::string_view name_;

  mutable std::mutex mutex_;  // over all below
  std::condition_variable changed_;
  Retention retention_;
  WriteQueue queue_;
  std::size_t in_hand_ = 0;    // of a batch that is being written
  std::uint64_t refused_ = 0;  // writes that came after the end
  StoreStatistics counted_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t failures_in_a_row_ = 0;
  Clock::time_point expire_at_ = Clock::now();
  Clock::time_point size_at_;
  bool finishing_ = false;
  bool abandoned_ = false;       // finishing, and there is no more patience
  bool driver_closing_ = false;  // must not be interrupted any more
  bool writer_ended_ = true;
  bool backup_ended_ = true;
  std::atomic<bool> backup_cancelled_ = false;

  std::thread writer_;  // of the owner alone, as the next
  std::thread backup_;
};

// ---- the control thread's side ----

// Until the writer starts the driver is the caller's.
Result<LiveRooms, std::string> QueuedStore::Work::load() {
  auto live = driver_->load();
  const Lock lock(mutex_);
  if (live) start_writer();
  return live;
}

void QueuedStore::Work::start_writer() {
  if (writer_.joinable()) return;
  auto started = start_thread("storage", [self = shared_from_this()] { self->run(); });
  if (!started) return note_failure(started.error());
  writer_ = std::move(*started);
  writer_ended_ = false;
}

void QueuedStore::Work::post(StoreWrite write) {
  bool wake = false;
  {
    const Lock lock(mutex_);
    if (finishing_) {
      ++refused_;
      return;
    }
    start_writer();
    const std::size_t before = queue_.size();
    const bool was_full = queue_.batch_is_full();
    queue_.post(std::move(write));
    // In between the writer gathers, and a wake-up would cost more than the write.
    wake = before == 0 || (!was_full && queue_.batch_is_full());
  }
  if (wake) changed_.notify_all();
}

void QueuedStore::Work::replace_live(LiveRooms live) {
  {
    const Lock lock(mutex_);
    if (finishing_) {
      ++refused_;
      return;
    }
    start_writer();
    queue_.replace_live(std::move(live));
  }
  changed_.notify_all();
}

void QueuedStore::Work::set_retention(const Retention& retention) {
  {
    const Lock lock(mutex_);
    if (retention_ == retention) return;
    retention_ = retention;
    expire_at_ = Clock::now();
  }
  changed_.notify_all();
}

void QueuedStore::Work::backup(std::string path, BackupDone done) {
  Lock lock(mutex_);
  const auto refuse = [&](std::string reason) {
    lock.unlock();
    post_([done = std::move(done), reason = std::move(reason)] { done(unexpected(reason)); });
  };
  if (finishing_) return refuse("the store is being closed");
  if (!backup_ended_) return refuse("a backup is under way");
  if (backup_.joinable()) backup_.join();
  auto started = start_thread("backup", [self = shared_from_this(), path = std::move(path), done] {
    self->run_backup(path, done);
  });
  if (!started) return refuse(started.error());
  backup_ = std::move(*started);
  backup_ended_ = false;
}

// On a thread of its own. Whoever sees it ended joins it, so there is still somebody to post to.
void QueuedStore::Work::run_backup(const std::string& path, const BackupDone& done) {
  auto outcome = driver_->backup(path, backup_cancelled_);
  {
    const Lock lock(mutex_);
    backup_ended_ = true;
    changed_.notify_all();
    if (abandoned_) return;
  }
  post_([done, outcome = std::move(outcome)] { done(outcome); });
}

StoreStatistics QueuedStore::Work::statistics() const {
  const Lock lock(mutex_);
  StoreStatistics now = counted_;
  now.driver = name_;
  now.live_stale = queue_.live_stale();
  now.queued = queue_.size() + in_hand_;
  now.queue_max = queue_.writes_max();
  now.coalesced = queue_.coalesced();
  now.dropped = queue_.dropped() + refused_;
  now.size_bytes = size_bytes_;
  return now;
}

std::size_t QueuedStore::Work::finish(Nanos patience) {
  Lock lock(mutex_);
  if (finishing_) return queue_.size() + in_hand_;
  const auto ended = [this] { return writer_ended_ && backup_ended_; };
  finishing_ = true;
  backup_cancelled_ = true;
  changed_.notify_all();
  if (!changed_.wait_for(lock, std::chrono::nanoseconds(patience), ended)) {
    abandoned_ = true;
    if (!driver_closing_) driver_->interrupt();
    changed_.notify_all();
    changed_.wait_for(lock, kInterruptPatience, ended);
  }
  const bool all_ended = ended();
  const std::size_t lost = queue_.size() + in_hand_;
  lock.unlock();
  for (std::thread* thread : {&writer_, &backup_}) {
    if (!thread->joinable()) continue;
    if (all_ended) {
      thread->join();
    } else {
      thread->detach();  // it holds what it needs
    }
  }
  if (lost > 0) log(LogLevel::error, "storage", "writes lost at the end", {{"writes", lost}});
  return lost;
}

// ---- the store's thread ----

void QueuedStore::Work::wait_for_work(Lock& lock) {
  while (!has_work()) {
    if (retention_.days == 0) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, expire_at_);
    }
  }
  if (queue_.size() == 0) return;
  changed_.wait_for(lock, std::chrono::nanoseconds(options_.linger),
                    [this] { return finishing_ || queue_.batch_is_full(); });
}

void QueuedStore::Work::run() {
  Lock lock(mutex_);
  for (;;) {
    wait_for_work(lock);
    if (queue_.size() > 0) {
      const StoreBatch batch = queue_.take();
      in_hand_ = batch.size();
      write_until_done(batch, lock);
      lock.unlock();  // to free a thousand rows takes longer than a post should wait
    } else if (finishing_) {
      break;
    }
    if (!lock) lock.lock();
    if (abandoned_) break;
    if (!finishing_) {
      expire(lock);
      measure(lock);
    }
  }
  driver_closing_ = true;
  // A backup that is still on its way holds the driver; the last one to go closes it.
  changed_.wait(lock, [this] { return backup_ended_ || abandoned_; });
  if (backup_ended_) {
    lock.unlock();
    driver_.reset();
    lock.lock();
  }
  writer_ended_ = true;
  changed_.notify_all();
}

void QueuedStore::Work::write_until_done(const StoreBatch& batch, Lock& lock) {
  while (!abandoned_) {
    lock.unlock();
    const auto written = driver_->write(batch);
    lock.lock();
    if (written) {
      // A new live part is one write and may have several rows that are refused.
      counted_.written += batch.size() - std::min(batch.size(), written->count);
      counted_.rejected += written->count;
      if (written->count > 0) {
        counted_.last_error = written->reason;
        log(LogLevel::error, "storage", "rows refused",
            {{"rows", written->count}, {"reason", written->reason}});
      }
      in_hand_ = 0;
      return note_success();
    }
    note_failure(written.error());
    const bool was_finishing = finishing_;
    changed_.wait_for(lock,
                      was_finishing
                          ? Clock::duration(kRetryAtTheEnd)
                          : Clock::duration(std::chrono::nanoseconds(options_.retry_after)),
                      [&] { return abandoned_ || finishing_ != was_finishing; });
  }
}

// One piece; the next one follows the batch that waits meanwhile.
void QueuedStore::Work::expire(Lock& lock) {
  if (retention_.days == 0 || Clock::now() < expire_at_) return;
  const UnixMillis before = options_.now() - retention_.days * kMillisPerDay;
  lock.unlock();
  const auto deleted = driver_->expire(before, options_.expire_rows_max);
  lock.lock();
  if (!deleted) {
    note_failure(deleted.error());
    expire_at_ = Clock::now() + std::chrono::nanoseconds(options_.retry_after);
    return;
  }
  note_success();
  counted_.expired += *deleted;
  if (*deleted < options_.expire_rows_max)
    expire_at_ = Clock::now() + std::chrono::nanoseconds(retention_.every);
}

void QueuedStore::Work::measure(Lock& lock) {
  if (Clock::now() < size_at_) return;
  lock.unlock();
  const std::uint64_t bytes = driver_->size_bytes();
  lock.lock();
  size_bytes_ = bytes;
  size_at_ = Clock::now() + kSizeEvery;
}

void QueuedStore::Work::note_success() {
  if (!counted_.ok)
    log(LogLevel::info, "storage", "writing again",
        {{"failures", failures_in_a_row_}, {"dropped", queue_.dropped()}});
  counted_.ok = true;
  failures_in_a_row_ = 0;
}

void QueuedStore::Work::note_failure(const std::string& reason) {
  if (counted_.ok || counted_.last_error != reason)
    log(LogLevel::error, "storage", "cannot write; trying again",
        {{"reason", reason}, {"queued", queue_.size() + in_hand_}});
  counted_.ok = false;
  counted_.last_error = reason;
  ++counted_.errors;
  ++failures_in_a_row_;
}

// ---- the store ----

QueuedStore::QueuedStore(std::unique_ptr<StoreDriver> driver, StorePost post,
                         QueuedStoreOptions options)
    : work_(std::make_shared<Work>(std::move(driver), std::move(post), std::move(options))) {}

QueuedStore::~QueuedStore() {
  work_->finish(0);
}

Result<LiveRooms, std::string> QueuedStore::load() {
  return work_->load();
}
void QueuedStore::post(StoreWrite write) {
  work_->post(std::move(write));
}
void QueuedStore::replace_live(LiveRooms live) {
  work_->replace_live(std::move(live));
}
void QueuedStore::backup(std::string path, BackupDone done) {
  work_->backup(std::move(path), std::move(done));
}
void QueuedStore::set_retention(const Retention& retention) {
  work_->set_retention(retention);
}
StoreStatistics QueuedStore::statistics() const {
  return work_->statistics();
}
std::size_t QueuedStore::finish(Nanos patience) {
  return work_->finish(patience);
}

}  // namespace tandem
