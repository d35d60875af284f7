// What the connections and listeners of one web server share: the turn, the limits, the counters.
// Only files of the web server include this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/address_counts.h"
#include "room/web/cors.h"
#include "room/web/linked_list.h"
#include "room/web/readiness.h"
#include "room/web/tls_channel.h"
#include "room/web/web_connection.h"
#include "room/web/web_deadlines.h"
#include "room/web/web_listener.h"
#include "room/web/web_loop.h"
#include "room/web/web_server.h"

namespace tandem {

struct WebCounters {
  std::map<unsigned, std::uint64_t> requests;  // by status
  std::uint64_t accepted = 0;
  std::uint64_t accept_errors = 0;
  std::uint64_t evicted = 0;               // to make room
  std::uint64_t refused_full = 0;          // there was none to make
  std::uint64_t refused_address = 0;       // connections_per_address
  std::uint64_t refused_proxy_header = 0;  // it was none
  std::uint64_t messages_received = 0;
  std::uint64_t message_bytes_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t message_bytes_sent = 0;
  std::array<std::uint64_t, 5> closed{};  // by WebSocketEnd
};

class WebServer::Impl {
 public:
  // Of one connection in one turn, so that a flood does not starve others.
  static constexpr std::size_t kTurnBytes = 64 * 1024;
  static constexpr int kTurnRequests = 16;
  static constexpr std::size_t kTlsRecordMax = 16 * 1024;

  Impl(boost::asio::io_context& context, WebOptions options, WebApp& app);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void, std::string> listen(const Endpoint& endpoint);
  std::uint16_t port() const;
  Result<void, std::string> apply(const WebOptions& options);
  std::size_t connections() const { return connections_; }
  std::size_t websockets() const { return websockets_; }
  std::uint64_t websockets_opened() const { return websockets_opened_; }
  void collect(Metrics& into) const;

  // For connections.
  const WebOptions& options() const { return options_; }
  const WebLimits& limits() const { return options_.limits; }
  const CorsPolicy& cors() const { return cors_; }
  const TlsCertificate* certificate() const { return certificate_.get(); }
  WebApp& app() { return app_; }
  WebCounters& counters() { return counters_; }
  // What is read into it is good until the next read of any connection.
  std::span<char> scratch() { return {scratch_.get(), kTurnBytes}; }
  // The same for what TLS is to write in one piece.
  std::span<char> tls_scratch() { return {tls_scratch_.get(), kTlsRecordMax}; }

  void call_at_end_of_turn(WebConnection& connection);
  void call_next_turn(WebConnection& connection);
  void set_deadline(WebConnection& connection, WebDeadline kind);
  // It goes to the end of the queue of those that have to make room.
  void may_be_evicted(WebConnection& connection) { unanswered_longest_.push_back(connection); }
  void may_not_be_evicted(WebConnection& connection);
  // It is to be buried, and counts no more.
  void leaves(WebConnection& connection);
  // Counts one more of this address; false where that is too many, and then it does not count.
  [[nodiscard]] bool add_address(const IpAddress& address);
  void remove_address(const IpAddress& address) { addresses_.remove(address); }
  void websocket_begins() {
    ++websockets_;
    ++websockets_opened_;
    ++counters_.requests[101];
  }
  void websocket_ends(WebSocketEnd end);

  // For listeners.
  ReadinessSet& readiness() { return readiness_; }
  void admit(int descriptor, const IpAddress& peer);
  void call_deadline(Nanos at) { loop_.call_deadline(at); }

 private:
  void on_ready();
  void on_turn_end();
  void on_deadline();
  void end_turn();
  void bury(WebConnection& connection);
  bool make_room();
  static WebDeadlines::Spans spans_of(const WebLimits& limits);

  WebOptions options_;
  WebApp& app_;
  CorsPolicy cors_;
  std::shared_ptr<TlsCertificate> certificate_;
  WebCounters counters_;
  AddressCounts addresses_;
  // Not touched before they are used.
  std::unique_ptr<char[]> scratch_ = std::make_unique_for_overwrite<char[]>(kTurnBytes);
  std::unique_ptr<char[]> tls_scratch_ = std::make_unique_for_overwrite<char[]>(kTlsRecordMax);

  ReadinessSet readiness_;
  WebDeadlines deadlines_;
  LinkedList<WebConnection, EveryConnection> every_;
  LinkedList<WebConnection, UnansweredLongest> unanswered_longest_;
  LinkedList<WebConnection, HasEndOfTurn> end_of_turn_;
  LinkedList<WebConnection, HasNextTurn> next_turn_;
  std::size_t connections_ = 0;
  std::size_t websockets_ = 0;
  std::uint64_t websockets_opened_ = 0;
  std::vector<std::unique_ptr<WebListener>> listeners_;
  bool in_turn_ = false;
  WebLoop loop_;  // the first to go: it calls into all that is above
};

}  // namespace tandem
