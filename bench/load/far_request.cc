#include "bench/load/far_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tandem::bench {

NLOHMANN_JSON_SERIALIZE_ENUM(Transport, {{Transport::tcp, "tcp"}, {Transport::udp, "udp"}})
NLOHMANN_JSON_SERIALIZE_ENUM(FarLoad, {{FarLoad::bulk, "bulk"},
                                       {FarLoad::scattered, "scattered"},
                                       {FarLoad::trains, "trains"},
                                       {FarLoad::echo, "echo"}})
NLOHMANN_JSON_SERIALIZE_ENUM(RouteKind, {{RouteKind::direct, "direct"},
                                         {RouteKind::proxy, "proxy"},
                                         {RouteKind::relay, "relay"},
                                         {RouteKind::greeted, "greeted"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Direction, {{Direction::forward, "forward"},
                                         {Direction::reverse, "reverse"},
                                         {Direction::both, "both"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Verify, {{Verify::sampled, "sampled"}, {Verify::full, "full"}})

namespace {

using Json = nlohmann::ordered_json;

// The enums' first value also stands for a word that is none of theirs: it is refused by name.
template <typename Enum>
Enum enum_at(const Json& object, const char* key) {
  const auto& word = object.at(key);
  const auto value = word.get<Enum>();
  if (Json(value) != word) throw std::invalid_argument(std::string("unknown ") + key);
  return value;
}

template <typename Number>
Number number_of(const Json& value, const char* key, Number least, Number most) {
  const bool fits =
      std::is_floating_point_v<Number> ? value.is_number() : value.is_number_unsigned();
  if (!fits || value.get<double>() < static_cast<double>(least) ||
      value.get<double>() > static_cast<double>(most)) {
    throw std::invalid_argument(std::string(key) + " is out of bounds");
  }
  return value.get<Number>();
}

template <typename Number>
Number number_at(const Json& object, const char* key, Number least, Number most) {
  return number_of<Number>(object.at(key), key, least, most);
}

template <typename Number>
std::vector<Number> numbers_at(const Json& object, const char* key, Number least, Number most) {
  const Json& list = object.at(key);
  if (!list.is_array()) throw std::invalid_argument(std::string(key) + " is no list");
  std::vector<Number> numbers;
  for (const Json& value : list) numbers.push_back(number_of<Number>(value, key, least, most));
  return numbers;
}

BulkOptions bulk_of(const Json& object) {
  return {.direction = enum_at<Direction>(object, "direction"),
          .chunk = number_at<std::size_t>(object, "chunk", 1, 16 << 20),
          .bytes_per_second_each = number_at<double>(object, "bytes_per_second_each", 0, 1e12),
          .socket_buffer = number_at<int>(object, "socket_buffer", 0, 1 << 30),
          .verify = enum_at<Verify>(object, "verify")};
}

UdpOptions udp_of(const Json& object) {
  constexpr std::size_t kSizesMax = 64;
  // Beside the others: g++ 12 destroys a nested member twice where a later one's value throws.
  auto sizes = numbers_at<std::size_t>(object, "sizes", kStampSize, kPayloadMax);
  if (sizes.empty() || sizes.size() > kSizesMax) {
    throw std::invalid_argument("sizes is out of bounds");
  }
  UdpOptions udp{.direction = enum_at<Direction>(object, "direction"),
                 .shape = {},
                 .per_second = number_at<double>(object, "per_second", 0, 1e9),
                 .window = number_at<std::size_t>(object, "window", 1, 1 << 20),
                 .batch = number_at<std::size_t>(object, "batch", 1, 1024),
                 .train = number_at<std::size_t>(object, "train", 1, 64),
                 .verify = enum_at<Verify>(object, "verify")};
  udp.shape.sizes = std::move(sizes);
  return udp;
}

// A load of the other transport would find sockets that it cannot use.
bool fits(FarLoad load, Transport transport) {
  switch (load) {
    case FarLoad::bulk:
      return transport == Transport::tcp;
    case FarLoad::scattered:
    case FarLoad::trains:
      return transport == Transport::udp;
    case FarLoad::echo:
      return true;
  }
  return false;
}

FarRequest request_of(const Json& object) {
  if (object.at("protocol") != kFarProtocol) {
    throw std::invalid_argument("another version of tandem-bench is at the other host");
  }
  FarRequest request{.transport = enum_at<Transport>(object, "transport"),
                     .load = enum_at<FarLoad>(object, "load"),
                     .route = enum_at<RouteKind>(object, "route"),
                     .pairs = number_at<std::size_t>(object, "pairs", 1, kFarPairsMax),
                     .bulk = bulk_of(object.at("bulk")),
                     .udp = udp_of(object.at("udp")),
                     .joins = object.at("joins").get<std::vector<std::string>>(),
                     .expected = object.at("expected").get<std::vector<std::string>>()};
  if (!fits(request.load, request.transport)) {
    throw std::invalid_argument("load does not fit the transport");
  }
  const bool joins = request.route == RouteKind::relay || request.route == RouteKind::greeted;
  if (request.joins.size() != (joins ? request.pairs : 0) ||
      request.expected.size() != (request.route == RouteKind::greeted ? request.pairs : 0)) {
    throw std::invalid_argument("joins is not one a pair");
  }
  return request;
}

template <typename Value>
Result<Value, std::string> parse(std::string_view line, Value (*convert)(const Json&)) {
  try {
    return convert(Json::parse(line));
  } catch (const Json::parse_error&) {
    return unexpected(std::string("what it says is no JSON"));
  } catch (const std::exception& error) {  // nlohmann's, or of a bound
    return unexpected(std::string(error.what()));
  }
}

FarAnswer answer_of(const Json& object) {
  constexpr std::uint16_t kPortMax = 65'535;
  const auto words = numbers_at<std::uint64_t>(object, "tally", 0, UINT64_MAX);
  Tally::Words tally{};
  if (words.size() != tally.size()) throw std::invalid_argument("tally is not of this version");
  std::ranges::copy(words, tally.begin());
  return {.error = object.at("error").get<std::string>(),
          .port = number_at<std::uint16_t>(object, "port", 0, kPortMax),
          .udp_ports = numbers_at<std::uint16_t>(object, "udp_ports", 0, kPortMax),
          .tally = Tally::from(tally),
          .cpu_s = number_at<double>(object, "cpu_s", 0, 1e12)};
}

}  // namespace

std::string encode_request(const FarRequest& request) {
  const BulkOptions& bulk = request.bulk;
  const UdpOptions& udp = request.udp;
  return Json{{"protocol", kFarProtocol},
              {"transport", request.transport},
              {"load", request.load},
              {"route", request.route},
              {"pairs", request.pairs},
              {"bulk",
               {{"direction", bulk.direction},
                {"chunk", bulk.chunk},
                {"bytes_per_second_each", bulk.bytes_per_second_each},
                {"socket_buffer", bulk.socket_buffer},
                {"verify", bulk.verify}}},
              {"udp",
               {{"direction", udp.direction},
                {"sizes", udp.shape.sizes},
                {"per_second", udp.per_second},
                {"window", udp.window},
                {"batch", udp.batch},
                {"train", udp.train},
                {"verify", udp.verify}}},
              {"joins", request.joins},
              {"expected", request.expected}}
      .dump();
}

Result<FarRequest, std::string> parse_request(std::string_view line) {
  return parse<FarRequest>(line, request_of);
}

// An error may quote what another host sent, which need not be UTF-8.
std::string encode_answer(const FarAnswer& answer) {
  return Json{{"error", answer.error},
              {"port", answer.port},
              {"udp_ports", answer.udp_ports},
              {"tally", answer.tally.words()},
              {"cpu_s", answer.cpu_s}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<FarAnswer, std::string> parse_answer(std::string_view line) {
  return parse<FarAnswer>(line, answer_of);
}

}  // namespace tandem::bench
