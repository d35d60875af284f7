#include "bench/load/rooms/room_service.h"

#include <fmt/format.h>

#include <random>

#include "bench/load/http_client.h"

namespace tandem::bench {

RoomService parse_room_service(const std::string& text) {
  const Url url = parse_url(text);
  const bool v6 = url.host.find(':') != std::string::npos;
  RoomService service;
  service.authority = fmt::format("{}{}{}:{}", v6 ? "[" : "", url.host, v6 ? "]" : "", url.port);
  service.address = parse_address(service.authority);
  if (url.path != "/") service.path = url.path;
  service.subjects = fresh_subjects();
  return service;
}

std::string fresh_subjects() {
  std::random_device random;
  return fmt::format("bench-{:08x}-", random());
}

}  // namespace tandem::bench
