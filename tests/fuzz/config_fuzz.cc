// Whatever a configuration file holds, load_config() gives a configuration or one error with a place in
// the file; a configuration that it gave is within every key's bounds.
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/assert.h"
#include "common/config.h"
#include "common/config_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  std::string text(data, data + size);
  // Words of the input serve as a flag and a variable too, so that those parsers are reached.
  const std::string line = text.substr(0, text.find('\n'));
  const auto loaded = load_config({.file = ConfigText{"fuzz.toml", text}, .root = true});
  if (!loaded) {
    TANDEM_CHECK(!loaded.error().message.empty());
    TANDEM_CHECK(!to_string(loaded.error()).empty());
  } else {
    for (const ConfigKey& key : config_keys()) {
      // Paths that were empty are filled in; their keys have no rule to break.
      TANDEM_CHECK(check_value(key, key.get(*loaded)).has_value());
    }
    TANDEM_CHECK(diff(*loaded, *loaded).empty());
    TANDEM_CHECK(diff(apply_live(Config{}, *loaded), *loaded).size() <= config_keys().size());
  }
  (void)load_config({.overrides = {line}, .root = true});
  for (const ConfigKey& key : config_keys()) (void)parse_value(key, line);
  return 0;
}
