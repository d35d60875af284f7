#include <array>
#include <utility>

#include "room/metrics_page.h"
#include "room/socket_io/socket_server.h"

namespace tandem {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, 4> kRecoveryNames = {"recovered", "unknown",
                                                            "other_identity", "too_old"};

}  // namespace

void SocketServer::collect(Metrics& into) const {
  engine_.collect(into);
  for (const auto& [state, count] :
       {std::pair("connected", connected()), std::pair("parked", parked_)})
    into.push_back({"tandem_sockets", "Socket.IO sockets, by state.", MetricType::gauge,
                    metric_label("state", state), static_cast<double>(count)});
  const auto add = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    into.push_back({name, help, MetricType::counter, {}, static_cast<double>(value)});
  };
  add("tandem_socket_connects_total", "CONNECT packets that were let in.", connects_);
  add("tandem_socket_connects_refused_total", "CONNECT packets that were refused.",
      connects_refused_);
  for (std::size_t i = 0; i < kRecoveryNames.size(); ++i)
    into.push_back({"tandem_socket_recoveries_total",
                    "Clients that showed an earlier socket, by what became of it.",
                    MetricType::counter, metric_label("outcome", kRecoveryNames[i]),
                    static_cast<double>(recoveries_[static_cast<Recovery>(i)].load())});
  add("tandem_socket_events_received_total", "Events of clients.", events_received_);
  add("tandem_socket_packets_sent_total", "Packets to sockets, each recipient counted.",
      packets_sent_);
  add("tandem_socket_bad_packets_total", "Packets that ended their session.", bad_packets_);
  add("tandem_socket_stray_packets_total",
      "Packets ignored: to a socket that had ended, acknowledgements, a second CONNECT.",
      stray_packets_);
  add("tandem_socket_attachments_evicted_total",
      "Sessions ended because attachments waited for took too much memory.", partials_evicted_);
}

}  // namespace tandem
