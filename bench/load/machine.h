// Owns what is told of the machine that a run was made on. Sources: uname(2), proc(5).
#pragma once

#include <string>

namespace tandem::bench {

struct Machine {
  std::string kernel;  // its release: "6.1.0-18-amd64"
  std::string cpu;     // model name; empty where the kernel does not tell
  unsigned cores = 0;  // online, also where this process is pinned to one
};

[[nodiscard]] Machine this_machine();

}  // namespace tandem::bench
