// The shard's own addresses that clients have reached, numbered, so that a binding holds two bytes
// instead of eighteen. Bounded: a box that answers on more addresses than this (AnyIP) refuses
// bindings on the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/datagram.h"

namespace tandem {

class LocalAddresses {
 public:
  static constexpr size_t kMax = 4096;

  LocalAddresses() { addresses_.reserve(kMax); }

  // A linear search: it runs once a binding, and a host has a handful of addresses.
  [[nodiscard]] std::optional<uint16_t> number_of(const LocalAddress& address) {
    for (size_t i = 0; i < addresses_.size(); ++i) {
      if (addresses_[i] == address) return static_cast<uint16_t>(i);
    }
    if (addresses_.size() == kMax) return std::nullopt;
    addresses_.push_back(address);
    return static_cast<uint16_t>(addresses_.size() - 1);
  }
  [[nodiscard]] const LocalAddress& operator[](uint16_t number) const { return addresses_[number]; }

 private:
  std::vector<LocalAddress> addresses_;
};

}  // namespace tandem
