#include "bench/load/rooms/room_crew.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "bench/load/rooms/payload.h"
#include "bench/load/schedule.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

constexpr auto kWaitMax = std::chrono::milliseconds(5);  // then whoever measures is looked after
constexpr auto kExpiryEvery = std::chrono::milliseconds(100);
constexpr int kEventsAtOnce = 128;

std::uint64_t random_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

std::string_view code_of_error(JsonSpan error) {
  const auto code = text_of(error, "code");
  return code.empty() ? "error without a code" : code;
}

}  // namespace

void RoomTask::on_success(RoomCrew&, std::size_t, RoomEvent, Clock::time_point) {}
void RoomTask::on_failure(RoomCrew&, std::size_t, RoomEvent) {}

RoomCrew::RoomCrew(const RoomService& service, const CrewOptions& options)
    : options_(options),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      scene_{.service = service,
             .epoll = epoll_.fd(),
             .scratch = {},
             .packet = {},
             .random = random_seed()},
      clients_(options.clients),
      rooms_(options.room_size == 0 ? 0 : options.clients / options.room_size) {
  TANDEM_CHECK(options.room_size <= RoomLedger::kMembersMax);
}

RoomCrew::~RoomCrew() = default;

void RoomCrew::assign(std::unique_ptr<RoomTask> task) {
  task_ = std::move(task);
  done_.store(false);
}

RoomStats RoomCrew::take_stats() {
  std::size_t lost = 0;
  for (auto& room : rooms_) lost += room.ledger.give_up();
  missing_ = 0;
  stats_.errors.add("lost", lost);
  return std::exchange(stats_, {});
}

void RoomCrew::drop_all() {
  for (auto& client : clients_) client = {};
  for (auto& room : rooms_) room = {};
  waiting_ = 0;
  missing_ = 0;
  connected_.store(0);
}

bool RoomCrew::is_full(std::size_t room) const {
  return std::popcount(rooms_[room].inside) == static_cast<int>(options_.room_size);
}

// ---- requests ----

void RoomCrew::expect(std::size_t index, RoomEvent event, Clock::time_point due,
                      Clock::time_point now) {
  Client& client = clients_[index];
  TANDEM_CHECK(!client.waits);
  client.asked = event;
  client.waits = true;
  client.told_of_error = false;
  client.due = due;
  client.deadline = now + to_duration(options_.timeout_s);
  ++waiting_;
  ++stats_.of(event).sent;
  if (now - due > kLate) ++tally_.late;
}

void RoomCrew::ask(std::size_t index, RoomEvent event, std::string_view name,
                   std::string_view argument, Clock::time_point due, Clock::time_point now) {
  expect(index, event, due, now);
  Client& client = clients_[index];
  client.connection.emit(scene_, name, argument, ++client.ack_id);
}

void RoomCrew::connect(std::size_t index, Clock::time_point due, Clock::time_point now) {
  expect(index, RoomEvent::connect, due, now);
  now_ = now;
  clients_[index].connection.open(scene_, *this, index, options_.first_client + index);
}

void RoomCrew::create(std::size_t index, Clock::time_point due, Clock::time_point now) {
  argument_.clear();
  fmt::format_to(std::back_inserter(argument_),
                 R"({{"name":"bench {}","gameId":"1","maxPlayers":{},"visibility":"{}"}})",
                 options_.first_client + index, std::max<std::size_t>(options_.room_size, 2),
                 options_.visibility);
  ask(index, RoomEvent::create, "room:create", argument_, due, now);
}

void RoomCrew::join(std::size_t index, Clock::time_point due, Clock::time_point now) {
  argument_ = fmt::format(R"({{"roomId":"{}"}})", rooms_[room_of(index)].id);
  ask(index, RoomEvent::join, "room:join", argument_, due, now);
}

void RoomCrew::leave(std::size_t index, Clock::time_point due, Clock::time_point now) {
  argument_ = fmt::format(R"({{"roomId":"{}"}})", rooms_[room_of(index)].id);
  ask(index, RoomEvent::leave, "room:leave", argument_, due, now);
}

