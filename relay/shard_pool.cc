#include "relay/shard_pool.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "relay/shard.h"
#include "relay/uring/uring_io.h"

namespace tandem {
namespace {

// Descriptors that are not connections: listeners, rings, the control core, files, pipes.
constexpr rlim_t kDescriptorsReserved = 64;

// What tells a bulk flow: setting up a pipe has paid by then.
constexpr uint32_t kBulkBytes = 4u << 20;

// As many connections as this process may have descriptors; a shard may come to hold all of them.
uint32_t streams_max_of() {
  rlimit limit{};
  TANDEM_CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
  constexpr rlim_t kStreamsMax = 1 << 20;
  const rlim_t most = std::min(limit.rlim_cur, kStreamsMax);
  return static_cast<uint32_t>(most > 2 * kDescriptorsReserved ? most - kDescriptorsReserved
                                                               : most);
}

SipKey random_key() {
  SipKey key;
  TANDEM_CHECK(::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
  return key;
}

uring::ListenOptions listen_options_of(const Config& config) {
  uring::ListenOptions options;
  options.addresses = config.listen.address;
  options.port = config.listen.port;
  options.udp = config.listen.udp;
  options.tcp = config.listen.tcp;
  options.backlog = config.listen.backlog;
  options.fastopen = config.listen.fastopen;
  options.freebind = config.listen.freebind;
  options.tcp_nodelay = config.sessions.tcp_nodelay;
  options.keepalive_interval = Nanos{config.sessions.keepalive_interval_s} * kNanosPerSecond;
  options.keepalive_timeout = Nanos{config.sessions.keepalive_timeout_s} * kNanosPerSecond;
  return options;
}

uring::UringOptions uring_options_of(const Config& config, const CpuPlan& plan, uint32_t shard,
                                     uint32_t streams_max) {
  uring::UringOptions options;
  options.submission = config.engine.submission;
  if (!plan.pollers.empty()) options.sqpoll_cpu = static_cast<int>(plan.pollers[shard]);
  options.sqpoll_idle_ms = config.engine.sqpoll_idle_ms;
  options.ring_entries = config.engine.ring_entries;
  options.busy_poll_us = config.engine.busy_poll_us;
  options.hugepages = config.engine.hugepages;
  options.streams_max = streams_max;
  options.stream_buffer_bytes = static_cast<uint32_t>(config.engine.buffer_size);
  options.stream_buffers = config.engine.buffers;
  options.zero_copy = config.engine.zero_copy;
  return options;
}

// What is in use, from what was asked for and what the kernel gave.
RelayFeatures features_of(const Config& config, const UringIo& io) {
  RelayFeatures features;
  features.backend = "io_uring";
  const std::string in_use = io.describe();
  features.submission = in_use.substr(0, in_use.find(','));
  features.zero_copy = config.engine.zero_copy == ZeroCopy::splice   ? "splice"
                       : in_use.find("send_zc") != std::string::npos ? "send_zc"
                                                                     : "off";
  features.kernel_features.push_back(in_use);
  return features;
}

void collect_uring(Metrics& into, uint32_t shard, const UringIo& io) {
  const std::string label = "shard=\"" + std::to_string(shard) + "\"";
  const auto add = [&](std::string_view name, std::string_view help, const std::string& labels,
                       uint64_t value) {
    into.push_back({name, help, MetricType::counter, labels, static_cast<double>(value)});
  };
  const uring::UringCounters& counters = io.counters();
  const auto unsent = [&](const char* reason, const Counter& counter) {
    add("tandem_datagrams_unsent_total",
        "Datagrams that were decided to be sent and that the kernel did not take.",
        label + ",reason=\"" + reason + "\"", counter.load());
  };
  unsent("socket_full", counters.unsent_socket_full);
  unsent("no_slots", counters.unsent_no_slots);
  unsent("unreachable", counters.unsent_unreachable);
  unsent("too_big", counters.unsent_too_big);
  unsent("other", counters.unsent_other);
  add("tandem_datagrams_lost_in_kernel_total",
      "Datagrams that the kernel dropped, the receive buffer of the socket being full.", label,
      io.kernel_drops());
  const auto trains = [&](const char* way, const auto& sizes) {
    append_histogram(into, "tandem_datagram_train_size",
                     "Datagrams of the trains that the kernel joined when they came or took apart "
                     "when they left; single ones are not counted.",
                     label + ",way=\"" + way + "\"", sizes.buckets(), sizes.sum());
  };
  trains("received", counters.trains_received);
  trains("sent", counters.trains_sent);
  add("tandem_receive_ring_empty_total", "Times that no datagram buffer was free.", label,
      counters.receive_ring_empty.load());
  add("tandem_trains_split_total", "Trains sent one by one, the route taking none.", label,
      counters.trains_split.load());
  add("tandem_starved_reads_total",
      "Times that a stream's receive found no buffer offered: it goes on the turn after.", label,
      counters.starved_reads.load());
  add("tandem_connections_refused_total", "Connections for which no slot was free.", label,
      counters.accepts_refused.load());
  for (size_t value = 0; value < uring::kSentHows; ++value) {
    const auto how = static_cast<uring::SentHow>(value);
    add("tandem_stream_sent_bytes_total",
        "Bytes that TCP streams sent, by whether the kernel copied them.",
        label + ",how=\"" + std::string(uring::sent_how_text(how)) + "\"",
        counters.stream_sent_bytes[how].load());
  }
  add("tandem_zero_copy_sends_total", "Sends asked to copy nothing.", label,
      counters.zero_copy_sends.load());
  add("tandem_zero_copy_copied_total", "Of these, those that the kernel copied all the same.",
      label, counters.zero_copy_copied.load());
  add("tandem_splice_lost_bytes_total", "Payload left in a pipe when its lane broke.", label,
      counters.splice_bytes_lost.load());
}

}  // namespace

struct ShardPool::Member {
  int cpu = -1;
  ShardPlace place;
  uint64_t stream_bytes = 0;
  std::unique_ptr<UringIo> io;
  std::unique_ptr<Shard<UringIo>> shard;
  std::thread thread;
};

ShardPool::ShardPool(std::function<void()> wake_control)
    : wake_control_(std::move(wake_control)),
      shared_(std::make_unique<SharedCounts>(random_key())) {}

ShardPool::~ShardPool() {
  join();
}

Result<std::unique_ptr<ShardPool>, std::string> ShardPool::open(
    const Config& config, const CpuPlan& plan, const ShardSettings& settings,
    std::function<void()> wake_control) {
  const auto shards = static_cast<uint32_t>(plan.shards.size());
  auto sockets = uring::open_listeners(listen_options_of(config), shards);
  if (!sockets) return unexpected(sockets.error());
  std::unique_ptr<ShardPool> pool(new ShardPool(std::move(wake_control)));
  for (uint32_t i = 0; i < shards; ++i) pool->inboxes_.push_back(std::make_unique<Inbox>(shards));
  const uint32_t streams_max = streams_max_of();
  for (uint32_t i = 0; i < shards; ++i) {
    const uring::UringOptions options = uring_options_of(config, plan, i, streams_max);
    auto io = UringIo::open(options, std::move((*sockets)[i]));
    if (!io) return unexpected(io.error());
    auto member = std::make_unique<Member>();
    member->cpu = static_cast<int>(plan.shards[i]);
    member->place = {
        .index = i,
        .shards = shards,
        .sessions_max = settings.max_sessions,
        .streams_max = streams_max,
        .transfer_after = config.engine.zero_copy == ZeroCopy::splice ? kBulkBytes : UINT32_MAX,
        .greeting_bytes = config.listen.proxy_protocol ? uint32_t{kProxyHeaderMax + kJoinLineMax}
                                                       : uint32_t{kJoinLineMax}};
    member->stream_bytes = uint64_t{options.stream_buffers} * options.stream_buffer_bytes;
    member->io = std::move(*io);
    member->shard = std::make_unique<Shard<UringIo>>(
        *member->io, member->place, settings, *pool->shared_, pool->inboxes_,
        [pool = pool.get()](uint32_t shard) { pool->wake(shard); });
    pool->members_.push_back(std::move(member));
  }
  pool->features_ = features_of(config, *pool->members_.front()->io);
  return pool;
}

void ShardPool::wake(uint32_t shard) {
  if (shard < members_.size()) {
    members_[shard]->io->wake();
  } else {
    wake_control_();
  }
}

void ShardPool::start() {
  // Signals are control's: one that a shard took would only end its wait.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (const auto& member : members_) {
    member->thread = std::thread([&member = *member] {
      name_thread("shard-" + std::to_string(member.place.index));
      const Cpu cpu = static_cast<Cpu>(member.cpu);
      // A core that went away since the plan was made: better unpinned than not at all.
      (void)pin_thread(std::span(&cpu, 1));
      member.shard->run();
    });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ShardPool::join() {
  for (const auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
}

std::vector<ShardView> ShardPool::views() {
  std::vector<ShardView> views;
  for (const auto& member : members_) {
    Member* const of = member.get();
    views.push_back(
        {.cpu = of->cpu,
         .inbox = inboxes_[of->place.index].get(),
         .counters = &of->shard->core().counters(),
         .wake = [of] { of->io->wake(); },
         .collect_io = [of](Metrics& into, uint32_t shard) { collect_uring(into, shard, *of->io); },
         .buffers =
             [of] {
               return std::pair(of->shard->core().counters().stream_bytes_free.load(),
                                of->stream_bytes);
             }});
  }
  return views;
}

RelayFeatures ShardPool::features() const {
  return features_;
}

}  // namespace tandem
