// doctest itself and main(), compiled once for all unit tests. Without doctest's signal handlers:
// signals are for the tests that send them, and a crash is for the sanitizer to report.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>
