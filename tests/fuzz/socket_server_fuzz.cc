// The Engine.IO and Socket.IO servers as a script has it: clients that open, upgrade, poll, post,
// send what they like, go and come back with what they had; an application that emits, ends and
// parks sockets; time that passes or stands still. Checked beside not crashing:
//
// - every session that was opened ends once, every socket that was let in ends once or is parked;
// - a client that is recovered misses no packet and is sent none that its offset covers;
// - at the end nothing is left of anybody.
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "room/socket_io/engine_io.h"
#include "room/socket_io/socket_server.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/room/fake_web.h"

namespace tandem {
namespace {

constexpr Nanos kMillisecond = kNanosPerMillisecond;

// Numbers its packets for each socket, from 1.
class App final : public SocketApp {
 public:
  std::optional<ConnectRefusal> on_connect(Socket& socket, std::optional<JsonSpan> auth,
                                           std::string& identity) override {
    TANDEM_CHECK(!socket.is_connected());
    if (auth && auth->text.find("bad") != std::string_view::npos)
      return ConnectRefusal{"no", auth->text.size() % 2 == 0 ? "" : "{}"};
    identity = auth && auth->text.find("other") != std::string_view::npos ? "other" : "one";
    return std::nullopt;
  }
  void on_connected(Socket& socket) override {
    TANDEM_CHECK(socket.is_connected() && sockets.emplace(&socket, 0).second);
  }
  void on_recovered(Socket& socket) override {
    TANDEM_CHECK(socket.is_connected() && sockets.contains(&socket) && parked.erase(&socket) == 1);
  }
  void on_event(Socket& socket, const SocketEvent& event) override {
    TANDEM_CHECK(socket.is_connected() && sockets.contains(&socket));
    if (event.ack_id) socket.acknowledge(*event.ack_id, "1", event.attachments);
    if (event.name == "more") emit(socket);
    if (event.name == "all")
      for (auto& [each, count] : sockets) emit(*each);
    if (event.name == "leave") socket.disconnect(event.arguments.empty());
    if (event.name == "drop") socket.drop();
  }
  Parting on_disconnect(Socket& socket, SocketEnd end) override {
    TANDEM_CHECK(!socket.is_connected() && sockets.contains(&socket) && !parked.contains(&socket));
    if (parks && end != SocketEnd::client_disconnect) {
      parked.insert(&socket);
      return Parting::parked;
    }
    sockets.erase(&socket);
    return Parting::gone;
  }
  void emit(Socket& socket) {
    const std::string number = std::to_string(++sockets.at(&socket));
    if (sockets.at(&socket) % 3 != 0) return socket.emit(encode_event(socket.nsp(), "n", number));
    const std::array<std::string_view, 1> attachment = {"x"};
    socket.emit(
        encode_event(socket.nsp(), "n", number + R"(,{"_placeholder":true,"num":0})", attachment));
  }

  std::map<Socket*, int> sockets;
  std::set<Socket*> parked;
  bool parks = true;
};

// What one client knows of its socket in "/"; it has one session at a time.
struct Client {
  FakeWebSocket socket;
  std::string sid;  // of an Engine.IO session by polling
  FakeExchange poll;
  std::string pid;
  std::optional<std::uint64_t> offset;
  std::uint64_t seen = 0;  // the last packet's number
};

std::string_view between(std::string_view text, std::string_view before, char after) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find(after));
}
std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

SocketOptions small_bounds() {
  SocketOptions options;
  options.engine.ping_interval = 300 * kMillisecond;
  options.engine.ping_timeout = 200 * kMillisecond;
  options.engine.upgrade_timeout = 100 * kMillisecond;
  options.engine.max_payload = 2000;
  options.engine.send_queue_bytes = 4000;
  options.engine.sessions_max = 8;
  options.recovery = {.packets_max = 8, .bytes_max = 400};
  options.namespaces = {"/", "/custom"};
  options.connect_timeout = 400 * kMillisecond;
  options.attachments_timeout = 100 * kMillisecond;
  options.attachment_bytes_max = 3000;
  return options;
}

