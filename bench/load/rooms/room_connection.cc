#include "bench/load/rooms/room_connection.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bench/load/client_hosts.h"
#include "bench/load/rooms/frames.h"
#include "bench/load/rooms/response_head.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kScratch = 64 * 1024;
constexpr std::size_t kMessageMax = 1 << 20;
constexpr const char* kLoginPath = "/api/v1/auth/guest";

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = ::EVP_EncodeBlock(reinterpret_cast<std::uint8_t*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// RFC 6455, 4.2.2: what a server makes of the key.
std::string accept_of(std::string key) {
  key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  TANDEM_CHECK(::EVP_Digest(key.data(), key.size(), digest.data(), &size, EVP_sha1(), nullptr) ==
               1);
  return base64(std::span(digest.data(), size));
}

std::string_view code_of_errno(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "refused";
    case ECONNRESET:
    case EPIPE:
      return "reset";
    case ETIMEDOUT:
      return "unreachable";
    case EMFILE:
    case ENFILE:
      return "no descriptor left here";
    case EADDRNOTAVAIL:
      return "no port left here";
    default:
      return ::strerrordesc_np(error);
  }
}

// The code of a refusal: {"code": …} within what the server gives with it.
std::string code_of_refusal(const Packet& packet) {
  const auto data = member_of(packet.argument, "data");
  const auto code = data ? text_of(*data, "code") : std::string_view();
  if (!code.empty()) return std::string(code);
  const auto message = text_of(packet.argument, "message");
  return message.empty() ? "refused by the namespace" : std::string(message);
}

}  // namespace

