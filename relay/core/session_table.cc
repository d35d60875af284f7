#include "relay/core/session_table.h"

#include <cstring>

namespace tandem {

SessionTable::SessionTable(uint32_t sessions_max, SipKey secret)
    : sessions_(sessions_max),
      paths_(size_t{sessions_max} * sizeof(UdpPath)),
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
  if (UdpPath* const path = path_of(gone)) {
    by_channel_.erase(path->channel_id, session,
                      [&](uint32_t i) { return this->path(i).channel_id; });
    *path = {};
  }
  by_id_.erase(hash_of(gone.id), session, [&](uint32_t i) { return hash_of(sessions_[i].id); });
  sessions_.release(sessions_.handle_of(session));
}

UdpPath& SessionTable::open_path(uint32_t session, uint32_t channel_id) {
  UdpPath& path = this->path(session);
  path = {};
  path.channel_id = channel_id;
  path.session = session;
  by_channel_.insert(channel_id, session);
  return path;
}

}  // namespace tandem
