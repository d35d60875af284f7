#include "common/result.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

namespace tandem {
namespace {

// The fuzz build compiles the same uses against the fallback, so this stays what both can do.
Result<int, std::string> halve(int value) {
  if (value % 2 != 0) return unexpected("odd");
  return value / 2;
}

Result<std::string, std::string> name(bool known) {
  if (!known) return unexpected(std::string("nobody"));
  return "somebody";
}

Result<void, int> refuse_negative(int value) {
  if (value < 0) return unexpected(value);
  return {};
}

TEST_CASE("a value or its reason") {
  CHECK(halve(4).value() == 2);
  CHECK(halve(4) == 2);
  CHECK_FALSE(halve(3).has_value());
  CHECK(halve(3).error() == "odd");
  CHECK(halve(3).value_or(7) == 7);
  CHECK(halve(8).value_or(7) == 4);
}

TEST_CASE("value and error of one type stay apart") {
  CHECK(*name(true) == "somebody");
  CHECK(name(true)->size() == 8);
  CHECK_FALSE(name(false));
  CHECK(name(false).error() == "nobody");
}

TEST_CASE("no value is a success too") {
  CHECK(refuse_negative(1));
  CHECK(refuse_negative(-3).error() == -3);
}

TEST_CASE("assignment changes sides") {
  auto result = halve(4);
  result = halve(1);
  CHECK(result.error() == "odd");
  result = 5;
  CHECK(*result == 5);
}

TEST_CASE("a value that only moves is moved out") {
  Result<std::unique_ptr<int>, std::string> result = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = *std::move(result);
  CHECK(*taken == 3);
}

}  // namespace
}  // namespace tandem