class World {
 public:
  World() : server_(small_bounds(), app_, [this] { flush_asked_ = true; }) { server_.tick(now_); }

  void step(fuzz::Input& input);
  // What was sent to each client until now.
  void hear_all();
  void finish();

 private:
  void open_websocket(Client& client, bool upgrade);
  void open_polling(Client& client);
  void poll(Client& client);
  void post(Client& client, std::string_view body);
  void say(Client& client, std::string_view text);
  void connect(Client& client, std::uint8_t how);
  void go(Client& client);
  void hear(Client& client, std::string_view text);
  FakeExchange request(std::string_view method, const std::string& sid, std::string_view body);

  App app_;
  Nanos now_ = kNanosPerSecond;
  bool flush_asked_ = false;
  std::array<Client, 3> clients_;
  SocketServer server_;
};

FakeExchange World::request(std::string_view method, const std::string& sid,
                            std::string_view body) {
  auto exchange = fake_exchange();
  const std::string target = "/socket.io/?EIO=4&transport=polling&sid=" + sid;
  server_.engine().on_request({.method = method, .target = target, .body = body},
                              HttpResponder(exchange), now_);
  return exchange;
}

void World::open_websocket(Client& client, bool upgrade) {
  if (client.socket.events != nullptr || upgrade == client.sid.empty()) return;
  client.socket = FakeWebSocket();
  HttpReply refusal;
  std::string target = "/socket.io/?EIO=4&transport=websocket";
  if (upgrade) target += "&sid=" + client.sid;
  client.socket.events = server_.engine().on_websocket({.method = "GET", .target = target},
                                                       client.socket, refusal, now_);
}

void World::open_polling(Client& client) {
  if (client.socket.events != nullptr || !client.sid.empty()) return;
  const auto reply = request("GET", "", {});
  if (status_of(reply) == 200) client.sid = between(body_of(reply), R"("sid":")", '"');
}

void World::poll(Client& client) {
  if (!client.poll && !client.sid.empty()) client.poll = request("GET", client.sid, {});
}

void World::post(Client& client, std::string_view body) {
  if (client.sid.empty()) return;
  TANDEM_CHECK(status_of(request("POST", client.sid, body)) != 0);
}

void World::say(Client& client, std::string_view text) {
  if (client.socket.events != nullptr) {
    client.socket.text(text);
  } else {
    post(client, text);
  }
}

void World::connect(Client& client, std::uint8_t how) {
  std::string text = "40{\"x\":1";
  if ((how & 1) != 0 && !client.pid.empty()) {
    text += ",\"pid\":\"" + client.pid + '"';
    if (client.offset) text += ",\"offset\":\"" + std::to_string(*client.offset) + '"';
  }
  if ((how & 6) == 6) text += ",\"other\":1";
  if ((how & 24) == 24) text += ",\"bad\":1";
  say(client, text + "}");
}

// The connection breaks; what was on its way is lost.
void World::go(Client& client) {
  client.socket.sent.clear();
  if (client.socket.events != nullptr) client.socket.gone();
  if (client.poll) abandon(std::exchange(client.poll, nullptr));
  client.sid.clear();
}

// A packet in "/", where the numbers of a socket's are without a gap.
void World::hear(Client& client, std::string_view text) {
  if (text.starts_with("40{")) {
    const std::string_view pid = between(text, R"("pid":")", '"');
    if (pid != client.pid) {
      client.pid = pid;
      client.offset.reset();
      client.seen = 0;
    } else {
      client.seen = std::min(client.seen, client.offset.value_or(0));
    }
  } else if (const auto offset = between(text, R"(["offset",")", '"'); !offset.empty()) {
    client.offset = number_in(offset);
    TANDEM_CHECK(text.starts_with("42[") && *client.offset == client.seen);
  } else if (const auto number = between(text, R"(["n",)", ']'); !number.empty()) {
    if (text.find("/custom") != std::string_view::npos) return;
    TANDEM_CHECK(number_in(number) == client.seen + 1);
    client.seen = number_in(number);
  }
}

