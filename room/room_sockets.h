// The rooms' side of every Socket.IO client: who comes in, what its events do, what it is sent, and
// its coming back. Ties sockets to the registry, and the registry's outcomes to relays, storage and
// password checks. Knows no transport and no rule of a room. The control thread's.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "room/admission/jwt.h"
#include "room/admission/password_worker.h"
#include "room/admission/request_limiter.h"
#include "room/lobby/room_registry.h"
#include "room/relays/relay_allocator.h"
#include "room/room_stats.h"
#include "room/socket_io/socket_server.h"
#include "room/storage/store.h"

namespace tandem {

// What the sockets stand on; all of it outlives them.
struct RoomParts {
  RoomRegistry& registry;
  RelayAllocator& relays;
  Store& store;
  PasswordWorker& passwords;
  AddressLimits& address_limits;
  ClientLimiter& client_limits;
  RoomStats& stats;
  std::function<const JwtKeys&()> jwt_keys;  // a reload may replace them
};

[[nodiscard]] Moment moment_now();

class RoomSockets final : public SocketApp {
 public:
  RoomSockets(const Config& config, RoomParts parts);
  ~RoomSockets();
  RoomSockets(const RoomSockets&) = delete;
  RoomSockets& operator=(const RoomSockets&) = delete;

  // Whose clients these are; once, before the first comes.
  void attach(SocketServer& server) { server_ = &server; }
  void apply(const Config& config);

  // Graces and rooms that are over, lists that changed, tokens that expired: every 50 ms.
  void tick(Moment now);

  // Nobody new; what is due waits, so that clients find their rooms again after the drain.
  void set_draining(bool draining);
  // Tells the storage how long what lasts between members has lasted: the node ends, they go on.
  void end_links();
  // Lets go of every socket, while they are still there.
  void close();

  // Registry calls of others (the operator closes a room) end here: what came of them is sent,
  // stored and revoked. `outcome` is cleared by it.
  void settle(Outcome& outcome);

  [[nodiscard]] JwtRules jwt_rules() const;

  // SocketApp
  std::optional<ConnectRefusal> on_connect(Socket& socket, std::optional<JsonSpan> auth,
                                           std::string& identity) override;
  void on_connected(Socket& socket) override;
  void on_recovered(Socket& socket) override;
  void on_event(Socket& socket, const SocketEvent& event) override;
  Parting on_disconnect(Socket& socket, SocketEnd end) override;

 private:
  struct Client;
  struct Question;  // a request under way: whose it is and where its answer goes
  // By the registry's index of a client.
  struct Seat {
    ClientKey key;
    Socket* socket = nullptr;
  };
  struct Parked {
    Nanos until = 0;
    Socket* socket = nullptr;
  };

  // room_sockets.cc
  [[nodiscard]] std::optional<ConnectRefusal> judge(Socket& socket, std::optional<JsonSpan> auth);
  void enter(Socket& socket, Return how, const MissedPackets& missed);
  [[nodiscard]] MissedPackets retire(std::string_view client_id);
  void greet(Socket& socket);
  void send_resumed(Socket& socket, std::string_view arguments, const MissedPackets& missed);
  [[nodiscard]] Socket* socket_of(ClientKey key) const;
  void park(Socket& socket, Client& client, Nanos until);
  void unpark(Client& client);
  void forget(Socket& socket);
  void expire_parked(Moment now);
  void expire_tokens(Moment now);

  // room_events.cc
  [[nodiscard]] std::optional<ApiError> over_limit(Socket& socket, ClientKey client,
                                                   std::string_view event, Nanos now);
  void run(const Question& question, const RoomRequest& request,
           std::span<const std::string_view> attachments);
  void derive(const Question& question, RoomRequest request);
  void check(const Question& question, JoinRoom request, std::string verifier);
  void answer(const Question& question);
  void refuse(Socket& socket, std::optional<std::uint64_t> ack_id, const ApiError& error);
  void replace_lost_relays(Moment now);
  void give_relay(const Question& question, const RelayWanted& wanted);
  void send_relay(ClientKey to, ClientKey peer, const RelayWanted& wanted, std::uint8_t slot,
                  std::uint64_t session_id, const Question& question);
  [[nodiscard]] std::string_view reached_host(const Socket& socket, ClientKey peer) const;
  void deliver(const Outcome& outcome, std::span<const std::string_view> attachments);
  void keep(Outcome& outcome);
  void count(const RoomRequest& request);

  Config config_;
  std::string node_id_;
  RoomParts parts_;
  SocketServer* server_ = nullptr;
  Outcome outcome_;  // used over and over
  std::string text_;
  std::vector<Seat> seats_;
  std::list<Parked> parked_;
  // What on_connect() found, for the on_connected() or on_recovered() that follows at once.
  JwtClaims admitted_;
  std::size_t token_sweep_ = 0;
  Nanos next_lists_ = 0;
  std::vector<std::uint64_t> stranded_;  // relay sessions whose relay is lost, to be replaced
  bool draining_ = false;
};

}  // namespace tandem
