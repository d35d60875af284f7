#include "tests/unit/room/fake_web.h"

#include "common/assert.h"

namespace tandem {

HttpResponder::HttpResponder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
HttpResponder::HttpResponder(HttpResponder&&) noexcept = default;
HttpResponder& HttpResponder::operator=(HttpResponder&& other) noexcept {
  std::swap(exchange_, other.exchange_);
  return *this;
}
HttpResponder::~HttpResponder() {
  if (exchange_ && !exchange_->reply) exchange_->gone = true;
}

void HttpResponder::reply(HttpReply reply) {
  TANDEM_CHECK(exchange_ && !exchange_->reply);
  exchange_->reply = std::move(reply);
  exchange_->abandoned = nullptr;
}
void HttpResponder::on_abandoned(std::function<void()> callback) {
  exchange_->abandoned = std::move(callback);
}

std::string body_of(const FakeExchange& exchange) {
  return exchange->reply ? exchange->reply->body : "(none)";
}
unsigned status_of(const FakeExchange& exchange) {
  return exchange->reply ? exchange->reply->status : 0;
}

std::vector<std::string> FakeWebSocket::take() {
  std::vector<std::string> texts;
  for (const SharedMessage& message : std::exchange(sent, {})) {
    std::string text(message->payload());
    if (message->opcode() == WebSocketOpcode::binary) text.insert(0, 1, '<').push_back('>');
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace tandem
