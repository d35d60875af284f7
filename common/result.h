// Result<T, E>: a value or the reason why there is none. It is std::expected; write
// `return unexpected(reason)` without the std, so that the same source compiles where <expected> is
// empty.
//
// That is so for clang 14 (the fuzzers' compiler on Debian 12) with libstdc++ 12: the header asks
// for __cpp_concepts >= 202002, and forcing the macro does not help, since clang 14 lacks
// conditionally trivial destructors (P0848) and finds std::expected's deleted. There the part of
// the interface that this project uses stands on std::variant.
#pragma once

#include <expected>

#ifdef __cpp_lib_expected

namespace tandem {

template <class T, class E>
using Result = std::expected<T, E>;
using std::unexpected;

}  // namespace tandem

#else

#include <concepts>
#include <type_traits>
#include <utility>
#include <variant>

namespace tandem {

template <class E>
class unexpected {
 public:
  constexpr explicit unexpected(E error) : error_(std::move(error)) {}
  constexpr const E& error() const& { return error_; }
  constexpr E&& error() && { return std::move(error_); }

 private:
  E error_;
};

template <class U, class Value, class Result>
concept Initializes =
    std::constructible_from<Value, U> && !std::same_as<std::remove_cvref_t<U>, Result>;

template <class T, class E>
class Result {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  using value_type = T;
  using error_type = E;

  constexpr Result() = default;
  template <Initializes<Value, Result> U = Value>
  constexpr explicit(!std::convertible_to<U, Value>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  template <class G>
  requires std::constructible_from<E, G>
  constexpr Result(unexpected<G> failure)
      : state_(std::in_place_index<1>, std::move(failure).error()) {}

  constexpr bool has_value() const { return state_.index() == 0; }
  constexpr explicit operator bool() const { return has_value(); }

  constexpr Value& operator*() & { return *std::get_if<0>(&state_); }
  constexpr const Value& operator*() const& { return *std::get_if<0>(&state_); }
  constexpr Value&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  constexpr Value* operator->() { return std::get_if<0>(&state_); }
  constexpr const Value* operator->() const { return std::get_if<0>(&state_); }
  constexpr Value& value() & { return std::get<0>(state_); }
  constexpr const Value& value() const& { return std::get<0>(state_); }
  constexpr Value&& value() && { return std::get<0>(std::move(state_)); }
  constexpr E& error() & { return *std::get_if<1>(&state_); }
  constexpr const E& error() const& { return *std::get_if<1>(&state_); }
  constexpr E&& error() && { return std::move(*std::get_if<1>(&state_)); }
  template <class U>
  constexpr Value value_or(U&& fallback) const& {
    return has_value() ? **this : static_cast<Value>(std::forward<U>(fallback));
  }

  friend constexpr bool operator==(const Result& a, const Result& b) {
    return a.state_ == b.state_;
  }
  friend constexpr bool operator==(const Result& a, const Value& b) {
    return a.has_value() && *a == b;
  }

 private:
  std::variant<Value, E> state_;
};

}  // namespace tandem

#endif
