// Answers of the admin socket as an operator reads them: aligned columns with units. Pure text in,
// text out; --json bypasses this.
#pragma once

#include <string>
#include <string_view>

#include "room/operator/admin_protocol.h"

namespace tandem {

// `answer` is the daemon's {"ok":true ...} to `request`. The text ends in a line end. A field that
// is not there shows as "-": the daemon may be of another version.
[[nodiscard]] std::string human_answer(const AdminRequest& request, std::string_view answer);

}  // namespace tandem
