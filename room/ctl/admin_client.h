// One request to the daemon and its answer, blocking: tandemctl's side of the admin socket.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace tandem {

// The answer without its LF. The error is one line for the operator: nobody listens there, no right
// to, no answer within 60 s (a reload waits for every shard).
[[nodiscard]] Result<std::string, std::string> ask_daemon(const std::string& socket_path,
                                                          std::string_view request);

}  // namespace tandem
