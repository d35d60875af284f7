// One request after the other from a connection's bytes (Boost.Beast's parser). Knows no socket and
// no route, and answers nothing: what is wrong is an outcome.
//
// Beyond what Beast refuses: a head above its bound however it trickles in, an HTTP/1.1 request
// without exactly one Host, and a Transfer-Encoding that does not end in chunked, which Beast takes
// for no body where a proxy may see one (RFC 9112, 6.3).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tandem {

enum class HttpProgress : std::uint8_t {
  need_more,
  wants_continue,  // need_more, and the client waits for 100 Continue (told once)
  complete,
  bad,  // no HTTP/1 request, or one that contradicts itself
  no_host,
  head_too_large,
  body_too_large,
};

class HttpReader {
 public:
  HttpReader(std::uint32_t header_bytes_max, std::uint64_t body_bytes_max);
  ~HttpReader();
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  // After need_more. What follows a complete request is kept for the next one.
  [[nodiscard]] HttpProgress put(std::string_view bytes);
  // Nothing more will come: bad, where a request has begun.
  [[nodiscard]] HttpProgress finish();
  // After complete: gets ready for the next request; what is kept is for put({}).
  void next();

  [[nodiscard]] bool has_begun() const;  // bytes of a request that is not complete have come
  [[nodiscard]] bool has_rest() const { return !rest_.empty(); }
  [[nodiscard]] std::string take_rest() { return std::move(rest_); }

  // Of a complete request, until next(); version and method also of one that is refused, as far as
  // it came.
  [[nodiscard]] std::string_view method() const;
  [[nodiscard]] std::string_view target() const;
  [[nodiscard]] std::string_view body() const;
  [[nodiscard]] bool is_version_1_0() const;
  [[nodiscard]] bool keep_alive() const;
  // The first one of this name in any case, empty where there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const;
  // All of them, joined by commas (RFC 9110, 5.3).
  [[nodiscard]] std::string joined_field(std::string_view name) const;

 private:
  struct Parsing;
  HttpProgress parse(std::string_view bytes);
  HttpProgress advance(std::string_view& bytes);
  HttpProgress judge_head() const;

  const std::uint32_t header_bytes_max_;
  const std::uint64_t body_bytes_max_;
  std::unique_ptr<Parsing> parsing_;  // of the request at hand
  std::string rest_;                  // not parsed yet
};

}  // namespace tandem
