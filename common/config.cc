#include "common/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "common/config_keys.h"

namespace tandem {
namespace {

constexpr std::string_view kVariablePrefix = "TANDEM_";
// TANDEM_ variables that are not keys: the file to read, for those who start the daemon without
// flags.
constexpr std::string_view kOtherVariables[] = {"TANDEM_CONFIG"};

struct Origin {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

using Step = Result<void, ConfigError>;

unexpected<ConfigError> refuse(const Origin& origin, std::string message) {
  return unexpected(ConfigError{origin.file, origin.line, origin.column, std::move(message)});
}

std::string unknown_key(std::string_view name) {
  const std::string_view nearest = nearest_key(name);
  if (nearest.empty()) return fmt::format("{}: unknown key", name);
  return fmt::format("{}: unknown key; did you mean {}?", name, nearest);
}

std::string unknown_section(std::string_view name) {
  const std::string_view nearest = nearest_section(name);
  if (nearest.empty()) return fmt::format("[{}]: unknown section", name);
  return fmt::format("[{}]: unknown section; did you mean [{}]?", name, nearest);
}

// A configuration on its way: what is set so far, and by what.
class Draft {
 public:
  Step set(const ConfigKey& key, std::string_view shown_name, Result<KeyValue, std::string> value,
           const Origin& origin) {
    if (!value) return refuse(origin, fmt::format("{}: {}", shown_name, value.error()));
    key.set(config_, *value);
    std::erase_if(set_, [&](const auto& earlier) { return earlier.first == key.name; });
    set_.emplace_back(key.name, origin);
    return {};
  }

  Result<Config, ConfigError> finish(const ConfigSources& sources) && {
    resolve_paths(config_, sources.environment, sources.root, is_set("admin.socket"));
    if (auto contradiction = find_contradiction(config_, sources.dpdk)) {
      return refuse(origin_of(*contradiction), std::move(contradiction->message));
    }
    return std::move(config_);
  }

 private:
  bool is_set(std::string_view name) const {
    return std::any_of(set_.begin(), set_.end(),
                       [&](const auto& entry) { return entry.first == name; });
  }

  Origin origin_of(const Contradiction& contradiction) const {
    const auto& keys = contradiction.keys;
    const auto last = std::find_if(set_.rbegin(), set_.rend(), [&](const auto& entry) {
      return std::find(keys.begin(), keys.end(), entry.first) != keys.end();
    });
    return last == set_.rend() ? Origin{.file = "defaults"} : last->second;
  }

  Config config_;
  std::vector<std::pair<std::string_view, Origin>> set_;  // in the order of setting
};

// --- the file

struct Leaf {
  std::string name;
  const toml::node* node;
  Origin origin;
};

std::string_view toml_type(const toml::node& node) {
  if (node.is_table()) return "table";
  if (node.is_array()) return "list";
  if (node.is_string()) return "string";
  if (node.is_integer()) return "integer";
  if (node.is_floating_point()) return "decimal";
  if (node.is_boolean()) return "boolean";
  return "date or time";
}

// A section, or a table within one.
bool holds_keys(std::string_view name) {
  const auto keys = config_keys();
  return std::any_of(keys.begin(), keys.end(), [&](const ConfigKey& key) {
    return key.name.starts_with(name) && key.name.substr(name.size()).starts_with('.');
  });
}

void collect_leaves(const toml::table& table, const std::string& prefix, const std::string& file,
                    std::vector<Leaf>& leaves) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const auto at = key.source().begin;
    if (node.is_table() && holds_keys(name)) {
      collect_leaves(*node.as_table(), name + ".", file, leaves);
    } else {
      leaves.push_back({name, &node, {file, at.line, at.column}});
    }
  }
}

Result<KeyValue, std::string> value_of(const ConfigKey& key, const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return KeyValue(boolean->get());
  if (const auto* integer = node.as_integer()) return KeyValue(integer->get());
  if (const auto* decimal = node.as_floating_point()) return KeyValue(decimal->get());
  if (const auto* string = node.as_string()) return KeyValue(string->get());
  const auto wrong = [&](std::string_view got) {
    return unexpected(fmt::format("wrong type: expected {}, got {}", type_name(key.type), got));
  };
  if (!node.is_array()) return wrong(toml_type(node));
  std::vector<std::string> texts;
  for (const auto& element : *node.as_array()) {
    if (!element.is_string()) return wrong(fmt::format("a list with {}", toml_type(element)));
    texts.push_back(element.as_string()->get());
  }
  return KeyValue(std::move(texts));
}

Step set_from_file(Draft& draft, const Leaf& leaf) {
  if (const ConfigKey* key = find_config_key(leaf.name)) {
    auto value = value_of(*key, *leaf.node);
    if (value) value = check_value(*key, std::move(*value));
    return draft.set(*key, key->name, std::move(value), leaf.origin);
  }
  if (holds_keys(leaf.name)) {
    return refuse(leaf.origin, fmt::format("{}: wrong type: expected table, got {}", leaf.name,
                                           toml_type(*leaf.node)));
  }
  const bool is_section = leaf.node->is_table() && leaf.name.find('.') == std::string::npos;
  return refuse(leaf.origin, is_section ? unknown_section(leaf.name) : unknown_key(leaf.name));
}

Step read_file(Draft& draft, const ConfigText& file) {
  toml::table root;
  try {
    root = toml::parse(file.text, file.name);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return refuse({file.name, at.line, at.column}, std::string(error.description()));
  }
  std::vector<Leaf> leaves;
  collect_leaves(root, "", file.name, leaves);
  // The parser sorts tables by name; people read files from the top.
  std::sort(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) {
    return std::pair(a.origin.line, a.origin.column) < std::pair(b.origin.line, b.origin.column);
  });
  for (const Leaf& leaf : leaves) {
    if (auto step = set_from_file(draft, leaf); !step) return step;
  }
  return {};
}

