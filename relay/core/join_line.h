// The lines with which a TCP client and the relay greet each other: docs/PROTOCOL.md, "TCP". Owns
// their grammar and their texts. Must not know connections, keys or sessions.
//
// Readers may be called again with a longer buffer as bytes arrive: a verdict other than need_more
// is that of the first byte that decides it, so it never depends on how the bytes were cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/limits.h"
#include "common/token.h"
#include "relay/core/wire.h"

namespace tandem {

inline constexpr size_t kLineNonceSize = 16;
inline constexpr uint16_t kProvableLaneMax = 255;  // a PROOF is over one byte of lane

enum class LineProgress : uint8_t {
  need_more,
  complete,
  bad_request,
  bad_version,
  bad_token,  // a JOIN or PROVE whose token or claims are not base64url of the right length
  too_long,   // kJoinLineMax bytes and no line end
  not_tandem_first_byte,
};

enum class JoinVerb : uint8_t { join, prove };

struct JoinLine {
  JoinVerb verb = JoinVerb::join;
  bool takeover = false;
  uint16_t lane = 0;
  ClaimsBytes claims{};
  Secret secret{};  // zeros after PROVE, which does not show it
};

struct JoinLineResult {
  LineProgress progress = LineProgress::need_more;
  size_t consumed = 0;  // where complete: the bytes of the line; what follows is the stream's
  JoinLine line{};      // where complete
};

// Words are separated by single spaces. lane and takeover may stand in any order but only once;
// takeover=0 says what leaving it out says. Unknown key=value words are ignored; a word that is
// none is bad_request, and so is a PROVE for a lane above kProvableLaneMax: its proof would be
// another lane's as well.
[[nodiscard]] JoinLineResult parse_join_line(std::span<const uint8_t> buffer);

struct ProofLineResult {
  LineProgress progress = LineProgress::need_more;
  size_t consumed = 0;
  std::array<uint8_t, kProofSize> proof{};
};
[[nodiscard]] ProofLineResult parse_proof_line(std::span<const uint8_t> buffer);

inline constexpr std::string_view kWaitLine = "TANDEM/1 WAIT\n";
inline constexpr std::string_view kPairedLine = "TANDEM/1 PAIRED\n";

inline constexpr size_t kNonceLineSize = 48;
void write_nonce_line(std::span<uint8_t, kNonceLineSize> out,
                      std::span<const uint8_t, kLineNonceSize> nonce);

// retry_after_s = 0 leaves retry= out. Gives the length of the line.
inline constexpr size_t kErrLineMax = 128;
[[nodiscard]] size_t write_err_line(std::span<uint8_t, kErrLineMax> out, ErrorCode code,
                                    uint32_t retry_after_s);

}  // namespace tandem
