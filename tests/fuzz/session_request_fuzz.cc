// The body and the Authorization of POST /api/v1/sessions: whatever they hold is a request that can
// be minted, or one short sentence; nobody who does not show the token is the operator.
#include <array>
#include <string_view>

#include "common/assert.h"
#include "common/token.h"
#include "room/operator/session_routes.h"

namespace tandem {
namespace {

constexpr UnixSeconds kNow = 1'700'000'000;
constexpr std::uint64_t kFreshId = 0x0123456789abcdef;
constexpr std::size_t kSentenceMax = 512;
constexpr std::string_view kToken = "s3cret";

const Keyring& keyring() {
  static const Keyring keys = [] {
    Keyring made;
    TANDEM_CHECK(made.add(7, std::array<std::uint8_t, 32>{}) == Keyring::AddOutcome::added);
    return made;
  }();
  return keys;
}

void check_claims(const std::string& text, std::uint8_t slot, const MintRequest& request) {
  const auto token = parse_token_text(text);
  TANDEM_CHECK(token.has_value());
  const auto claims = decode_claims(claims_of(*token));
  TANDEM_CHECK(claims && claims->slot == slot);
  TANDEM_CHECK(claims->session_id == request.session_id.value_or(kFreshId));
  TANDEM_CHECK(((claims->flags & kTokenTcp) != 0) == request.tcp);
  TANDEM_CHECK(((claims->flags & kTokenUdp) != 0) == request.udp);
  TANDEM_CHECK(((claims->flags & kTokenProve) != 0) == request.prove);
  TANDEM_CHECK(claims->expires_at == kNow + request.expires_in_s);
  TANDEM_CHECK(claims->rate_kbps == request.rate_kbps && claims->lanes_max == request.lanes_max);
}

void check_body(std::string_view body, const SessionOffer& offer) {
  const auto request = parse_session_request(body, offer);
  if (!request) {
    TANDEM_CHECK(!request.error().empty() && request.error().size() < kSentenceMax);
    return;
  }
  TANDEM_CHECK((offer.tcp || !request->tcp) && (offer.udp || !request->udp));
  const auto minted = mint_tokens(keyring(), *request, request->session_id.value_or(kFreshId), kNow,
                                  offer.expires_max_s);
  TANDEM_CHECK(minted.has_value());
  check_claims(minted->a, 0, *request);
  check_claims(minted->b, 1, *request);
  TANDEM_CHECK(session_json(*minted, offer).find(minted->b) != std::string::npos);
}

void check_authorization(std::string_view header) {
  if (judge_operator(header, kToken) == OperatorVerdict::admitted)
    TANDEM_CHECK(header.ends_with(kToken) && header.size() > kToken.size());
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tandem::check_authorization(text);
  for (const std::uint32_t longest : {60u, 86'400u})
    for (const bool udp : {false, true})
      tandem::check_body(
          text, {.host = "relay", .port = 7777, .tcp = true, .udp = udp, .expires_max_s = longest});
  return 0;
}