void RoomCrew::message(std::size_t index, Clock::time_point due, Clock::time_point now) {
  const std::size_t number = room_of(index);
  CrewRoom& room = rooms_[number];
  argument_.clear();
  fmt::format_to(std::back_inserter(argument_), R"({{"roomId":"{}","data":)", room.id);
  const MessageMark mark{.room = options_.first_client + member(number, 0),
                         .number = room.ledger.send(nanos(due), room.inside)};
  append_payload(argument_, mark, options_.message_bytes);
  argument_ += '}';
  clients_[index].connection.emit(scene_, "room:message", argument_);
  const auto copies = static_cast<std::uint64_t>(std::popcount(room.inside));
  missing_ += copies;
  tally_.sent += copies;
  tally_.sent_bytes += copies * options_.message_bytes;
  ++stats_.of(RoomEvent::message).sent;
  if (now - due > kLate) ++tally_.late;
}

// ---- answers ----

void RoomCrew::on_login(std::size_t index) {
  auto& login = stats_.of(RoomEvent::login);
  ++login.sent;
  ++login.answered;
  login.latency.add((now_ - clients_[index].due).count());
}

void RoomCrew::on_ready(std::size_t index) {
  connected_.fetch_add(1);
  succeed(index);
}

void RoomCrew::on_packet(std::size_t index, const Packet& packet) {
  if (packet.kind == PacketKind::ack) return on_ack(index, packet);
  if (packet.event == "room:message") return on_message(index, packet);
  if (packet.event == "error") return on_error(index, packet);
  ++stats_.notices;
}

void RoomCrew::on_ack(std::size_t index, const Packet& packet) {
  Client& client = clients_[index];
  if (!client.waits || packet.ack_id != client.ack_id) return;  // of a request that was given up
  const auto success = member_of(packet.argument, "success");
  if (success && success->text == "true") {
    if (client.asked == RoomEvent::create) {
      const auto room = member_of(packet.argument, "room");
      const auto id = room ? text_of(*room, "id") : std::string_view();
      if (id.empty()) return fail(index, "no room in the answer");
      rooms_[room_of(index)].id = id;
    }
    return succeed(index);
  }
  const auto error = member_of(packet.argument, "error");
  client.last_code = code_of_error(error.value_or(JsonSpan{}));
  if (std::exchange(client.told_of_error, false)) client.last_code.clear();
  fail(index, code_of_error(error.value_or(JsonSpan{})));
}

// A request's failure is told twice, in its acknowledgement and as an event: once is counted.
void RoomCrew::on_error(std::size_t index, const Packet& packet) {
  Client& client = clients_[index];
  const auto code = code_of_error(packet.argument);
  if (!client.last_code.empty() && client.last_code == code) {
    client.last_code.clear();
  } else if (client.waits) {
    client.told_of_error = true;
  } else {
    stats_.errors.add(code);
  }
}

void RoomCrew::on_message(std::size_t index, const Packet& packet) {
  const std::size_t number = room_of(index);
  const auto seq = member_of(packet.argument, "seq");
  const auto data = member_of(packet.argument, "data");
  const auto mark = data ? read_payload(*data, options_.message_bytes) : std::nullopt;
  const auto room_mark = options_.first_client + number * options_.room_size;
  if (number >= rooms_.size() || !mark || mark->room != room_mark) {
    ++tally_.damaged;
    return stats_.errors.add("altered");
  }
  CrewRoom& room = rooms_[number];
  const auto at = seq && seq->kind == JsonKind::number ? json_uint(*seq).value_or(0) : 0;
  const auto delivery = room.ledger.deliver(index % options_.room_size, mark->number, at);
  switch (delivery.verdict) {
    case RoomLedger::Verdict::unknown:
      ++tally_.damaged;
      return stats_.errors.add("altered");
    case RoomLedger::Verdict::duplicated:
      ++tally_.duplicated;
      return stats_.errors.add("duplicated");
    case RoomLedger::Verdict::reordered:
      ++tally_.reordered;
      stats_.errors.add("reordered");
      break;
    case RoomLedger::Verdict::delivered:
      break;
  }
  --missing_;
  ++tally_.delivered;
  tally_.delivered_bytes += options_.message_bytes;
  auto& messages = stats_.of(RoomEvent::message);
  ++messages.answered;
  messages.latency.add(nanos(now_) - delivery.due_ns);
}

