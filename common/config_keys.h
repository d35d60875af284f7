// The table of keys behind common/config.h: each key's name, member, type, bounds and effect on a
// reload, once.
//
// Internal to the config_*.cc files and their test. Knows values as TOML and text have them, but
// neither the TOML parser nor where a value came from.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config.h"
#include "common/result.h"

namespace tandem {

// A key's value in neutral form: choices, addresses and networks are their text.
using KeyValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

enum class KeyType : std::uint8_t {
  boolean,
  integer,
  decimal,
  size,
  text,
  secret,
  choice,
  address,
  addresses,
  networks,
  texts,
};

// A rule that a text, or each text of a list, has to keep; `expected` completes "expected …".
struct TextRule {
  std::string_view expected;
  bool (*holds)(std::string_view text);
};

struct KeyBounds {
  // Doubles hold every bound in the table exactly.
  double min = 0;
  double max = 0;
  std::int64_t multiple_of = 1;
  bool power_of_two = false;
  const TextRule* rule = nullptr;
};

struct ConfigKey {
  std::string_view name;  // "section.key" or "section.table.key"
  KeyType type;
  KeyBounds bounds;
  Applies applies;
  std::string_view meaning;
  std::span<const std::string_view> choices;  // in the order of the enumerators
  KeyValue (*get)(const Config& config);
  // The value has passed check_value().
  void (*set)(Config& config, const KeyValue& value);
};

// Grouped by section, in the order of the shipped file.
[[nodiscard]] std::span<const ConfigKey> config_keys();
[[nodiscard]] const ConfigKey* find_config_key(std::string_view name);

// "TANDEM_ROOM_RATE_LIMIT_MAX"
[[nodiscard]] std::string environment_name(const ConfigKey& key);

// The value as the key's type has it, within its bounds. The error lacks the key's name: "wrong
// type: expected integer, got string", "70000 is out of range: 96 to 65507".
[[nodiscard]] Result<KeyValue, std::string> check_value(const ConfigKey& key, KeyValue value);

// The same for a value from a flag or the environment: lists are separated by commas.
[[nodiscard]] Result<KeyValue, std::string> parse_value(const ConfigKey& key,
                                                        std::string_view text);

// As TOML has it: 7777, "1mb", ["0.0.0.0", "::"]. Secrets too: whoever shows this to someone asks
// key.type first.
[[nodiscard]] std::string format_value(const ConfigKey& key, const KeyValue& value);

[[nodiscard]] std::string_view type_name(KeyType type);
[[nodiscard]] std::string format_bounds(const ConfigKey& key);

// The table's key, or section, that was probably meant; empty where nothing is near.
[[nodiscard]] std::string_view nearest_key(std::string_view name);
[[nodiscard]] std::string_view nearest_section(std::string_view name);

// config_rules.cc: what no single key can see.

struct Contradiction {
  std::vector<std::string_view>
      keys;  // those involved; the error is placed at the one that was set last
  std::string message;
};
[[nodiscard]] std::optional<Contradiction> find_contradiction(const Config& config, bool dpdk);

// Fills in state_dir and the paths that depend on the host, where their keys are empty.
// `socket_is_set`: admin.socket was given, so it stays even where this user cannot use it.
void resolve_paths(Config& config, const std::map<std::string, std::string>& environment, bool root,
                   bool socket_is_set);

}  // namespace tandem