void World::hear_all() {
  if (std::exchange(flush_asked_, false)) server_.flush();
  for (Client& client : clients_) {
    for (const std::string& text : client.socket.take())
      if (text.find("/custom,") == std::string::npos) hear(client, text);
    if (!client.poll || !client.poll->reply) continue;
    EnginePayload payload(client.poll->reply->body);
    EnginePacket packet;
    while (payload.next(packet) == EnginePayload::Step::packet)
      if (packet.type == EnginePacketType::message && !packet.binary &&
          packet.data.find("/custom,") == std::string_view::npos)
        hear(client, std::string("4").append(packet.data));
    client.poll.reset();
  }
}

void World::step(fuzz::Input& input) {
  static constexpr std::array<std::string_view, 24> kTexts = {
      "42[\"more\"]",
      "42[\"all\"]",
      "42[\"leave\"]",
      "42[\"leave\",1]",
      "42[\"drop\"]",
      "421[\"more\"]",
      "41",
      "40/custom,",
      "41/custom,",
      "42/custom,[\"more\"]",
      "451-[\"more\",{\"_placeholder\":true,\"num\":0}]",
      "452-7[\"x\",{\"_placeholder\":true,\"num\":1}]",
      "bAQID",
      "2probe",
      "5",
      "3",
      "1",
      "6",
      "4abc",
      "42[\"more\"]\x1e"
      "42[\"all\"]\x1e"
      "3",
      "431[]",
      "40/random",
      "2",
      "450-[\"more\"]"};
  Client& client = clients_[input.take<std::uint8_t>() % clients_.size()];
  const auto what = input.take<std::uint8_t>();
  switch (what % 16) {
    case 0:
      return open_websocket(client, false);
    case 1:
      return open_websocket(client, true);
    case 2:
      return open_polling(client);
    case 3:
      return poll(client);
    case 4:
    case 5:
      return connect(client, input.take<std::uint8_t>());
    case 6:
    case 7:
    case 8:
      return say(client, kTexts[input.take<std::uint8_t>() % kTexts.size()]);
    case 9:
      return post(client, kTexts[input.take<std::uint8_t>() % kTexts.size()]);
    case 10:
      if (client.socket.events != nullptr)
        client.socket.binary(std::string(input.take<std::uint8_t>() * 9, 'x'));
      return;
    case 11:
      return go(client);
    case 12:
      now_ += input.take<std::uint8_t>() * kMillisecond;
      return server_.tick(now_);
    case 13:
      app_.parks = what >= 64;
      return server_.engine().set_draining(what >= 240);
    case 14:
      if (app_.parked.empty()) return;
      return app_.emit(**app_.parked.begin());
    case 15:
      for (Socket* socket : std::exchange(app_.parked, {})) {
        if (what >= 128) (void)server_.take_missed(*socket);
        app_.sockets.erase(socket);
        server_.discard(*socket);
      }
      return;
  }
}

void World::finish() {
  for (Client& client : clients_) go(client);
  for (int i = 0; i < 40; ++i) server_.tick(now_ += 200 * kMillisecond);
  now_ += 31 * kNanosPerSecond;  // what waits for a poll to fetch its close packet
  for (int i = 0; i < 4; ++i) server_.tick(now_ += kMillisecond);
  TANDEM_CHECK(server_.engine().sessions() == 0 && server_.connected() == 0);
  TANDEM_CHECK(server_.parked() == app_.parked.size() && app_.parked.size() == app_.sockets.size());
  for (Socket* socket : app_.parked) server_.discard(*socket);
  TANDEM_CHECK(server_.parked() == 0);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  tandem::World world;
  while (!input.rest().empty()) {
    world.step(input);
    world.hear_all();
  }
  world.finish();
  return 0;
}
