#include "room/lobby/room_code.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

class Fixed final : public RandomSource {
 public:
  explicit Fixed(std::uint8_t byte) : byte_(byte) {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& each : bytes) each = byte_;
  }

 private:
  std::uint8_t byte_;
};

TEST_CASE("a UUID is of version 4 and the variant of RFC 9562") {
  Fixed ones(0xff);
  CHECK(make_uuid(ones) == "ffffffff-ffff-4fff-bfff-ffffffffffff");
  Fixed zeros(0);
  CHECK(make_uuid(zeros) == "00000000-0000-4000-8000-000000000000");
}

TEST_CASE("codes use all of Crockford's letters and no other") {
  SeededRandom random(3);
  std::set<char> letters;
  for (int round = 0; round < 200; ++round) {
    const std::string code = make_room_code(random, 8);
    CHECK(code.size() == 8);
    letters.insert(code.begin(), code.end());
    CHECK(normalize_room_code(code) == code);
  }
  CHECK(std::string(letters.begin(), letters.end()) == "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
}

TEST_CASE("codes as people type them") {
  CHECK(normalize_room_code("abc-def") == "ABCDEF");
  CHECK(normalize_room_code("oO0iIlL1") == "00011111");
  CHECK(normalize_room_code("-1-2-3-4-5-6-") == "123456");
  for (const std::string_view bad :
       {"", "12345", "123456789", "12345U", "12345!", "123 456", "1234\xc3\xa9"})
    CHECK_FALSE(normalize_room_code(bad).has_value());
}

}  // namespace
}  // namespace tandem
