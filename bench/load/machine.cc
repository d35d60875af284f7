#include "bench/load/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

namespace tandem::bench {
namespace {

std::string kernel_release() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : "";
}

// "model name : ..." of the first core on x86; arm64 has only numbers there.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const auto at = line.find_first_not_of(" \t", line.find(':') + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}

}  // namespace

Machine this_machine() {
  return {.kernel = kernel_release(),
          .cpu = cpu_model(),
          .cores = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN))};
}

}  // namespace tandem::bench
