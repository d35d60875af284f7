// POST /api/v1/sessions without its HTTP: who may ask, what is asked for, what is answered. A back
// end that brings its own matchmaking gets both tokens of a session here. Pure; knows no socket, no
// key and no clock.
//
//   {"sessionId":"0123456789abcdef","transports":["tcp","udp"],"expiresInS":3600,"rateKbps":0,
//    "lanesMax":0,"prove":false}
//   {"sessionId":"0123456789abcdef","server":"relay.example.org","port":7777,
//    "transports":["tcp","udp"],"expiresAt":1893456000,"tokens":{"a":"...","b":"..."}}
//
// Every member of a request may be left out. A session id is 16 hex digits, since JSON's numbers
// lose 64 bits in many readers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "room/relays/token_mint.h"

namespace tandem {

// Where the tokens will be taken, and what can be had there.
struct SessionOffer {
  std::string host;  // node.public_host; empty: clients are told another way
  std::uint16_t port = 0;
  bool tcp = false;  // listened on
  bool udp = false;
  std::uint32_t expires_max_s = 0;  // sessions.token_max_age_s
  bool draining = false;            // no new sessions
};

enum class OperatorVerdict : std::uint8_t { admitted, no_token, wrong_token };

// An Authorization header, or "" where there was none, against the operator's token, which is not
// empty. The comparison takes as long wherever they differ; only their lengths show.
[[nodiscard]] OperatorVerdict judge_operator(std::string_view authorization,
                                             std::string_view token);

// `body` is anything. What it leaves out is as MintRequest has it, within the offer. The error is a
// sentence that names the member.
[[nodiscard]] Result<MintRequest, std::string> parse_session_request(std::string_view body,
                                                                     const SessionOffer& offer);

// One JSON object without a line end.
[[nodiscard]] std::string session_json(const MintedTokens& minted, const SessionOffer& offer);

}  // namespace tandem
