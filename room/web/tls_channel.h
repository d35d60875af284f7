// TLS of one connection, on its nonblocking socket (OpenSSL; 1.2 and above), and the certificate
// that new ones begin with. Knows no HTTP. Must not outlive the descriptor's owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/result.h"

namespace tandem {

// Of one attempt at a socket, with or without TLS.
struct IoOutcome {
  enum class Kind : std::uint8_t {
    some,   // `bytes`
    later,  // nothing now: when the socket is readable or writable again
    end,    // the other side has finished
    broken,
  };
  Kind kind = Kind::later;
  std::size_t bytes = 0;
};

class TlsChannel {
 public:
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  // The handshake goes on with either. A record is 16 KiB at most, so there may be more after
  // `some`.
  [[nodiscard]] IoOutcome read(std::span<char> into);
  // What was refused with `later` has to be offered again, and may be longer then.
  [[nodiscard]] IoOutcome write(std::span<const char> bytes);
  // Tells the other side that nothing more comes, if it can be told at once.
  void finish();

 private:
  friend class TlsCertificate;
  struct State;
  explicit TlsChannel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A certificate with its chain and its key, loaded. Connections that have begun keep it.
class TlsCertificate {
 public:
  // PEM files. The error is one line that names the file.
  [[nodiscard]] static Result<std::shared_ptr<TlsCertificate>, std::string> load(
      const std::string& certificate, const std::string& key);
  ~TlsCertificate();
  TlsCertificate(const TlsCertificate&) = delete;
  TlsCertificate& operator=(const TlsCertificate&) = delete;

  // The server's side on a connected nonblocking socket; null where memory is out.
  [[nodiscard]] std::unique_ptr<TlsChannel> begin(int descriptor) const;

 private:
  struct State;
  explicit TlsCertificate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tandem
