#include "relay/core/session_table.h"

#include <cstring>

namespace tandem {

SessionTable::SessionTable(uint32_t sessions_max, SipKey secret)
    : sessions_(sessions_max),
      paths_(sessions_max),
      by_id_(sessions_max),
      by_channel_(sessions_max),
      secret_(secret) {}

uint64_t SessionTable::hash_of(uint64_t session_id) const {
  std::array<uint8_t, sizeof session_id> bytes;
  std::memcpy(bytes.data(), &session_id, sizeof session_id);
  return siphash13(secret_, bytes);
}

uint32_t SessionTable::find(uint64_t session_id) const {
  return by_id_.find(hash_of(session_id),
                     [&](uint32_t i) { return sessions_[i].id == session_id; });
}

uint32_t SessionTable::open(uint64_t session_id) {
  const auto handle = sessions_.acquire();
  if (!handle) return kNone;
  sessions_[handle->index].id = session_id;
  by_id_.insert(hash_of(session_id), handle->index);
  return handle->index;
}

void SessionTable::close(uint32_t session) {
  const Session& gone = sessions_[session];
  if (gone.udp != kNone) {
    by_channel_.erase(paths_[gone.udp].channel_id, gone.udp,
                      [&](uint32_t i) { return paths_[i].channel_id; });
    paths_.release(paths_.handle_of(gone.udp));
  }
  by_id_.erase(hash_of(gone.id), session, [&](uint32_t i) { return hash_of(sessions_[i].id); });
  sessions_.release(sessions_.handle_of(session));
}

UdpPath& SessionTable::open_path(uint32_t session, uint32_t channel_id) {
  const auto handle = paths_.acquire();
  TANDEM_CHECK(handle);  // as many paths as sessions, and a session has one
  UdpPath& path = paths_[handle->index];
  path.channel_id = channel_id;
  path.session = session;
  by_channel_.insert(channel_id, handle->index);
  sessions_[session].udp = handle->index;
  return path;
}

}  // namespace tandem
