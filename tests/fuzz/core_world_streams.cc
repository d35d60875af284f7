#include <algorithm>
#include <cstring>

#include "common/hex.h"
#include "tests/fuzz/core_world.h"

namespace tandem::fuzz {
namespace {

constexpr LocalAddress kLocal{IpAddress::v4(203, 0, 113, 1), 0};

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Of the tokens that were minted, the one with these claims.
const TokenBytes* find_token(const ClaimsBytes& claims) {
  for (uint8_t session = 0; session < kSessionIds; ++session) {
    for (uint8_t slot = 0; slot < 2; ++slot) {
      for (uint8_t kind = 0; kind < kTokenKinds; ++kind) {
        const TokenBytes& its = token({session, slot, kind});
        if (claims_of(its) == claims) return &its;
      }
    }
  }
  return nullptr;
}

Secret proof_of(const Secret& secret, std::span<const uint8_t> nonce, const ClaimsBytes& claims,
                uint16_t lane, bool takeover) {
  std::vector<uint8_t> proven(nonce.begin(), nonce.end());
  proven.insert(proven.end(), claims.begin(), claims.end());
  proven.push_back(static_cast<uint8_t>(lane));
  proven.push_back(takeover ? 1 : 0);
  return mac16(secret, proven);
}

std::string words(uint8_t lane, bool takeover) {
  return " lane=" + std::to_string(lane) + (takeover ? " takeover=1\n" : "\n");
}

}  // namespace

// ---- what clients do ----

void CoreWorld::accept(uint8_t shard, uint8_t from) {
  auto connection = std::make_unique<Connection>();
  const uint32_t at = shard % static_cast<uint32_t>(shards_.size());
  if (!take_slot(*connection, at)) return;
  connection->number = connections_made_++;
  connections_.push_back(std::move(connection));
  tell(*connections_.back(),
       {.kind = StreamEvent::Kind::accepted, .remote = endpoint(from), .local = kLocal});
}

void CoreWorld::fail_accept(uint8_t shard, int error) {
  const uint32_t at = shard % static_cast<uint32_t>(shards_.size());
  shards_[at].core->on_stream_event({.kind = StreamEvent::Kind::accept_failed, .error = error});
  carry_out(at);
}

void CoreWorld::write(uint8_t connection, std::string_view text) {
  constexpr size_t kUnreadMax = 4096;
  Connection* const by = pick(connection);
  if (by != nullptr && by->unread.size() < kUnreadMax) by->unread += text;
}

std::string CoreWorld::join_line(const TokenName& name, uint8_t lane, bool takeover) const {
  return "TANDEM/1 JOIN " + token_text(token(name)) + words(lane, takeover);
}

std::string CoreWorld::prove_line(const TokenName& name, uint8_t lane, bool takeover) const {
  constexpr size_t kClaimsText = 32;
  return "TANDEM/1 PROVE " + token_text(token(name)).substr(0, kClaimsText) + words(lane, takeover);
}

std::string CoreWorld::proof_line(uint8_t number) const {
  if (connections_.empty()) return {};
  const Connection& connection = *connections_[number % connections_.size()];
  const size_t at = connection.read.find("TANDEM/1 PROVE ");
  if (!connection.nonce_told || at == std::string::npos) return {};
  const auto line = parse_join_line(bytes_of(connection.read).subspan(at)).line;
  const TokenBytes* const its = find_token(line.claims);
  if (its == nullptr) return {};
  const Secret proof =
      proof_of(secret_of(*its), connection.nonce, line.claims, line.lane, line.takeover);
  std::array<char, 2 * kProofSize> digits;
  hex_encode(proof, digits);
  return "TANDEM/1 PROOF " + std::string(digits.begin(), digits.end()) + "\n";
}

// ---- what the back end tells ----

CoreWorld::Connection* CoreWorld::pick(uint8_t connection) {
  if (connections_.empty()) return nullptr;
  return connection == kLatest ? connections_.back().get()
                               : connections_[connection % connections_.size()].get();
}

CoreWorld::Connection* CoreWorld::find(uint32_t shard, StreamId id) {
  for (const auto& each : connections_)
    if (each->shard == shard && each->id == id) return each.get();
  return nullptr;
}

bool CoreWorld::take_slot(Connection& connection, uint32_t shard) {
  Shard& of = shards_[shard];
  const auto free = std::ranges::find(of.taken, false);
  if (free == of.taken.end()) return false;
  *free = true;
  const auto index = static_cast<uint32_t>(free - of.taken.begin());
  connection.shard = shard;
  connection.id = {index, of.generations[index] += 2};
  return true;
}

void CoreWorld::tell(Connection& connection, StreamEvent event) {
  event.stream = connection.id;
  const uint32_t shard = connection.shard;
  shards_[shard].core->on_stream_event(event);
  carry_out(shard);
}

// A batch may hold events that were gathered before the core closed or refused the connection, so
// only closed ends them.
void CoreWorld::happen(uint8_t number, Happening what, uint32_t bytes) {
  Connection* const connection = pick(number);
  if (connection == nullptr) return;
  using Kind = StreamEvent::Kind;
  switch (what) {
    case Happening::data:
      return connection->into != nullptr ? read_line(*connection, bytes)
                                         : receive(*connection, bytes);
    case Happening::credit_spent:
      return spend_credit(*connection);
    case Happening::fin:
      if (connection->into == nullptr && !connection->reading) return;
      connection->finished = true;
      connection->unread.clear();
      if (connection->into != nullptr) return read_line(*connection, 0);
      connection->reading = connection->pausing = false;
      return tell(*connection, {.kind = Kind::finished});
    case Happening::half_close:
      if (!connection->watching_fin || connection->reading || connection->finished) return;
      connection->watching_fin = false;
      return tell(*connection, {.kind = Kind::half_closed});
    case Happening::reset:
      if (connection->broken) return;
      connection->broken = true;
      connection->reading = connection->watching_fin = false;
      connection->into = nullptr;
      tell(*connection, {.kind = Kind::broken});
      TANDEM_CHECK(connection->closing);  // or its slot would be lost
      return;
    case Happening::sent:
      return leave(*connection, bytes);
    case Happening::closed:
      if (connection->closing || (connection->lingering && connection->queue.empty())) {
        forget(*connection);
      }
      return;
    case Happening::transferred:
      bytes = std::min(bytes, connection->credit);
      if (!connection->reading || !connection->transferring || bytes == 0) return;
      connection->credit -= bytes;
      return tell(*connection, {.kind = Kind::transferred, .bytes = bytes});
  }
}

void CoreWorld::read_line(Connection& connection, uint32_t bytes) {
  bytes = std::min({bytes, connection.room, static_cast<uint32_t>(connection.unread.size())});
  if (bytes == 0 && !connection.finished) return;
  std::memcpy(connection.into, connection.unread.data(), bytes);
  connection.into = nullptr;
  connection.read += connection.unread.substr(0, bytes);
  connection.unread.erase(0, bytes);
  tell(connection, {.kind = StreamEvent::Kind::line, .bytes = bytes});
}

// What it is does not matter to the core, whose it is does.
void CoreWorld::receive(Connection& connection, uint32_t bytes) {
  bytes = std::min(std::max(bytes, 1u), connection.credit);
  if (!connection.reading || connection.transferring || bytes == 0) return;
  connection.credit -= bytes;
  received_from_ = connection.number;
  received_ = {.buffer = received_.buffer == kNoBuffer ? 0 : received_.buffer + 1,
               .offset = 0,
               .bytes = bytes};
  tell(connection, {.kind = StreamEvent::Kind::received, .chunk = received_});
  TANDEM_CHECK(received_from_ == kNone);  // sent or released at once
}

void CoreWorld::spend_credit(Connection& connection) {
  if (!connection.reading || (connection.credit != 0 && !connection.pausing)) return;
  connection.reading = connection.pausing = false;
  connection.credit = 0;
  tell(connection, {.kind = StreamEvent::Kind::read_ended});
}

// Bytes of what is queued reach the client.
void CoreWorld::leave(Connection& connection, uint32_t bytes) {
  if (connection.broken) return;
  uint32_t left = 0;
  uint32_t chunks = 0;
  while (left < bytes && !connection.queue.empty()) {
    Piece& piece = connection.queue.front();
    const uint32_t part = std::min(bytes - left, piece.bytes - piece.sent);
    if (piece.data != nullptr) {  // it must still be what it was when it was queued
      TANDEM_CHECK(std::memcmp(piece.data + piece.sent, &piece.expected[piece.sent], part) == 0);
    }
    piece.sent += part;
    left += part;
    if (piece.sent != piece.bytes) break;
    chunks += piece.data == nullptr ? 1 : 0;
    connection.queue.erase(connection.queue.begin());
  }
  if (left == 0) return;
  tell(connection, {.kind = StreamEvent::Kind::sent, .bytes = left, .chunks = chunks});
}

void CoreWorld::forget(Connection& connection) {
  for (const Piece& piece : connection.queue) {  // until now the kernel may have looked at it
    TANDEM_CHECK(piece.data == nullptr ||
                 std::memcmp(piece.data, piece.expected.data(), piece.bytes) == 0);
  }
  const uint32_t number = connection.number;
  shards_[connection.shard].taken[connection.id.index] = false;
  tell(connection, {.kind = StreamEvent::Kind::closed});
  std::erase_if(connections_, [number](const auto& each) { return each->number == number; });
}

void CoreWorld::end_connections() {
  constexpr uint8_t kFirst = 0;
  while (!connections_.empty()) {
    happen(kFirst, Happening::reset, 0);
    happen(kFirst, Happening::closed, 0);
  }
}

// ---- what the core asks for ----

void CoreWorld::perform(uint32_t shard, const StreamAction& action) {
  using Kind = StreamAction::Kind;
  if (action.kind == Kind::accept_again) return;
  if (action.kind == Kind::release) {
    TANDEM_CHECK(received_from_ != kNone && action.chunk.buffer == received_.buffer);
    received_from_ = kNone;
    return;
  }
  if (action.kind == Kind::hand_over) return hand_over(shard, action);
  Connection* const connection = find(shard, action.stream);
  TANDEM_CHECK(connection != nullptr && !connection->closing);
  const bool idle = !connection->reading && connection->into == nullptr;
  switch (action.kind) {
    case Kind::read_line:
      TANDEM_CHECK(idle && !connection->finished && !connection->lingering && action.bytes != 0);
      connection->into = action.into;
      connection->room = action.bytes;
      std::memset(action.into, 0xEE, action.bytes);  // all of it is the back end's
      return;
    case Kind::read:
    case Kind::transfer:
      TANDEM_CHECK(idle && !connection->finished && connection->paired && action.bytes != 0);
      connection->reading = true;
      connection->transferring = action.kind == Kind::transfer;
      connection->credit = action.bytes;
      if (connection->transferring) {
        TANDEM_CHECK(find(shard, action.other) == &partner_of(*connection));
        TANDEM_CHECK(partner_of(*connection).queue.empty());
      }
      return;
    case Kind::pause:
      TANDEM_CHECK(connection->reading && !connection->pausing);
      connection->pausing = true;
      return;
    case Kind::send:
      return queue_chunk(*connection, action);
    case Kind::send_bytes:
      return connection->paired ? queue_early(*connection, action)
                                : queue_line(*connection, action);
    case Kind::watch:
      connection->watching_fin = connection->watching_fin || action.bytes != 0;
      return;
    case Kind::check_alive:
      return;
    case Kind::finish:
      TANDEM_CHECK(!connection->finishing && partner_of(*connection).finished);
      connection->finishing = true;
      return;
    case Kind::linger_close:
      TANDEM_CHECK(!connection->lingering && !connection->paired);
      connection->lingering = true;
      return;
    case Kind::close:
    case Kind::reset:
      connection->closing = true;
      return;
    case Kind::accept_again:
    case Kind::release:
    case Kind::hand_over:
      return;
  }
}

void CoreWorld::queue_line(Connection& connection, const StreamAction& action) {
  constexpr std::string_view kNonce = "TANDEM/1 NONCE ";
  const std::string_view line(reinterpret_cast<const char*>(action.data), action.bytes);
  TANDEM_CHECK(line.starts_with("TANDEM/1 ") && line.ends_with('\n') && !connection.lingering);
  if (line.starts_with(kNonce)) {
    TANDEM_CHECK(!connection.nonce_told && line.size() == kNonceLineSize);
    TANDEM_CHECK(hex_decode(line.substr(kNonce.size(), 2 * kLineNonceSize), connection.nonce));
    connection.nonce_told = true;
  }
  if (line == kWaitLine || line == kPairedLine) {
    const Greeted greeted = this->greeted(connection);
    TANDEM_CHECK(greeted.proven);
    TANDEM_CHECK(greeted.session % shards_.size() == connection.shard);
    TANDEM_CHECK(connection.placed == false || line == kPairedLine);
    connection.placed = true;
    connection.paired = line == kPairedLine;
  }
  connection.queue.push_back({.from = kNone,
                              .data = action.data,
                              .expected = {line.begin(), line.end()},
                              .bytes = action.bytes});
}

// After PAIRED every byte is the counterpart's: first what it sent with its line.
void CoreWorld::queue_early(Connection& connection, const StreamAction& action) {
  const Connection& partner = partner_of(connection);
  const std::string_view early = greeted(partner).early;
  TANDEM_CHECK(action.bytes == early.size() && !connection.finishing);
  TANDEM_CHECK(std::memcmp(action.data, early.data(), early.size()) == 0);
  TANDEM_CHECK(std::ranges::none_of(connection.queue,
                                    [](const Piece& piece) { return piece.from != kNone; }));
  connection.queue.push_back({.from = partner.number,
                              .data = action.data,
                              .expected = {early.begin(), early.end()},
                              .bytes = action.bytes});
}

void CoreWorld::queue_chunk(Connection& connection, const StreamAction& action) {
  TANDEM_CHECK(connection.paired && !connection.finishing && !connection.lingering);
  TANDEM_CHECK(received_from_ != kNone && action.chunk.buffer == received_.buffer &&
               action.chunk.bytes == received_.bytes && action.chunk.offset == 0);
  TANDEM_CHECK(partner_of(connection).number == received_from_);
  connection.queue.push_back(
      {.from = received_from_, .data = nullptr, .expected = {}, .bytes = action.chunk.bytes});
  received_from_ = kNone;
}

// ---- between shards ----

void CoreWorld::hand_over(uint32_t shard, const StreamAction& action) {
  Connection* const connection = find(shard, action.stream);
  TANDEM_CHECK(connection != nullptr && action.bytes < shards_.size() && action.bytes != shard);
  TANDEM_CHECK(connection->queue.empty() && !connection->reading && connection->into == nullptr);
  RelayCore& core = *shards_[shard].core;
  if (sibling_ring_full_) return core.departure_failed(action.stream);
  const RelayCore::Departure departure = core.departure(action.stream);
  arrivals_.push_back({connection->number,
                       action.bytes,
                       departure.remote,
                       departure.local,
                       {departure.read.begin(), departure.read.end()}});
  shards_[shard].taken[connection->id.index] = false;
  core.departed(action.stream);
  connection->id = {};
  connection->shard = kNone;
}

void CoreWorld::take_arrivals() {
  for (const Arrival& arrival : std::exchange(arrivals_, {})) {
    const auto found = std::ranges::find_if(
        connections_, [&](const auto& each) { return each->number == arrival.connection; });
    TANDEM_CHECK(found != connections_.end());
    if (!take_slot(**found, arrival.shard)) {
      connections_.erase(found);
      continue;
    }
    shards_[arrival.shard].core->on_handed_over((*found)->id, arrival.remote, arrival.local,
                                                arrival.read);
    carry_out(arrival.shard);
  }
}

// ---- what is true ----

CoreWorld::Greeted CoreWorld::greeted(const Connection& connection) const {
  std::span<const uint8_t> rest = bytes_of(connection.read);
  if (shape_.proxied) rest = rest.subspan(parse_proxy_header(rest).consumed);
  const JoinLineResult first = parse_join_line(rest);
  TANDEM_CHECK(first.progress == LineProgress::complete);
  rest = rest.subspan(first.consumed);
  const JoinLine& line = first.line;
  Greeted greeted;
  greeted.lane = line.lane;
  const TokenBytes* const its = find_token(line.claims);
  if (its == nullptr) return greeted;
  if (line.verb == JoinVerb::join) {
    greeted.proven = secret_of(*its) == line.secret;
  } else {
    const ProofLineResult second = parse_proof_line(rest);
    rest = rest.subspan(second.consumed);
    greeted.proven = second.progress == LineProgress::complete && connection.nonce_told &&
                     second.proof == proof_of(secret_of(*its), connection.nonce, line.claims,
                                              line.lane, line.takeover);
  }
  const auto claims = decode_claims(line.claims);
  TANDEM_CHECK(claims.has_value());
  greeted.session = claims->session_id;
  greeted.slot = claims->slot;
  greeted.early = {reinterpret_cast<const char*>(rest.data()), rest.size()};
  return greeted;
}

// Nothing else in the relay may be heard by it: same session and lane, the other slot.
CoreWorld::Connection& CoreWorld::partner_of(Connection& connection) {
  if (connection.partner != kNone) {
    const auto known = std::ranges::find_if(
        connections_, [&](const auto& each) { return each->number == connection.partner; });
    TANDEM_CHECK(known != connections_.end());  // one does not go without the other
    return **known;
  }
  const Greeted own = greeted(connection);
  Connection* partner = nullptr;
  for (const auto& each : connections_) {
    const bool here = each->shard == connection.shard && each.get() != &connection;
    if (!here || each->closing || each->lingering || !each->placed) continue;
    const Greeted its = greeted(*each);
    if (its.session != own.session || its.lane != own.lane || its.slot == own.slot) continue;
    TANDEM_CHECK(partner == nullptr);
    partner = each.get();
  }
  TANDEM_CHECK(partner != nullptr && partner->partner == kNone);
  connection.partner = partner->number;
  partner->partner = connection.number;
  return *partner;
}

}  // namespace tandem::fuzz