// SplitMix64.
std::uint64_t ConnectionScene::next_random() {
  std::uint64_t z = (random += 0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

void RoomConnection::open(ConnectionScene& scene, ConnectionEvents& events, std::size_t client,
                          std::size_t number) {
  client_ = static_cast<std::uint32_t>(client);
  number_ = static_cast<std::uint32_t>(number);
  const RoomService& service = scene.service;
  if (service.secret) {
    token_ =
        mint_jwt(*service.secret, service.claims, fmt::format("{}{}", service.subjects, number));
  }
  scene.scratch.resize(kScratch);
  dial(scene, events);
}

void RoomConnection::dial(ConnectionScene& scene, ConnectionEvents& events) {
  const SocketAddress& to = scene.service.address;
  socket_ = Socket(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.open()) return end(events, code_of_errno(errno));
  const int fd = socket_.fd();
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  if (has_many_hosts(to)) {
    // A host for each client, as players have. The port is chosen at connect(), so that one host's
    // are not used up by all.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
    const auto from = address_of(kRoomClientHosts + number_ % kRoomClientHostsMax, 0);
    if (::bind(fd, from.get(), from.size) < 0) return end(events, code_of_errno(errno));
  }
  if (::connect(fd, to.get(), to.size) < 0 && errno != EINPROGRESS) {
    return end(events, code_of_errno(errno));
  }
  state_ = State::connecting;
  poll_for(scene, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void RoomConnection::poll_for(ConnectionScene& scene, int operation, std::uint32_t events) const {
  epoll_event event{.events = events, .data = {.u32 = client_}};
  require(::epoll_ctl(scene.epoll, operation, socket_.fd(), &event), "epoll_ctl");
}

void RoomConnection::on_polled(ConnectionScene& scene, ConnectionEvents& events,
                               std::uint32_t polled) {
  if (state_ == State::unused || is_over()) return;
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    require(::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
    if (error != 0) return end(events, code_of_errno(error));
    poll_for(scene, EPOLL_CTL_MOD, EPOLLIN);
    return greet_http(scene, events);
  }
  if ((polled & EPOLLOUT) != 0 && !unsent_.empty()) {
    polls_for_room_ = false;
    poll_for(scene, EPOLL_CTL_MOD, EPOLLIN);
    send(scene, std::exchange(unsent_, {}));
  }
  if ((polled & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) receive(scene, events);
}

void RoomConnection::greet_http(ConnectionScene& scene, ConnectionEvents&) {
  if (token_.empty()) {
    ask_for_token(scene);
  } else {
    ask_for_websocket(scene);
  }
}

void RoomConnection::ask_for_token(ConnectionScene& scene) {
  const auto body = fmt::format(R"({{"username":"{}{}"}})", scene.service.subjects, number_);
  send(scene, fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
                          "Content-Length: {}\r\n\r\n{}",
                          kLoginPath, scene.service.authority, body.size(), body));
  state_ = State::logging_in;
}

void RoomConnection::ask_for_websocket(ConnectionScene& scene) {
  const std::array<std::uint64_t, 2> random{scene.next_random(), scene.next_random()};
  key_ = base64(std::span(reinterpret_cast<const std::uint8_t*>(random.data()), sizeof random));
  send(scene, fmt::format("GET {}?EIO=4&transport=websocket HTTP/1.1\r\nHost: {}\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
                          scene.service.path, scene.service.authority, key_));
  state_ = State::upgrading;
}

void RoomConnection::receive(ConnectionScene& scene, ConnectionEvents& events) {
  const auto got = ::recv(socket_.fd(), scene.scratch.data(), scene.scratch.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end(events, got == 0 ? "closed" : code_of_errno(errno));
  std::string_view bytes(scene.scratch.data(), static_cast<std::size_t>(got));
  std::string joined;
  if (!partial_.empty()) {
    joined = std::exchange(partial_, {});
    joined += bytes;
    bytes = joined;
  }
  const int fd = socket_.fd();
  while (!bytes.empty()) {
    const std::size_t used = consume(scene, events, bytes);
    if (is_over() || socket_.fd() != fd) return;  // what is left is of a connection that is gone
    if (used == 0) break;
    bytes.remove_prefix(used);
  }
  partial_ = bytes;
}

std::size_t RoomConnection::consume(ConnectionScene& scene, ConnectionEvents& events,
                                    std::string_view bytes) {
  switch (state_) {
    case State::logging_in:
      return consume_login(scene, events, bytes);
    case State::upgrading:
      return consume_upgrade(events, bytes);
    case State::opening:
    case State::entering:
    case State::greeting:
    case State::ready:
      return consume_frame(scene, events, bytes);
    case State::unused:
    case State::connecting:
    case State::ended:
      break;
  }
  return 0;
}

std::size_t RoomConnection::consume_login(ConnectionScene& scene, ConnectionEvents& events,
                                          std::string_view bytes) {
  ResponseHead head;
  switch (read_response_head(bytes, head)) {
    case HeadOutcome::partial:
      return 0;
    case HeadOutcome::malformed:
      end(events, "no HTTP");
      return 0;
    case HeadOutcome::whole:
      break;
  }
  if (head.status != 200 && head.status != 201) {
    end(events, fmt::format("HTTP {} at login", head.status));
    return 0;
  }
  const auto length = head.content_length.value_or(0);
  if (length > kMessageMax) {
    end(events, "no token");
    return 0;
  }
  if (bytes.size() - head.size < length) return 0;
  const auto answer = scan_json(bytes.substr(head.size, length), 8);
  if (answer) token_ = text_of(*answer, "token");
  if (token_.empty()) {
    end(events, "no token");
    return 0;
  }
  events.on_login(client_);
  if (head.close) {
    dial(scene, events);
  } else {
    ask_for_websocket(scene);
  }
  return head.size + length;
}

std::size_t RoomConnection::consume_upgrade(ConnectionEvents& events, std::string_view bytes) {
  ResponseHead head;
  switch (read_response_head(bytes, head)) {
    case HeadOutcome::partial:
      return 0;
    case HeadOutcome::malformed:
      end(events, "no HTTP");
      return 0;
    case HeadOutcome::whole:
      break;
  }
  if (head.status != 101) {
    end(events, fmt::format("HTTP {}", head.status));
    return 0;
  }
  if (head.websocket_accept != accept_of(std::exchange(key_, {}))) {
    end(events, "no WebSocket");
    return 0;
  }
  state_ = State::opening;
  return head.size;
}

std::size_t RoomConnection::consume_frame(ConnectionScene& scene, ConnectionEvents& events,
                                          std::string_view bytes) {
  Frame frame;
  switch (read_frame(bytes, kMessageMax, frame)) {
    case FrameOutcome::partial:
      return 0;
    case FrameOutcome::malformed:
      end(events, "no frame");
      return 0;
    case FrameOutcome::too_large:
      end(events, "too large a frame");
      return 0;
    case FrameOutcome::frame:
      break;
  }
  switch (frame.opcode) {
    case Opcode::text:
    case Opcode::continuation:
      if (frame.final && message_.empty()) {
        on_text(scene, events, frame.payload);
      } else if (message_ += frame.payload; message_.size() > kMessageMax) {
        end(events, "too large a message");
      } else if (frame.final) {
        on_text(scene, events, std::exchange(message_, {}));
      }
      break;
    case Opcode::ping: {
      std::string pong;
      append_frame(pong, Opcode::pong, frame.payload,
                   static_cast<std::uint32_t>(scene.next_random()));
      send(scene, pong);
      break;
    }
    case Opcode::close:
      end(events, "closed");
      break;
    case Opcode::binary:  // attachments of an event that this client does not ask for
    case Opcode::pong:
      break;
  }
  return frame.size;
}

void RoomConnection::on_text(ConnectionScene& scene, ConnectionEvents& events,
                             std::string_view text) {
  const Packet packet = read_packet(text);
  switch (packet.kind) {
    case PacketKind::open:
      if (state_ != State::opening) break;
      state_ = State::entering;
      send_packet(scene, connect_packet(std::exchange(token_, {})));
      return;
    case PacketKind::connected:
      if (state_ != State::entering) break;
      state_ = State::greeting;
      return;
    case PacketKind::ping:
      send_packet(scene, "3");
      return;
    case PacketKind::event:
      if (state_ == State::greeting && packet.event == "connected") {
        state_ = State::ready;
        events.on_ready(client_);
      } else if (is_ready()) {
        events.on_packet(client_, packet);
      }
      return;
    case PacketKind::ack:
      if (!is_ready()) break;
      events.on_packet(client_, packet);
      return;
    case PacketKind::connect_error:
      end(events, code_of_refusal(packet));
      return;
    case PacketKind::close:
    case PacketKind::disconnected:
      end(events, "disconnected");
      return;
    case PacketKind::other:
      return;
    case PacketKind::malformed:
      break;
  }
  end(events, "no Socket.IO");
}

void RoomConnection::emit(ConnectionScene& scene, std::string_view event, std::string_view argument,
                          std::optional<std::uint64_t> ack_id) {
  TANDEM_CHECK(is_ready());
  write_event(scene.packet, event, argument, ack_id);
  send_packet(scene, scene.packet);
}

void RoomConnection::send_packet(ConnectionScene& scene, std::string_view packet) {
  std::string frame;
  frame.reserve(packet.size() + 14);
  append_frame(frame, Opcode::text, packet, static_cast<std::uint32_t>(scene.next_random()));
  send(scene, frame);
}

// What cannot be sent is kept; that the connection is gone is noticed when it is read.
void RoomConnection::send(ConnectionScene& scene, std::string_view bytes) {
  if (unsent_.empty()) {
    const auto sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return;
    bytes.remove_prefix(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    if (bytes.empty()) return;
  }
  unsent_ += bytes;
  if (std::exchange(polls_for_room_, true)) return;
  poll_for(scene, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void RoomConnection::drop() {
  socket_ = Socket();
  state_ = State::ended;
}

void RoomConnection::end(ConnectionEvents& events, std::string_view code) {
  drop();
  events.on_end(client_, code);
}

}  // namespace tandem::bench
