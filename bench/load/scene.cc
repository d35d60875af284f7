#include "bench/load/scene.h"

#include "bench/load/far_client.h"

namespace tandem::bench {
namespace {

// An address of this machine for what dials itself.
const SocketAddress kHere = address_of(0x7f000001, 0);

struct Joined {
  std::vector<SocketPair> pairs;
  Ends ends = Ends::both;
  std::unique_ptr<FarHalf> far = nullptr;
};

RouteOptions with_tokens(const Scene& scene) {
  RouteOptions route = scene.route;
  if (route.kind == RouteKind::relay) route.tokens = make_tokens(scene.tokens, scene.pairs);
  if (route.kind == RouteKind::greeted && route.greetings.size() < scene.pairs) {
    throw std::runtime_error("there are greetings for " + std::to_string(route.greetings.size()) +
                             " pairs only");
  }
  return route;
}

std::vector<SocketPair> join_here(const RouteOptions& route, std::size_t pairs,
                                  Transport transport) {
  const bool has_door = route.kind == RouteKind::direct || route.kind == RouteKind::proxy;
  RouteOptions local = route;
  Door door;
  switch (transport) {
    case Transport::tcp:
      if (has_door) door = open_tcp_door(route, kHere);
      if (route.kind == RouteKind::direct) local.target = local_address(door.listener.fd());
      return join_tcp_pairs(local, pairs, Ends::both, std::move(door));
    case Transport::udp:
      if (has_door) door = open_udp_door(route, kHere, pairs);
      if (route.kind == RouteKind::direct) local.target = kHere;
      for (const auto& socket : door.sockets) {
        local.udp_ports.push_back(local_address(socket.fd()).port());
      }
      return join_udp_pairs(local, pairs, Ends::both, std::move(door));
  }
  return {};
}

Joined join(const Scene& scene, const FarRequest& request) {
  const RouteOptions route = with_tokens(scene);
  if (!scene.far_host) {
    return {.pairs = join_here(route, scene.pairs, request.transport)};
  }
  auto [pairs, far] = join_with_far_host(*scene.far_host, route, request, *scene.interrupt);
  return {.pairs = std::move(pairs), .ends = Ends::a, .far = std::move(far)};
}

Leg leg_of(const Scene& scene, Joined joined, const MakeLoad& make_load) {
  Leg leg = make_leg(std::string(name_of(scene.route.kind)), std::move(joined.pairs), scene.threads,
                     scene.cpus, *scene.interrupt, make_load);
  leg.far = std::move(joined.far);
  return leg;
}

}  // namespace

std::string_view name_of(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::udp:
      return "udp";
  }
  return "";
}

Scene Scene::direct() const {
  Scene scene = *this;
  scene.route = {};
  if (far_host) scene.route.target = *far_host;
  return scene;
}

Leg bulk_leg(const Scene& scene, const BulkOptions& options) {
  const FarRequest request{
      .transport = Transport::tcp, .load = FarLoad::bulk, .pairs = scene.pairs, .bulk = options};
  return leg_of(scene, join(scene, request),
                [&](std::vector<SocketPair> pairs, std::size_t first, double) {
                  return make_tcp_bulk(std::move(pairs), first, options);
                });
}

Leg datagram_leg(const Scene& scene, UdpShape shape, const UdpOptions& options) {
  const bool trains = shape == UdpShape::trains;
  const FarRequest request{.transport = Transport::udp,
                           .load = trains ? FarLoad::trains : FarLoad::scattered,
                           .pairs = scene.pairs,
                           .udp = options};
  Joined joined = join(scene, request);
  const Ends ends = joined.ends;
  return leg_of(scene, std::move(joined),
                [&](std::vector<SocketPair> pairs, std::size_t first, double share) {
                  UdpOptions part = options;
                  part.per_second *= share;
                  return trains ? make_udp_trains(std::move(pairs), first, ends, part)
                                : make_udp_scattered(std::move(pairs), first, ends, part);
                });
}

Leg message_leg(const Scene& scene, Transport transport, const MessageOptions& options) {
  const FarRequest request{.transport = transport, .load = FarLoad::echo, .pairs = scene.pairs};
  return leg_of(scene, join(scene, request),
                [&](std::vector<SocketPair> pairs, std::size_t first, double share) {
                  MessageOptions part = options;
                  part.per_second *= share;
                  return transport == Transport::tcp
                             ? make_tcp_messages(std::move(pairs), part, first)
                             : make_udp_messages(std::move(pairs), part, first);
                });
}

}  // namespace tandem::bench
