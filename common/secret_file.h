// Files that hold a secret: read whole, or made on the first start with mode 0600. Knows nothing of
// what is in them.
#pragma once

#include <functional>
#include <string>

#include "common/result.h"

namespace tandem {

struct SecretFile {
  std::string text;
  bool made = false;                // just now
  bool readable_by_others = false;  // worth a warning
};

// At most 64 KiB. Where the file is absent it is made with the text that `make` gives, and its
// folder with mode 0700; whoever makes it at the same time wins, and what won is read. The error is
// one sentence with the path and the system's reason.
[[nodiscard]] Result<SecretFile, std::string> read_or_make_secret(
    const std::string& path, const std::function<std::string()>& make);

[[nodiscard]] Result<SecretFile, std::string> read_secret(const std::string& path);

// `bytes` random bytes from getrandom(2) as hex.
[[nodiscard]] std::string random_hex(size_t bytes);

}  // namespace tandem
