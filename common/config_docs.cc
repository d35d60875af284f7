#include <fmt/format.h>

#include "common/config_keys.h"

namespace tandem {
namespace {

constexpr std::size_t kColumns = 100;

constexpr std::string_view kFileHead =
    R"(# Tandem's configuration. Every key stands here with its default; remove the # before a key to change it.
# Precedence: tandemd --set section.key=value, then TANDEM_SECTION_KEY in the environment, then this file.
# Sizes take k, m and g (1024-based). `tandemd --check-config` checks this file; a reload (SIGHUP or
# `tandemctl reload`) applies every key but those marked (restart). docs/CONFIGURATION.md tells more.
)";

struct Section {
  std::string_view name;
  std::string_view meaning;
};

constexpr Section kSections[] = {
    {"node", "Who this node is in a fleet."},
    {"engine", "Threads, rings and buffers of the relay."},
    {"listen", "Where the relay listens."},
    {"sessions", "How many sessions, and how long they live."},
    {"bandwidth", "How much they may carry. 0 = no limit."},
    {"security", "What strangers may do. 0 = no limit."},
    {"room", "The room service: lobby, signalling, relay allocation."},
    {"storage", "What outlives a restart."},
    {"cluster", "What the nodes of a fleet share."},
    {"monitoring", "Health, metrics and dashboard."},
    {"log", "What is written about all this."},
    {"admin", "The operator's door."},
};

std::string_view section_of(const ConfigKey& key) {
  return key.name.substr(0, key.name.find('.'));
}
std::string_view name_in_section(const ConfigKey& key) {
  return key.name.substr(key.name.find('.') + 1);
}

std::string default_of(const ConfigKey& key) {
  return format_value(key, key.get(Config{}));
}

// Comment lines of at most kColumns columns.
std::string as_comment(std::string_view text) {
  std::string lines;
  std::string line = "#";
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (line.size() + 1 + word.size() > kColumns) {
      lines += line + "\n";
      line.assign(1, '#');
    }
    line += " ";
    line += word;
  }
  return lines + line + "\n";
}

std::string file_comment(const ConfigKey& key) {
  const std::string bounds = format_bounds(key);
  std::string text(key.meaning);
  // Rules for texts are in docs/CONFIGURATION.md; a choice or a range is what one looks for here.
  if (!bounds.empty() && key.bounds.rule == nullptr) text += fmt::format(" ({})", bounds);
  if (key.applies == Applies::restart) text += " (restart)";
  return as_comment(text);
}

}  // namespace

std::vector<KeyDescription> describe_keys() {
  std::vector<KeyDescription> descriptions;
  for (const ConfigKey& key : config_keys()) {
    descriptions.push_back({.key = key.name,
                            .environment = environment_name(key),
                            .type = type_name(key.type),
                            .bounds = format_bounds(key),
                            .default_value = default_of(key),
                            .applies = key.applies,
                            .meaning = key.meaning});
  }
  return descriptions;
}

std::string render_default_file() {
  std::string text(kFileHead);
  for (const Section& section : kSections) {
    text += fmt::format("\n# {}\n[{}]\n", section.meaning, section.name);
    for (const ConfigKey& key : config_keys()) {
      if (section_of(key) != section.name) continue;
      text += fmt::format("{}#{} = {}\n", file_comment(key), name_in_section(key), default_of(key));
    }
  }
  return text;
}

std::string render_key_rows(std::string_view section) {
  std::string rows;
  for (const ConfigKey& key : config_keys()) {
    if (section_of(key) != section) continue;
    rows += fmt::format("| `{}` | {} | `{}` | {} | {} | {} |\n", name_in_section(key),
                        type_name(key.type), default_of(key), format_bounds(key),
                        key.applies == Applies::live ? "live" : "restart", key.meaning);
  }
  return rows;
}

}  // namespace tandem
