#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "common/config.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

TEST_CASE("with no source at all the defaults load") {
  CHECK(load_config({}).has_value());
}

}  // namespace
}  // namespace tandem
