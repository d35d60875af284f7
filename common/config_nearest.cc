#include <algorithm>
#include <vector>

#include "common/config_keys.h"

namespace tandem {
namespace {

// A variable's name has an underscore where a key has a point.
bool same_letter(char a, char b) {
  return a == b || (a == '.' && b == '_') || (a == '_' && b == '.');
}

// Levenshtein's distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// Longer than any name by more than could be a slip; also what bounds the work on hostile input.
constexpr std::size_t kNameMax = 64;

std::string_view first_word(std::string_view name) {
  return name.substr(0, name.find('.'));
}
std::string_view last_word(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

}  // namespace

std::string_view nearest_key(std::string_view name) {
  if (name.size() > kNameMax) return {};
  // The right key in the wrong section is the commonest slip of all: it costs as much as one
  // letter.
  constexpr std::size_t kLetter = 2 * kNameMax;
  std::string_view nearest;
  std::size_t least = (std::max<std::size_t>(2, name.size() / 4) + 1) * kLetter;
  for (const ConfigKey& key : config_keys()) {
    const std::size_t distance = edit_distance(name, key.name);
    const bool moved = last_word(key.name) == last_word(name);
    const std::size_t cost = (moved ? 1 : distance) * kLetter + distance;
    if (cost < least) {
      nearest = key.name;
      least = cost;
    }
  }
  return nearest;
}

std::string_view nearest_section(std::string_view name) {
  if (name.size() > kNameMax) return {};
  std::string_view nearest;
  std::size_t least = 3;
  for (const ConfigKey& key : config_keys()) {
    const std::string_view section = first_word(key.name);
    const std::size_t distance = edit_distance(name, section);
    if (distance < least) {
      nearest = section;
      least = distance;
    }
  }
  return nearest;
}

}  // namespace tandem
