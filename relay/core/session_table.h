// The shard's sessions by id and its UDP paths by channel. Owns their storage; knows no rules of
// when they begin or end.
#pragma once

#include <cstdint>

#include "common/reserved_memory.h"
#include "common/siphash.h"
#include "common/slab.h"
#include "relay/core/index_map.h"
#include "relay/core/session.h"

namespace tandem {

class SessionTable {
 public:
  // `secret` keys the hash of session ids: who holds a token key chooses them.
  SessionTable(uint32_t sessions_max, SipKey secret);

  [[nodiscard]] uint32_t find(uint64_t session_id) const;  // kNone where there is none
  // The id is not in the table. kNone where it is full.
  [[nodiscard]] uint32_t open(uint64_t session_id);
  // Closes its UDP path too. Its streams are gone.
  void close(uint32_t session);

  // Opens the session's UDP path. `channel_id` is no other path's.
  UdpPath& open_path(uint32_t session, uint32_t channel_id);

  void prefetch(uint32_t channel_id) const { by_channel_.prefetch(channel_id); }
  [[nodiscard]] UdpPath* find_path(uint32_t channel_id) {
    const uint32_t index =
        by_channel_.find(channel_id, [&](uint32_t i) { return path(i).channel_id == channel_id; });
    return index == IndexMap::kNotFound ? nullptr : &path(index);
  }

  [[nodiscard]] Session& operator[](uint32_t session) { return sessions_[session]; }
  [[nodiscard]] const Session& operator[](uint32_t session) const { return sessions_[session]; }
  // nullptr where the session has none.
  [[nodiscard]] UdpPath* path_of(const Session& session) {
    UdpPath& its = path(sessions_.index_of(session));
    return its.channel_id == 0 ? nullptr : &its;
  }

  [[nodiscard]] uint32_t next_live(uint32_t from) const { return sessions_.next_live(from); }
  [[nodiscard]] uint32_t size() const { return sessions_.size(); }
  [[nodiscard]] uint32_t capacity() const { return sessions_.capacity(); }

 private:
  [[nodiscard]] UdpPath& path(uint32_t session) const {
    return static_cast<UdpPath*>(paths_.data())[session];
  }
  [[nodiscard]] uint64_t hash_of(uint64_t session_id) const;

  Slab<Session> sessions_;
  ReservedMemory paths_;  // under the session's index; one without a channel is none
  IndexMap by_id_;
  IndexMap by_channel_;  // random 32 bits that the relay drew: their own hash
  SipKey secret_;
};

}  // namespace tandem
