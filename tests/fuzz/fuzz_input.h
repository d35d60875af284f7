// Takes a fuzz target's input apart: values from its front, bytes from what is left. Past the end,
// everything is 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace tandem::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  template <class Value>
  [[nodiscard]] Value take() {
    static_assert(std::is_trivially_copyable_v<Value>);
    Value value{};
    const size_t size = std::min(sizeof value, left_.size());
    if (size != 0) std::memcpy(&value, left_.data(), size);
    left_ = left_.subspan(size);
    return value;
  }
  [[nodiscard]] std::span<const uint8_t> rest() const { return left_; }

 private:
  std::span<const uint8_t> left_;
};

}  // namespace tandem::fuzz