void RoomCrew::succeed(std::size_t index) {
  Client& client = clients_[index];
  client.waits = false;
  --waiting_;
  auto& kind = stats_.of(client.asked);
  ++kind.answered;
  kind.latency.add((now_ - client.due).count());
  apply(index, client.asked);
  if (task_) task_->on_success(*this, index, client.asked, now_);
}

void RoomCrew::apply(std::size_t index, RoomEvent event) {
  const std::size_t number = room_of(index);
  if (number >= rooms_.size()) return;
  CrewRoom& room = rooms_[number];
  switch (event) {
    case RoomEvent::create:
      room.ledger.restart();
      room.inside = bit_of(index);
      break;
    case RoomEvent::join:
      room.inside |= bit_of(index);
      break;
    case RoomEvent::leave:
      room.inside &= ~bit_of(index);
      break;
    case RoomEvent::login:
    case RoomEvent::connect:
    case RoomEvent::message:
      break;
  }
}

void RoomCrew::fail(std::size_t index, std::string_view code) {
  Client& client = clients_[index];
  client.waits = false;
  --waiting_;
  stats_.errors.add(code);
  break_room(index);
  if (task_) task_->on_failure(*this, index, client.asked);
}

void RoomCrew::break_room(std::size_t index) {
  if (room_of(index) < rooms_.size()) rooms_[room_of(index)].broken = true;
}

void RoomCrew::on_end(std::size_t index, std::string_view code) {
  Client& client = clients_[index];
  const bool was_connected = !client.waits || client.asked != RoomEvent::connect;
  if (was_connected) connected_.fetch_sub(1);
  if (client.waits) return fail(index, code);
  stats_.errors.add(code);
  break_room(index);
}

void RoomCrew::expire(Clock::time_point now) {
  if (now < next_expiry_) return;
  next_expiry_ = now + kExpiryEvery;
  if (waiting_ == 0) return;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[i];
    if (!client.waits || client.deadline > now) continue;
    if (client.asked == RoomEvent::connect) client.connection.drop();
    fail(i, "timeout");
  }
}

// ---- turns ----

void RoomCrew::start(Clock::time_point now) {
  next_expiry_ = now;
  if (task_) task_->begin(*this, now);
}

Turn RoomCrew::turn(Clock::time_point now, Sending sending) {
  if (sending == Sending::on && task_) task_->step(*this, now);
  const Turn turn = take_packets(now, sending);
  expire(Clock::now());
  if (task_) done_.store(task_->is_done(*this));
  return turn;
}

Clock::duration RoomCrew::time_to_wait(Clock::time_point now, Sending sending) const {
  if (options_.spin) return Clock::duration::zero();
  const auto due = sending == Sending::on && task_ ? task_->next_due() : Clock::time_point::max();
  return std::clamp<Clock::duration>(std::min(due, now + kWaitMax) - Clock::now(),
                                     Clock::duration::zero(), kWaitMax);
}

Turn RoomCrew::take_packets(Clock::time_point now, Sending sending) {
  const auto wait = std::chrono::nanoseconds(time_to_wait(now, sending));
  const timespec limit{.tv_sec = 0, .tv_nsec = wait.count()};
  std::array<epoll_event, kEventsAtOnce> events;
  const int ready = ::epoll_pwait2(epoll_.fd(), events.data(), kEventsAtOnce, &limit, nullptr);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_pwait2");
  for (int i = 0; i < ready; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    now_ = Clock::now();
    clients_[event.data.u32].connection.on_polled(scene_, *this, event.events);
  }
  if (ready == kEventsAtOnce) return Turn::full;
  return ready > 0 ? Turn::some : Turn::idle;
}

// What went wrong is told whenever it was.
void RoomCrew::forget_latencies() {
  stats_.kinds = {};
  stats_.notices = 0;
}

bool RoomCrew::drained() const {
  return waiting_ == 0 && missing_ == 0;
}

Clock::duration RoomCrew::drain_timeout() const {
  return to_duration(options_.timeout_s);
}

}  // namespace tandem::bench
