#include "bench/load/route.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/load/hex.h"

namespace tandem::bench {
namespace {

Greeting parse_greeting(std::string_view line) {
  const auto object = nlohmann::json::parse(line);
  const auto bytes = [&object](const char* key) {
    return from_hex(object.at(key).get<std::string>());
  };
  return {.a = bytes("a"),
          .b = bytes("b"),
          .expected_by_a = bytes("expect_a"),
          .expected_by_b = bytes("expect_b")};
}

}  // namespace

std::string_view name_of(RouteKind kind) {
  switch (kind) {
    case RouteKind::direct:
      return "direct";
    case RouteKind::proxy:
      return "proxy";
    case RouteKind::relay:
      return "relay";
    case RouteKind::greeted:
      return "greeted";
  }
  return "";
}

std::vector<Greeting> parse_greetings(std::string_view text) {
  std::vector<Greeting> greetings;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    try {
      greetings.push_back(parse_greeting(line));
    } catch (const std::exception& error) {  // nlohmann's, or of the hex
      throw std::invalid_argument("greetings, line " + std::to_string(number) + ": " +
                                  error.what());
    }
  }
  return greetings;
}

}  // namespace tandem::bench
