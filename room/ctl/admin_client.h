// One request to the daemon and its answer, blocking: tandemctl's side of the admin socket.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace tandem {

// For what waits for every shard, as a reload does.
inline constexpr int kAnswerPatience = 60;  // seconds

// The answer without its LF. The error is one line for the operator: nobody listens there, no right
// to, no answer in time.
[[nodiscard]] Result<std::string, std::string> ask_daemon(const std::string& socket_path,
                                                          std::string_view request,
                                                          int patience_s = kAnswerPatience);

}  // namespace tandem
