// Which of the newer kernel features work here, found out by using each once on a small ring: a
// version number says little of a distribution's kernel. Takes a millisecond or two.
#pragma once

#include <string>

namespace tandem::uring {

struct Features {
  bool bundles = false;  // multishot receive with bundles and a limit of its own: 6.17
  bool send_zc = false;  // with a report whether the kernel copied: 6.2
};

[[nodiscard]] Features probe_features();

}  // namespace tandem::uring
