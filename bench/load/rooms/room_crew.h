// One thread's clients of a room service and the rooms that they are in: sends their requests,
// hears what comes back and keeps the books. What is sent when is a task's business. Every room's
// members are one crew's, so no two threads know one room.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/load.h"
#include "bench/load/rooms/room_connection.h"
#include "bench/load/rooms/room_ledger.h"
#include "bench/load/rooms/room_stats.h"

namespace tandem::bench {

class RoomCrew;

// What a crew does between a start and a stop.
class RoomTask {
 public:
  virtual ~RoomTask() = default;
  virtual void begin(RoomCrew& crew, Clock::time_point now) = 0;
  // Sends what is due, a bounded part of it at once.
  virtual void step(RoomCrew& crew, Clock::time_point now) = 0;
  // When there will be something to send; the largest moment where nothing is scheduled.
  [[nodiscard]] virtual Clock::time_point next_due() const = 0;
  // All was sent and answered that ever will be.
  [[nodiscard]] virtual bool is_done(const RoomCrew& crew) const = 0;
  // A client's request succeeded: it is connected, or has created, joined or left its room.
  virtual void on_success(RoomCrew& crew, std::size_t client, RoomEvent event,
                          Clock::time_point now);
  virtual void on_failure(RoomCrew& crew, std::size_t client, RoomEvent event);
};

struct CrewOptions {
  std::size_t first_client = 0;  // of the whole run
  std::size_t clients = 0;
  std::size_t room_size = 2;  // members a room: clients 0 to n - 1 are room 0's, and so on
  std::size_t message_bytes = 128;
  std::string visibility = "unlisted";
  double timeout_s = 10;  // for an answer
  bool spin = false;      // rather than sleep while nothing comes: then nobody pays for waking it
};

struct CrewRoom {
  std::string id{};  // the server's
  RoomLedger ledger{};
  std::uint64_t inside = 0;  // members, a bit each
  bool broken = false;       // a member is gone, or a request of its failed: no more is sent in it
};

class RoomCrew final : public Load, private ConnectionEvents {
 public:
  RoomCrew(const RoomService& service, const CrewOptions& options);
  ~RoomCrew() override;

  // Between two runs of the worker.
  void assign(std::unique_ptr<RoomTask> task);
  // What was counted since the last call; of messages that are missing by then none is waited for.
  [[nodiscard]] RoomStats take_stats();
  void drop_all();
  // While it runs, from any thread.
  [[nodiscard]] bool is_done() const { return done_.load(); }
  [[nodiscard]] std::size_t connected() const { return connected_.load(); }

  // For tasks.
  [[nodiscard]] std::size_t clients() const { return clients_.size(); }
  [[nodiscard]] std::size_t room_size() const { return options_.room_size; }
  // Those whose clients are all this crew's.
  [[nodiscard]] std::size_t rooms() const { return rooms_.size(); }
  [[nodiscard]] CrewRoom& room(std::size_t index) { return rooms_[index]; }
  [[nodiscard]] const CrewRoom& room(std::size_t index) const { return rooms_[index]; }
  // rooms() where it is in none.
  [[nodiscard]] std::size_t room_of(std::size_t client) const {
    return options_.room_size == 0 ? 0 : std::min(client / options_.room_size, rooms_.size());
  }
  [[nodiscard]] std::size_t member(std::size_t room, std::size_t seat) const {
    return room * options_.room_size + seat;
  }
  [[nodiscard]] bool is_full(std::size_t room) const;
  [[nodiscard]] bool is_ready(std::size_t client) const {
    return clients_[client].connection.is_ready();
  }
  // It waits for an answer.
  [[nodiscard]] bool is_waiting(std::size_t client) const { return clients_[client].waits; }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

  void connect(std::size_t client, Clock::time_point due, Clock::time_point now);
  void create(std::size_t client, Clock::time_point due, Clock::time_point now);
  void join(std::size_t client, Clock::time_point due, Clock::time_point now);
  void leave(std::size_t client, Clock::time_point due, Clock::time_point now);
  void message(std::size_t client, Clock::time_point due, Clock::time_point now);
  // An event was due and nobody was free to send it.
  void skip() { ++tally_.unsent; }

  // Load
  void start(Clock::time_point now) override;
  Turn turn(Clock::time_point now, Sending sending) override;
  [[nodiscard]] bool drained() const override;
  [[nodiscard]] Clock::duration drain_timeout() const override;
  [[nodiscard]] Tally tally() const override { return tally_; }
  [[nodiscard]] std::vector<std::uint64_t> delivered_by_flow() const override { return {}; }
  void forget_latencies() override;
  [[nodiscard]] bool waits() const override { return !options_.spin; }

 private:
  struct Client {
    RoomConnection connection{};
    RoomEvent asked = RoomEvent::connect;  // what it waits for
    bool waits = false;
    bool told_of_error = false;  // an error event came before its acknowledgement
    std::uint64_t ack_id = 0;
    Clock::time_point due{};
    Clock::time_point deadline{};
    std::string last_code{};  // of the last acknowledged failure, until its event comes
  };

  void on_login(std::size_t client) override;
  void on_ready(std::size_t client) override;
  void on_packet(std::size_t client, const Packet& packet) override;
  void on_end(std::size_t client, std::string_view code) override;

  void on_ack(std::size_t client, const Packet& packet);
  void on_message(std::size_t client, const Packet& packet);
  void on_error(std::size_t client, const Packet& packet);
  void expect(std::size_t client, RoomEvent event, Clock::time_point due, Clock::time_point now);
  void ask(std::size_t client, RoomEvent event, std::string_view name, std::string_view argument,
           Clock::time_point due, Clock::time_point now);
  void succeed(std::size_t client);
  void fail(std::size_t client, std::string_view code);
  void break_room(std::size_t client);
  void apply(std::size_t client, RoomEvent event);
  // Whether there were as many as it takes at once.
  Turn take_packets(Clock::time_point now, Sending sending);
  [[nodiscard]] Clock::duration time_to_wait(Clock::time_point now, Sending sending) const;
  void expire(Clock::time_point now);
  [[nodiscard]] std::uint64_t bit_of(std::size_t client) const {
    return std::uint64_t{1} << client % options_.room_size;
  }

  CrewOptions options_;
  Socket epoll_;
  ConnectionScene scene_;
  std::vector<Client> clients_;
  std::vector<CrewRoom> rooms_;
  std::unique_ptr<RoomTask> task_;
  RoomStats stats_;
  Tally tally_;
  std::string argument_;
  std::size_t waiting_ = 0;
  std::size_t missing_ = 0;  // copies of messages
  Clock::time_point now_{};  // of what is being handled
  Clock::time_point next_expiry_{};
  std::atomic<bool> done_{false};
  std::atomic<std::size_t> connected_{0};
};

}  // namespace tandem::bench
