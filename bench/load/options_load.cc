#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "bench/load/options_typed.h"
#include "bench/load/quantities.h"

namespace tandem::bench {
namespace {

void add_directions(CLI::App& app, Typed& typed) {
  auto* reverse = app.add_flag("-R,--reverse", typed.reverse, "B sends");
  app.add_flag("--bidir", typed.both_ways, "both send")->excludes(reverse);
  add_verify(app, typed.verify);
}

}  // namespace

void add_tcp(CLI::App& app, Typed& typed, BulkOptions& bulk) {
  add_directions(app, typed);
  app.add_option("-l,--length", typed.length, "bytes in one send or receive (64k)");
  app.add_option("-b,--bitrate", typed.bit_rate,
                 "bit/s of each pair and direction, such as 100M; 0: as much as goes");
  app.add_option("-w,--window", bulk.socket_buffer,
                 "socket buffers in bytes; 0: the kernel's tuning")
      ->check(CLI::Range(0, 1 << 30));
}

void finish_tcp(Typed& typed, Command& command, BulkOptions& bulk) {
  set_defaults(typed, command.scene, kTcpPairs, kSeconds);
  bulk.direction = direction_of(typed);
  bulk.verify = typed.verify;
  bulk.chunk = length_of(typed, 1, 16 << 20, bulk.chunk);
  bulk.bytes_per_second_each = parse_bit_rate(typed.bit_rate) / 8;
  tell_options(typed, command, std::to_string(bulk.chunk));
  command.told.add("rate_each_bit_s", bulk.bytes_per_second_each * 8);
}

void add_udp(CLI::App& app, Typed& typed, UdpCommand& command) {
  add_directions(app, typed);
  UdpOptions& udp = command.udp;
  app.add_option("-l,--length", typed.length, "bytes of payload, or imix (200; 1200 with --train)");
  auto* bit_rate =
      app.add_option("-b,--bitrate", typed.bit_rate,
                     "bit/s of each pair and direction; 0: a closed loop (with -c: 1M)");
  app.add_option("--rate", typed.rate, "datagrams a second, all pairs together")
      ->check(CLI::Range(0.001, 1e9))
      ->excludes(bit_rate);
  app.add_flag_callback(
      "--train", [&command] { command.shape = UdpShape::trains; },
      "back to back on one pair after the other, by UDP_SEGMENT and UDP_GRO");
  app.add_option("--train-length", udp.train, "datagrams a train")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--window", udp.window, "closed loop: datagrams under way")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--batch", udp.batch, "datagrams a system call")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

void finish_udp(Typed& typed, Command& command, UdpCommand& udp_command) {
  constexpr double kFarBitRate = 1e6;  // as iperf3's: between hosts nothing closes the loop
  UdpOptions& udp = udp_command.udp;
  const bool trains = udp_command.shape == UdpShape::trains;
  set_defaults(typed, command.scene, trains ? 1 : kManyPairs, kSeconds);
  const std::string length = !typed.length.empty() ? typed.length : trains ? "1200" : "200";
  udp.shape.sizes = parse_sizes(length);
  udp.direction = direction_of(typed);
  udp.verify = typed.verify;
  if (trains && (udp.shape.sizes.size() > 1 || udp.direction != Direction::forward)) {
    throw std::invalid_argument("trains have one size and go forward");
  }
  double bits = parse_bit_rate(typed.bit_rate);
  if (bits == 0 && typed.rate == 0 && command.scene.far_host) bits = kFarBitRate;
  const double flows =
      static_cast<double>(command.scene.pairs) * (udp.direction == Direction::both ? 2 : 1);
  udp.per_second = typed.rate > 0 ? typed.rate : flows * bits / 8 / udp.shape.size_mean();
  tell_options(typed, command, length);
  command.told.add("shape", trains ? "trains" : "scattered");
  command.told.add("datagrams_per_s", udp.per_second);
  if (udp.per_second == 0) command.told.add("window", std::uint64_t{udp.window});
}

void add_latency(CLI::App& app, Typed& typed, LatencyOptions& latency) {
  add_transport(app, "--transport", latency.transport);
  app.add_option("-l,--length", typed.length, "bytes a message (128)");
  app.add_option("--rate", typed.rate, "messages a second, all pairs together (10 each)")
      ->check(CLI::Range(0.001, 1e9));
  app.add_flag("--no-direct", typed.no_direct, "do not measure a direct leg beside it");
}

void finish_latency(Typed& typed, Command& command, LatencyOptions& latency) {
  constexpr double kRateEach = 10;
  constexpr std::size_t kLength = 128;
  set_defaults(typed, command.scene, kTimedPairs, kSeconds);
  const bool udp = latency.transport == Transport::udp;
  latency.message.size =
      length_of(typed, kMessageSizeMin, udp ? kPayloadMax : std::size_t{65536}, kLength);
  latency.message.per_second =
      typed.rate > 0 ? typed.rate : kRateEach * static_cast<double>(command.scene.pairs);
  latency.against_direct = !typed.no_direct;
  tell_options(typed, command, std::to_string(latency.message.size));
  command.told.add("transport", std::string(name_of(latency.transport)));
  command.told.add("messages_per_s", latency.message.per_second);
}

void add_find_limit(CLI::App& app, FindLimitOptions& find) {
  app.add_option("--sizes", find.sizes, "payloads in bytes, or imix (64,200,512,1200,imix)")
      ->delimiter(',');
  app.add_option("--repeat", find.repeat, "searches for each size")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--resolution", find.resolution, "of the rate")
      ->check(CLI::Range(0.001, 0.5))
      ->capture_default_str();
}

void finish_find_limit(Typed& typed, Command& command, FindLimitOptions& find) {
  for (const auto& size : find.sizes) (void)parse_sizes(size);
  set_defaults(typed, command.scene, kManyPairs, kTrialSeconds);
  tell_options(typed, command, fmt::format("{}", fmt::join(find.sizes, ",")));
  command.told.add("repeat", std::uint64_t{find.repeat});
  command.told.add("resolution", find.resolution);
}

}  // namespace tandem::bench
