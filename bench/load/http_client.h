// One HTTP/1.1 request after another to one server (Boost.Beast): the relay's metrics page, and the
// operator's endpoint that makes tokens. Plain HTTP; both listen on loopback by default.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace tandem::bench {

struct Url {
  std::string host;
  std::string port;  // "80" where none is given
  std::string path;  // "/" where none is given
};
// "http://HOST[:PORT][/PATH]", IPv6 in brackets. Throws std::invalid_argument.
[[nodiscard]] Url parse_url(const std::string& text);

class HttpClient {
 public:
  // Throws std::runtime_error where there is no such host or nobody listens. Each step, such as the
  // wait for an answer, is bounded to `timeout`.
  explicit HttpClient(const Url& url, std::chrono::milliseconds timeout = std::chrono::seconds(5));
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  struct Answer {
    unsigned status;
    std::string body;
  };
  // `token` goes as a bearer token where it is not empty. Bounded to 16 MiB; throws
  // std::runtime_error.
  [[nodiscard]] Answer get(const std::string& path);
  [[nodiscard]] Answer post(const std::string& path, const std::string& json,
                            std::string_view token);

 private:
  class Impl;  // Beast stays in the .cc
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem::bench
