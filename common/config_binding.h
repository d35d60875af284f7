// How a key of the configuration reads and writes its member: derived from the member's type.
// Internal to config_keys.cc, whose table is made of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/config_keys.h"

namespace tandem {

template <class T>
inline constexpr bool kIsEnum = std::is_enum_v<T>;

// The names of an enum's values, in the order of its enumerators.
template <class Enum>
inline constexpr auto kChoices = std::array<std::string_view, 0>{};
template <>
inline constexpr auto kChoices<EngineBackend> = std::to_array<std::string_view>({"uring", "dpdk"});
template <>
inline constexpr auto kChoices<Submission> = std::to_array<std::string_view>({"auto", "sqpoll",
                                                                              "defer"});
template <>
inline constexpr auto kChoices<ZeroCopy> = std::to_array<std::string_view>({"auto", "splice",
                                                                            "send_zc", "off"});
template <>
inline constexpr auto kChoices<HugePages> = std::to_array<std::string_view>({"auto", "on", "off"});
template <>
inline constexpr auto kChoices<StorageDriver> =
    std::to_array<std::string_view>({"sqlite", "postgres", "none"});
template <>
inline constexpr auto kChoices<LogLevel> = std::to_array<std::string_view>({"debug", "info", "warn",
                                                                            "error", "fatal"});
template <>
inline constexpr auto kChoices<LogFormat> = std::to_array<std::string_view>({"json", "text"});

// A member's type decides how its key reads; 64-bit members are sizes, there is no other need for
// them.
template <class T>
constexpr KeyType type_of() {
  if constexpr (std::is_same_v<T, bool>) return KeyType::boolean;
  if constexpr (std::is_same_v<T, std::uint64_t>) return KeyType::size;
  if constexpr (std::is_floating_point_v<T>) return KeyType::decimal;
  if constexpr (kIsEnum<T>) return KeyType::choice;
  if constexpr (std::is_same_v<T, std::string>) return KeyType::text;
  if constexpr (std::is_same_v<T, SecretText>) return KeyType::secret;
  if constexpr (std::is_same_v<T, IpAddress>) return KeyType::address;
  if constexpr (std::is_same_v<T, std::vector<IpAddress>>) return KeyType::addresses;
  if constexpr (std::is_same_v<T, std::vector<Network>>) return KeyType::networks;
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return KeyType::texts;
  return KeyType::integer;
}

template <class T>
KeyValue value_of(const T& member) {
  constexpr KeyType kType = type_of<T>();
  if constexpr (kType == KeyType::boolean || kType == KeyType::decimal || kType == KeyType::text ||
                kType == KeyType::texts) {
    return member;
  } else if constexpr (kType == KeyType::integer || kType == KeyType::size) {
    return static_cast<std::int64_t>(member);
  } else if constexpr (kType == KeyType::secret) {
    return member.value;
  } else if constexpr (kType == KeyType::choice) {
    return std::string(kChoices<T>[static_cast<std::size_t>(member)]);
  } else if constexpr (kType == KeyType::address) {
    return to_string(member);
  } else {
    std::vector<std::string> texts;
    for (const auto& element : member) texts.push_back(to_string(element));
    return texts;
  }
}

template <class T>
void assign(T& member, const KeyValue& value) {
  constexpr KeyType kType = type_of<T>();
  if constexpr (kType == KeyType::boolean || kType == KeyType::decimal || kType == KeyType::text ||
                kType == KeyType::texts) {
    member = std::get<T>(value);
  } else if constexpr (kType == KeyType::integer || kType == KeyType::size) {
    member = static_cast<T>(std::get<std::int64_t>(value));
  } else if constexpr (kType == KeyType::secret) {
    member.value = std::get<std::string>(value);
  } else if constexpr (kType == KeyType::choice) {
    const auto& choices = kChoices<T>;
    const auto at = std::find(choices.begin(), choices.end(), std::get<std::string>(value));
    member = static_cast<T>(at - choices.begin());
  } else if constexpr (kType == KeyType::address) {
    member = *IpAddress::parse(std::get<std::string>(value));
  } else {
    member.clear();
    for (const auto& text : std::get<std::vector<std::string>>(value)) {
      member.push_back(*T::value_type::parse(text));
    }
  }
}

// `At` is a lambda from a Config to the member, so name and member come from one token in the
// table.
template <class At>
constexpr ConfigKey make_key(std::string_view name, At, KeyBounds bounds, Applies applies,
                             std::string_view meaning) {
  using Member = std::remove_reference_t<std::invoke_result_t<At, Config&>>;
  std::span<const std::string_view> choices;
  if constexpr (kIsEnum<Member>) choices = kChoices<Member>;
  return {
      .name = name,
      .type = type_of<Member>(),
      .bounds = bounds,
      .applies = applies,
      .meaning = meaning,
      .choices = choices,
      .get = [](const Config& config) { return value_of<Member>(At{}(config)); },
      .set = [](Config& config, const KeyValue& value) { assign<Member>(At{}(config), value); }};
}

}  // namespace tandem
