// A hash of texts for std::unordered_map under a secret key: what strangers can choose (a client's
// id, a game's) must not choose its bucket. Looks up by view, without a copy.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/siphash.h"

namespace tandem {

struct KeyedHash {
  using is_transparent = void;
  SipKey key{};
  std::size_t operator()(std::string_view text) const {
    return siphash13(key, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
};

template <class Value>
using TextMap = std::unordered_map<std::string, Value, KeyedHash, std::equal_to<>>;

}  // namespace tandem
