// Whatever a configuration file holds, load_config() gives a configuration or one error with a
// place in the file; a configuration that it gave is within every key's bounds.
//
// Links toml++'s library and does not instrument the parser: compiled in with assertions and UBSan,
// version 3.3 stops at
// "[:a]" and at U+FCFF outside of a string, both of which the library reports as the syntax errors
// that they are.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/assert.h"
#include "common/config.h"
#include "common/config_keys.h"

namespace tandem {
namespace {

void check_file(std::string text) {
  const auto loaded = load_config({.file = ConfigText{"fuzz.toml", std::move(text)}, .root = true});
  if (!loaded) {
    TANDEM_CHECK(!loaded.error().message.empty());
    return;
  }
  for (const ConfigKey& key : config_keys()) {
    TANDEM_CHECK(check_value(key, key.get(*loaded)).has_value());
  }
}

// What a flag or a variable may say is within the key's bounds once it is taken.
void check_text(const ConfigKey& key, const std::string& text) {
  const auto value = parse_value(key, text);
  if (!value) {
    TANDEM_CHECK(!value.error().empty());
    return;
  }
  Config config;
  key.set(config, *value);
  TANDEM_CHECK(check_value(key, key.get(config)).has_value());
  (void)load_config({.overrides = {std::string(key.name) + "=" + text}, .root = true});
}

}  // namespace
}  // namespace tandem

// A first byte that numbers a key has the rest taken for that key's value; any other is a file's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  const auto keys = config_keys();
  // Files begin with printable characters or line ends.
  constexpr std::uint8_t kFirstKey = 128;
  const std::string text(data, data + size);
  if (size > 0 && data[0] >= kFirstKey) {
    check_text(keys[(data[0] - kFirstKey) % keys.size()], text.substr(1));
  } else {
    check_file(text);
  }
  return 0;
}
