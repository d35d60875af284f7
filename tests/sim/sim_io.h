// The simulated back end: satisfies Io over a SimWorld. Everything that may happen to a real one
// happens here by the throw of a seeded die: short reads and sends, late notifications, starved
// reads, failing accepts, resets at any moment. Checks what a back end can see: one owner for each
// buffer, actions only for live streams, order.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "relay/io.h"
#include "tests/sim/sim_world.h"

namespace tandem::sim {

class SimIo {
 public:
  SimIo(SimWorld& world, uint32_t shard) : world_(world), shard_(shard) {}

  void turn(std::optional<Nanos> deadline);
  [[nodiscard]] Nanos now() const { return world_.now; }
  [[nodiscard]] UnixSeconds unix_now() const { return world_.unix_now(); }
  [[nodiscard]] std::span<Datagram> datagrams() { return batch_; }
  [[nodiscard]] std::span<const StreamEvent> stream_events() const { return events_; }

  void forward(const OutgoingDatagram& outgoing);
  [[nodiscard]] bool reply(const Reply& reply);
  void release(BufferId buffer);
  [[nodiscard]] std::optional<Datagram> adopt_datagram(const Endpoint& source,
                                                       const LocalAddress& local,
                                                       std::span<const uint8_t> bytes);
  [[nodiscard]] uint16_t max_payload(const Endpoint&, const LocalAddress&) { return 1464; }

  void perform(const StreamAction& action);
  [[nodiscard]] DetachedStream detach(StreamId id);
  [[nodiscard]] std::optional<StreamId> adopt(const DetachedStream& detached);
  [[nodiscard]] uint64_t stream_bytes_free() const { return world_.stream_bytes_free; }
  void random(std::span<uint8_t> bytes);

  // ---- for the driver and the checker ----
  [[nodiscard]] std::optional<Nanos> deadline() const { return deadline_; }
  [[nodiscard]] size_t buffers_in_use() const { return buffers_.size(); }
  [[nodiscard]] size_t streams() const { return streams_.size(); }
  // Nothing is under way that would happen without a client's or a timer's doing.
  [[nodiscard]] bool quiet() const;

 private:
  struct Buffer {
    std::vector<uint8_t> bytes;
    uint32_t holders = 1;
    uint64_t stamp = 0;  // of the datagram: when it came in
  };
  struct Piece {  // of a send queue
    const uint8_t* data;
    uint32_t bytes;
    uint32_t sent = 0;
    BufferId buffer = kNoBuffer;
  };
  struct SimStream {
    StreamId id;
    SimConnection* connection = nullptr;
    uint8_t* line_into = nullptr;
    uint32_t line_max = 0;
    uint32_t credit = 0;
    bool reading = false;
    bool pausing = false;
    bool watching = false;
    bool watching_fin = false;
    bool fin_told = false;  // finished or the line's end has been told
    bool finish = false;
    bool fin_sent = false;
    bool linger = false;
    bool broken = false;
    int closing = -1;  // turns until what is in flight has ended
    std::optional<StreamId> transfer_to;
    std::deque<Piece> queue;
    uint32_t unnotified_bytes = 0;  // sent, and not yet told
    uint32_t unnotified_chunks = 0;
    std::vector<BufferId> unnotified;  // the wire still owns them
  };

  void gather_datagrams();
  void step(SimStream& stream);
  void step_read(SimStream& stream);
  void step_transfer(SimStream& stream);
  void step_send(SimStream& stream);
  void step_watch(SimStream& stream);
  void notify(SimStream& stream);
  void break_off(SimStream& stream);
  void end_slot(SimStream& stream);
  StreamEvent& emit(StreamEvent::Kind kind, const SimStream& stream);
  [[nodiscard]] BufferId make_buffer(std::vector<uint8_t> bytes);
  void drop_holder(BufferId buffer);
  [[nodiscard]] SimStream* find(StreamId id);
  [[nodiscard]] StreamId new_id();

  SimWorld& world_;
  uint32_t shard_;
  std::optional<Nanos> deadline_;
  std::vector<Datagram> batch_;
  std::vector<StreamEvent> events_;
  std::map<BufferId, Buffer> buffers_;
  BufferId next_buffer_ = 0;
  std::vector<BufferId> wire_;             // sends under way: their holders go at a later turn
  std::map<uint32_t, SimStream> streams_;  // by index
  std::vector<uint32_t> free_indices_;
  std::map<uint32_t, uint32_t> generations_;
  uint32_t next_index_ = 0;
  bool accepting_ = true;
};

static_assert(Io<SimIo>);

}  // namespace tandem::sim
