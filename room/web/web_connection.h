// One client of the web server: HTTP requests one after the other, and a WebSocket from a handshake
// on. Owns its descriptor and what is on its way to it. Must not know what the routes say.
//
// It is never destroyed from within: what ends it marks it, and the server buries it at the end of
// the turn. Idle it holds no parser, no buffer and no timer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/endpoint.h"
#include "room/web/http_reader.h"
#include "room/web/http_writer.h"
#include "room/web/linked_list.h"
#include "room/web/readiness.h"
#include "room/web/send_queue.h"
#include "room/web/tls_channel.h"
#include "room/web/web_deadlines.h"
#include "room/web/web_server.h"
#include "room/web/websocket_reader.h"

namespace tandem {

class WebConnection;

// A request that was given to the application. Whoever answers it and the connection hold it; each
// may go first.
class HttpResponder::Exchange {
 public:
  WebConnection* connection = nullptr;  // null once it was answered or the client has gone
  ReplyFrame frame;
  std::string more_headers;
  std::function<void()> abandoned;
};

// The lists of the server's that a connection can be in.
struct EveryConnection;
struct UnansweredLongest;
struct HasEndOfTurn;
struct HasNextTurn;

class WebConnection final : public WebSocket,
                            public ReadyTarget,
                            public ListHook<EveryConnection>,
                            public ListHook<UnansweredLongest>,
                            public ListHook<HasEndOfTurn>,
                            public ListHook<HasNextTurn>,
                            public DeadlineHook {
 public:
  // The descriptor is a connected nonblocking socket, this object's from now on.
  WebConnection(WebServer::Impl& server, int descriptor, const IpAddress& peer);
  ~WebConnection();

  // False where it cannot be served; it is to be buried then.
  [[nodiscard]] bool start();
  void on_ready(Readiness readiness) override;
  void on_next_turn();
  void on_end_of_turn();
  void on_deadline();
  // Ends it without a word.
  void give_up(WebSocketEnd end);
  [[nodiscard]] bool gone() const { return phase_ == Phase::gone; }
  // The last calls to the application.
  void bury();

  void send(const SharedMessage& message) override;
  void close(std::uint16_t code) override;
  void abort() override;
  [[nodiscard]] std::size_t unsent_bytes() const override { return out_.bytes(); }

  // The responder's. `exchange` is the one at hand.
  void reply(HttpResponder::Exchange& exchange, HttpReply reply);
  void watch_for_abandonment();

 private:
  enum class Phase : std::uint8_t {
    proxy_header,  // the trusted proxy tells first who the client is
    request,       // one is read, or awaited
    thinking,      // the application has it
    websocket,
    closing,    // our close frame is to be answered
    ending,     // what is queued goes out, and then nothing more
    lingering,  // the other side is to close
    gone,
  };

  // Input.
  [[nodiscard]] bool wants_input() const;
  void take_input();
  [[nodiscard]] IoOutcome read(std::span<char> into);
  void on_bytes(std::span<char> bytes);
  void on_end();
  [[nodiscard]] bool take_proxy_header();
  [[nodiscard]] bool admit_client();
  [[nodiscard]] bool begin_serving();

  // Output.
  void flush();
  [[nodiscard]] IoOutcome write_some();
  [[nodiscard]] bool is_blocked() const;
  void begin_linger();
  void set_deadline(WebDeadline kind);
  void await_taking();

  // HTTP.
  void take_requests(HttpProgress progress);
  [[nodiscard]] bool after_answer();
  void answer();
  void answer_request(const std::shared_ptr<HttpResponder::Exchange>& exchange,
                      const HttpRequest& request);
  void answer_handshake(const HttpRequest& request);
  void reply_now(HttpReply reply, std::string_view more_headers = {});
  void refuse(HttpProgress progress);
  void queue_reply(const HttpReply& reply, ReplyFrame frame, std::string_view more_headers);
  [[nodiscard]] bool admit_forwarded(const IpAddress& client);

  // WebSocket.
  void take_frames(std::span<char> bytes);
  void deliver(WebSocketOpcode opcode, std::string_view payload);
  void fail(std::uint16_t code, WebSocketEnd end);
  void end_websocket(WebSocketEnd end);
  [[nodiscard]] bool has_room_for(std::size_t bytes);
  void queue_frame(std::string frame);
  void tell_closed();

  WebServer::Impl& server_;
  SendQueue out_;
  std::unique_ptr<HttpReader> http_;                   // while a request is read
  std::shared_ptr<HttpResponder::Exchange> exchange_;  // while the application thinks
  std::unique_ptr<TlsChannel> tls_;
  WebSocketReader reader_;
  WebSocketEvents* events_ = nullptr;  // of the WebSocket, until they are told of its end
  const int descriptor_;
  std::uint32_t linger_bytes_ = 0;  // taken and thrown away
  IpAddress client_;                // the peer, or whom the proxy tells of
  Phase phase_ = Phase::request;
  bool readable_ = false;
  bool writable_ = true;
  bool peer_finished_ = false;  // it sends no more
  bool input_ended_ = false;    // and all of it was taken
  bool trusted_ = false;        // client_ is a trusted proxy: each request tells who is behind it
  bool counted_ = false;        // among its address's connections: counted_client_
  std::optional<WebSocketEnd> end_;
  IpAddress counted_client_;
};

}  // namespace tandem
