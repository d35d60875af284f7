// What a shard's back end is made with and what it counts. Plain values: main fills the options
// from the configuration, the metrics page reads the counters from another thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/config.h"
#include "common/counters.h"

namespace tandem::uring {

// How read() receives. The probe picks the first that works (probe.h).
enum class ReadMode : uint8_t {
  automatic,
  bundles,  // multishot with bundles and a limit of its own: one operation for a whole credit
            // (6.17)
  singles,  // one buffer at a time (6.1)
};

struct UringOptions {
  Submission submission = Submission::automatic;
  int sqpoll_cpu = -1;
  uint32_t sqpoll_idle_ms = 1000;
  uint32_t ring_entries = 4096;  // a power of two
  uint32_t busy_poll_us = 0;     // look for work so long before going to sleep
  HugePages hugepages = HugePages::automatic;

  uint32_t datagram_buffers = 1024;  // 64 KiB of address space each; at most 65,535
  uint32_t datagrams_per_turn = 256;
  bool registered_files = true;  // 2 % of a scattered datagram's cost

  uint32_t streams_max = 20000;
  uint32_t stream_buffer_bytes = 32 * 1024;
  uint32_t stream_buffers = 1024;  // at most 65,535
  // Of one receive at most, where it is a bundle: half of what is offered to bulk streams.
  uint32_t receive_buffers = 8;
  // Of one send at most, up to kMessageParts. Relay CPU-s per GB, 8 bulk flows on a busy machine: 4
  // buffers 0.65, 8 0.54, 16 0.50.
  uint32_t send_buffers = 16;
  uint32_t events_per_turn = 1024;
  // A peer whose least round-trip time is less has its kernel buffers bounded.
  uint32_t near_us = 500;
  ReadMode read_mode = ReadMode::automatic;

  ZeroCopy zero_copy = ZeroCopy::automatic;
  uint32_t pipes_max = 64;  // of 1 MiB each, for transfer()
};

// How bytes that a stream sent came to the wire.
enum class SentHow : uint8_t {
  copied,     // by the kernel, from our buffers: plain sends, and SEND_ZC where it copied after all
  splice,     // moved within the kernel
  zero_copy,  // SEND_ZC, from our buffers as they lay
};
inline constexpr size_t kSentHows = static_cast<size_t>(SentHow::zero_copy) + 1;
[[nodiscard]] constexpr std::string_view sent_how_text(SentHow how) {
  constexpr std::string_view kTexts[kSentHows] = {"copied", "splice", "zero_copy"};
  return kTexts[static_cast<size_t>(how)];
}

// 1, 2, 4 ... 128: what UDP_SEGMENT takes since 6.9.
inline constexpr size_t kTrainBounds = 8;

struct UringCounters {
  // By how many datagrams each was; single ones are no trains.
  SizeHistogram<kTrainBounds> trains_received;  // joined by the kernel
  SizeHistogram<kTrainBounds> trains_sent;
  Counter receive_ring_empty;  // no buffer was left: the rest waits in the socket
  Counter receive_rearms;

  // Datagrams that did not leave, by reason.
  Counter unsent_socket_full;
  Counter unsent_no_slots;
  Counter unsent_unreachable;
  Counter unsent_too_big;
  Counter unsent_other;
  Counter trains_split;  // sent one by one since the route takes no train

  Counter accept_failures;
  Counter accepts_refused;  // no stream slot was free
  Counter starved_reads;    // a stream waited for buffers, of bulk ones mostly till the next turn

  CounterArray<SentHow, kSentHows> stream_sent_bytes;
  Counter zero_copy_sends;
  Counter zero_copy_copied;   // where the kernel copied all the same
  Counter splice_bytes_lost;  // in a pipe when one of its ends broke
};

}  // namespace tandem::uring