// --- the environment

// Kubernetes tells every container of each service in its namespace: a service named tandem or
// tandem-room sets TANDEM_PORT=tcp://10.0.0.1:80 and TANDEM_ROOM_SERVICE_HOST, which are nobody's
// mistake.
bool is_service_link(std::string_view name, std::string_view value) {
  if (name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != name.npos) return true;
  if (value.starts_with("tcp://") || value.starts_with("udp://"))
    return name.find("_PORT") != name.npos;
  return name.find("_PORT_") != name.npos &&
         (name.ends_with("_PROTO") || name.ends_with("_PORT") || name.ends_with("_ADDR"));
}

const ConfigKey* key_of_variable(std::string_view name) {
  const auto keys = config_keys();
  const auto at = std::find_if(keys.begin(), keys.end(),
                               [&](const ConfigKey& key) { return environment_name(key) == name; });
  return at == keys.end() ? nullptr : &*at;
}

std::string unknown_variable(std::string_view name) {
  std::string as_key(name.substr(kVariablePrefix.size()));
  for (char& c : as_key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const ConfigKey* nearest = find_config_key(nearest_key(as_key));
  if (nearest == nullptr) return fmt::format("{}: no key has this variable", name);
  return fmt::format("{}: no key has this variable; did you mean {}?", name,
                     environment_name(*nearest));
}

Step set_from_variable(Draft& draft, const ConfigKey& key, const std::string& name,
                       const std::string& value) {
  // Empty is unset: compose files and unit files pass on variables that nobody filled in.
  if (value.empty()) return {};
  return draft.set(key, name, parse_value(key, value), {.file = "environment"});
}

Step read_environment(Draft& draft, const std::map<std::string, std::string>& environment) {
  // The unprefixed names first, so that TANDEM_LOG_LEVEL wins over LOG_LEVEL.
  for (const auto& [name, key] :
       {std::pair("LOG_LEVEL", "log.level"), {"LOG_FORMAT", "log.format"}}) {
    const auto at = environment.find(name);
    if (at == environment.end()) continue;
    if (auto step = set_from_variable(draft, *find_config_key(key), name, at->second); !step)
      return step;
  }
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kVariablePrefix) || is_service_link(name, value)) continue;
    if (std::find(std::begin(kOtherVariables), std::end(kOtherVariables), name) !=
        std::end(kOtherVariables)) {
      continue;
    }
    const ConfigKey* key = key_of_variable(name);
    if (key == nullptr) return refuse({.file = "environment"}, unknown_variable(name));
    if (auto step = set_from_variable(draft, *key, name, value); !step) return step;
  }
  return {};
}

// --- flags

Step read_override(Draft& draft, std::string_view text) {
  const Origin origin = {.file = "--set"};
  const auto equals = text.find('=');
  if (equals == text.npos) {
    return refuse(origin, fmt::format("{}: expected section.key=value", text));
  }
  const std::string_view name = text.substr(0, equals);
  const ConfigKey* key = find_config_key(name);
  if (key == nullptr) return refuse(origin, unknown_key(name));
  return draft.set(*key, key->name, parse_value(*key, text.substr(equals + 1)), origin);
}

std::string shown_value(const ConfigKey& key, const KeyValue& value) {
  return key.type == KeyType::secret ? "(hidden)" : format_value(key, value);
}

}  // namespace

std::string to_string(const ConfigError& error) {
  return error.line == 0 ? fmt::format("{}: {}", error.file, error.message)
                         : fmt::format("{}:{}: {}", error.file, error.line, error.message);
}

bool built_with_dpdk() {
#ifdef TANDEM_HAVE_DPDK
  return true;
#else
  return false;
#endif
}

Result<ConfigText, ConfigError> read_config_file(const std::string& path) {
  constexpr std::size_t kFileMax = 1 << 20;
  const auto failed = [&](std::string_view reason) {
    return refuse({.file = path}, std::string(reason));
  };
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return failed(std::strerror(errno));
  std::string text(kFileMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(std::strerror(errno));
  if (text.size() > kFileMax) return failed("larger than 1 MiB");
  return ConfigText{path, std::move(text)};
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == text.npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

Result<Config, ConfigError> load_config(const ConfigSources& sources) {
  Draft draft;
  if (sources.file) {
    if (auto step = read_file(draft, *sources.file); !step) return unexpected(step.error());
  }
  if (auto step = read_environment(draft, sources.environment); !step)
    return unexpected(step.error());
  for (const std::string& text : sources.overrides) {
    if (auto step = read_override(draft, text); !step) return unexpected(step.error());
  }
  return std::move(draft).finish(sources);
}

std::vector<KeyChange> diff(const Config& before, const Config& after) {
  std::vector<KeyChange> changes;
  for (const ConfigKey& key : config_keys()) {
    const KeyValue from = key.get(before);
    const KeyValue to = key.get(after);
    if (from == to) continue;
    changes.push_back({key.name, shown_value(key, from), shown_value(key, to), key.applies});
  }
  return changes;
}

Config apply_live(const Config& before, const Config& after) {
  Config applied = before;
  for (const ConfigKey& key : config_keys()) {
    if (key.applies == Applies::live) key.set(applied, key.get(after));
  }
  return applied;
}

}  // namespace tandem
