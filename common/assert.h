// TANDEM_CHECK: the end of the process for a bug of our own, in every build type. What the world
// can do to us (input, the network, the kernel's refusals) is a Result or a named outcome, never
// this. Named in full since doctest owns CHECK.
#pragma once

namespace tandem {

// Prints one line to standard error and aborts. Allocates nothing, so that it works when memory is
// what is broken; out of line and cold, so that a check costs its caller a compare and a branch.
[[noreturn, gnu::cold, gnu::noinline]] void check_failed(const char* expression, const char* file,
                                                         int line) noexcept;

}  // namespace tandem

#define TANDEM_CHECK(condition)                               \
  do {                                                        \
    if (!(condition)) [[unlikely]]                            \
      ::tandem::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
