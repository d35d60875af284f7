#include "room/web/tls_channel.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>
#include <utility>

namespace tandem {
namespace {

struct FreeSsl {
  void operator()(SSL* ssl) const { ::SSL_free(ssl); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};

// The oldest of the queue is what went wrong first.
std::string reason() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  const char* text = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return text == nullptr ? "it cannot be read" : text;
}

// A key with a passphrase would have OpenSSL ask for it on the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

int size_of(std::size_t bytes) {
  return static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
}

}  // namespace

struct TlsChannel::State {
  std::unique_ptr<SSL, FreeSsl> ssl;

  [[nodiscard]] IoOutcome outcome(int result) const {
    using Kind = IoOutcome::Kind;
    if (result > 0) return {Kind::some, static_cast<std::size_t>(result)};
    switch (::SSL_get_error(ssl.get(), result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return {Kind::later};
      case SSL_ERROR_ZERO_RETURN:
        return {Kind::end};
      default:
        ::ERR_clear_error();
        return {Kind::broken};
    }
  }
};

TlsChannel::TlsChannel(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsChannel::~TlsChannel() = default;

// The error queue is the thread's: what another connection left would be taken for this one's.
IoOutcome TlsChannel::read(std::span<char> into) {
  ::ERR_clear_error();
  return state_->outcome(::SSL_read(state_->ssl.get(), into.data(), size_of(into.size())));
}

IoOutcome TlsChannel::write(std::span<const char> bytes) {
  ::ERR_clear_error();
  return state_->outcome(::SSL_write(state_->ssl.get(), bytes.data(), size_of(bytes.size())));
}

void TlsChannel::finish() {
  ::ERR_clear_error();
  if (::SSL_is_init_finished(state_->ssl.get()) == 1) ::SSL_shutdown(state_->ssl.get());
  ::ERR_clear_error();
}

struct TlsCertificate::State {
  std::unique_ptr<SSL_CTX, FreeContext> context;
};

TlsCertificate::TlsCertificate(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsCertificate::~TlsCertificate() = default;

Result<std::shared_ptr<TlsCertificate>, std::string> TlsCertificate::load(
    const std::string& certificate, const std::string& key) {
  ::ERR_clear_error();
  std::unique_ptr<SSL_CTX, FreeContext> context(::SSL_CTX_new(::TLS_server_method()));
  if (!context) return unexpected(fmt::format("TLS: {}", reason()));
  SSL_CTX* const ssl = context.get();
  ::SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  ::SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Idle connections give their record buffers back, 34 KiB each.
  ::SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ::SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
  if (::SSL_CTX_use_certificate_chain_file(ssl, certificate.c_str()) != 1)
    return unexpected(fmt::format("certificate {}: {}", certificate, reason()));
  if (::SSL_CTX_use_PrivateKey_file(ssl, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return unexpected(fmt::format("key {}: {}", key, reason()));
  return std::shared_ptr<TlsCertificate>(
      new TlsCertificate(std::make_unique<State>(State{std::move(context)})));
}

std::unique_ptr<TlsChannel> TlsCertificate::begin(int descriptor) const {
  std::unique_ptr<SSL, FreeSsl> ssl(::SSL_new(state_->context.get()));
  if (!ssl || ::SSL_set_fd(ssl.get(), descriptor) != 1) return nullptr;
  ::SSL_set_accept_state(ssl.get());
  return std::unique_ptr<TlsChannel>(
      new TlsChannel(std::make_unique<TlsChannel::State>(TlsChannel::State{std::move(ssl)})));
}

}  // namespace tandem
