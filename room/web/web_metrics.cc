// What the metrics page shows of a web server.
#include <fmt/format.h>

#include "room/metrics_page.h"
#include "room/web/web_server_impl.h"

namespace tandem {
namespace {

std::string_view end_name(std::size_t end) {
  switch (static_cast<WebSocketEnd>(end)) {
    case WebSocketEnd::closed:
      return "closed";
    case WebSocketEnd::lost:
      return "lost";
    case WebSocketEnd::protocol:
      return "protocol";
    case WebSocketEnd::overflow:
      return "overflow";
    case WebSocketEnd::evicted:
      return "evicted";
  }
  return "unknown";
}

}  // namespace

void WebServer::Impl::collect(Metrics& into) const {
  const std::string listener = metric_label("listener", options_.name);
  const auto append = [&](std::string_view name, std::string_view help, MetricType type,
                          std::string_view label, std::string_view label_value, auto value) {
    std::string labels = listener;
    if (!label.empty()) labels.append(",").append(metric_label(label, label_value));
    into.push_back({name, help, type, std::move(labels), static_cast<double>(value)});
  };
  const auto count = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    append(name, help, MetricType::counter, {}, {}, value);
  };

  append("tandem_http_connections", "Open connections to a listener, WebSockets among them.",
         MetricType::gauge, {}, {}, connections_);
  for (const auto& [status, requests] : counters_.requests)
    append("tandem_http_requests_total",
           "Requests answered, by status code; 101 is a WebSocket's beginning.",
           MetricType::counter, "status", fmt::format("{}", status), requests);
  count("tandem_http_connections_total", "Connections accepted.", counters_.accepted);
  count("tandem_http_accept_errors_total", "Connections that the system could not accept.",
        counters_.accept_errors);
  const auto refused = [&](std::string_view reason, std::uint64_t value) {
    append("tandem_http_connections_refused_total",
           "Connections closed unserved: to make room for another (evicted), for want of room "
           "(full), too many of one address (address), no PROXY header (proxy_header).",
           MetricType::counter, "reason", reason, value);
  };
  refused("evicted", counters_.evicted);
  refused("full", counters_.refused_full);
  refused("address", counters_.refused_address);
  refused("proxy_header", counters_.refused_proxy_header);

  append("tandem_websocket_connections", "Open WebSockets.", MetricType::gauge, {}, {},
         websockets_);
  count("tandem_websocket_messages_received_total", "WebSocket messages received.",
        counters_.messages_received);
  count("tandem_websocket_received_bytes_total", "Payload of the messages received.",
        counters_.message_bytes_received);
  count("tandem_websocket_messages_sent_total", "WebSocket messages queued for sending.",
        counters_.messages_sent);
  count("tandem_websocket_sent_bytes_total", "Payload of the messages queued for sending.",
        counters_.message_bytes_sent);
  for (std::size_t end = 0; end < counters_.closed.size(); ++end)
    append("tandem_websocket_closed_total",
           "WebSockets that ended: closed in order, connection lost, not the protocol, more unsent "
           "than room.send_queue_bytes (overflow), the server going (evicted).",
           MetricType::counter, "reason", end_name(end), counters_.closed[end]);
}

}  // namespace tandem
