// One client's connection to a room service, nonblocking: a guest's login where it needs one, the
// WebSocket, the Engine.IO session, the namespace, and then packets. Answers pings by itself. Knows
// no room; whoever owns it hears what comes and polls its descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/load.h"
#include "bench/load/rooms/packets.h"
#include "bench/load/rooms/room_service.h"
#include "bench/load/socket.h"

namespace tandem::bench {

// What all connections of one thread share.
struct ConnectionScene {
  const RoomService& service;
  int epoll = -1;
  std::string scratch;       // what is received goes here first
  std::string packet;        // what is sent is put together here
  std::uint64_t random = 1;  // masks and keys: unguessable is not asked of a load generator's
  [[nodiscard]] std::uint64_t next_random();
};

class RoomConnection;

class ConnectionEvents {
 public:
  // The guest's token is there; the connection goes on by itself.
  virtual void on_login(std::size_t client) = 0;
  // The namespace is open and the server has said "connected".
  virtual void on_ready(std::size_t client) = 0;
  // An event or an acknowledgement. May not end the connection.
  virtual void on_packet(std::size_t client, const Packet& packet) = 0;
  // It is over; `code` is a word for why.
  virtual void on_end(std::size_t client, std::string_view code) = 0;

 protected:
  ~ConnectionEvents() = default;
};

class RoomConnection {
 public:
  enum class State : std::uint8_t {
    unused,
    connecting,
    logging_in,
    upgrading,
    opening,   // waits for the Engine.IO session
    entering,  // waits for the namespace
    greeting,  // waits for "connected"
    ready,
    ended,
  };

  // `number` is the client's in the whole run. Polled with `client` in the event's data.
  void open(ConnectionScene& scene, ConnectionEvents& events, std::size_t client,
            std::size_t number);
  void on_polled(ConnectionScene& scene, ConnectionEvents& events, std::uint32_t polled);
  // Of a ready one.
  void emit(ConnectionScene& scene, std::string_view event, std::string_view argument,
            std::optional<std::uint64_t> ack_id = std::nullopt);
  // Without a word, and without one to the owner.
  void drop();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool is_ready() const { return state_ == State::ready; }
  [[nodiscard]] bool is_over() const { return state_ == State::ended; }

 private:
  void dial(ConnectionScene& scene, ConnectionEvents& events);
  void greet_http(ConnectionScene& scene, ConnectionEvents& events);
  void ask_for_token(ConnectionScene& scene);
  void ask_for_websocket(ConnectionScene& scene);
  void receive(ConnectionScene& scene, ConnectionEvents& events);
  // How many of the bytes it used.
  std::size_t consume(ConnectionScene& scene, ConnectionEvents& events, std::string_view bytes);
  std::size_t consume_login(ConnectionScene& scene, ConnectionEvents& events,
                            std::string_view bytes);
  std::size_t consume_upgrade(ConnectionEvents& events, std::string_view bytes);
  std::size_t consume_frame(ConnectionScene& scene, ConnectionEvents& events,
                            std::string_view bytes);
  void on_text(ConnectionScene& scene, ConnectionEvents& events, std::string_view text);
  void send_packet(ConnectionScene& scene, std::string_view packet);
  void send(ConnectionScene& scene, std::string_view bytes);
  void poll_for(ConnectionScene& scene, int operation, std::uint32_t events) const;
  void end(ConnectionEvents& events, std::string_view code);

  State state_ = State::unused;
  bool polls_for_room_ = false;
  std::uint32_t client_ = 0;
  std::uint32_t number_ = 0;
  Socket socket_;
  std::string token_;    // until it is used
  std::string key_;      // of the WebSocket's handshake, until it is answered
  std::string partial_;  // received, not yet a whole frame
  std::string message_;  // of fragments
  std::string unsent_;
};

}  // namespace tandem::bench
