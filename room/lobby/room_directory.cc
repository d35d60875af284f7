#include "room/lobby/room_directory.h"

#include <algorithm>
#include <array>

#include "common/assert.h"
#include "room/text/json_write.h"

namespace tandem {
namespace {

// A set of filters as one text, the same for the same set: JSON strings keep the parts apart.
std::string name_of(const RoomFilter& filter) {
  std::string name;
  JsonObject object(name);
  if (filter.game_id) object.text("g", *filter.game_id);
  if (filter.region) object.text("r", *filter.region);
  if (filter.open) object.flag("o", *filter.open);
  if (filter.has_password) object.flag("p", *filter.has_password);
  if (!filter.text.empty()) object.text("t", filter.text);
  object.end();
  return name;
}

// The one game that all of them name, or nothing.
template <class Filters>
std::optional<std::string_view> one_game(const Filters& filters) {
  std::optional<std::string_view> game;
  for (const auto& each : filters) {
    const auto& named = each.filter.game_id;
    if (!named || (game && *game != *named)) return std::nullopt;
    game = *named;
  }
  return game;
}

enum class Change : std::uint8_t { add, update, remove };
constexpr std::array<std::string_view, 3> kChangeNames = {"add", "update", "remove"};

}  // namespace

RoomDirectory::RoomDirectory(const SipKey& hash_key)
    : by_game_(0, KeyedHash{hash_key}),
      groups_(0, KeyedHash{hash_key}),
      game_groups_(0, KeyedHash{hash_key}) {}

bool RoomDirectory::matches(const RoomListing& room, const RoomFilter& filter,
                            std::string_view folded_text) {
  if (filter.game_id && *filter.game_id != room.game_id) return false;
  if (filter.region && *filter.region != room.region) return false;
  if (filter.open && *filter.open != room.open) return false;
  if (filter.has_password && *filter.has_password != room.has_password) return false;
  return folded_text.empty() || room.folded_name.find(folded_text) != std::string::npos;
}

bool RoomDirectory::matches(const RoomListing* room, const Group& group) {
  return room != nullptr &&
         std::any_of(group.filters.begin(), group.filters.end(), [&](const FoldedFilter& each) {
           return matches(*room, each.filter, each.folded_text);
         });
}

void RoomDirectory::mark_dirty(std::uint64_t order, Entry& entry) {
  if (entry.dirty) return;
  entry.dirty = true;
  dirty_.push_back(order);
}

void RoomDirectory::index(std::uint64_t order, const RoomListing& listing) {
  all_[order] = &listing;
  by_game_[listing.game_id][order] = &listing;
}

void RoomDirectory::unindex(std::uint64_t order, const RoomListing& listing) {
  all_.erase(order);
  const auto game = by_game_.find(listing.game_id);
  TANDEM_CHECK(game != by_game_.end());
  game->second.erase(order);
  if (game->second.empty()) by_game_.erase(game);
}

void RoomDirectory::put(std::uint64_t order, RoomListing listing) {
  Entry& entry = entries_[order];
  if (entry.current) {
    TANDEM_CHECK(entry.current->game_id == listing.game_id);
  } else {
    ++listed_;
  }
  entry.current = std::make_shared<const RoomListing>(std::move(listing));
  index(order, *entry.current);
  mark_dirty(order, entry);
}

void RoomDirectory::remove(std::uint64_t order) {
  const auto found = entries_.find(order);
  if (found == entries_.end() || !found->second.current) return;
  unindex(order, *found->second.current);
  found->second.current = nullptr;
  --listed_;
  mark_dirty(order, found->second);
}

ListPage RoomDirectory::list(const ListRooms& request) const {
  ListPage page;
  const Index* rooms = &all_;
  if (request.filter.game_id) {
    const auto game = by_game_.find(*request.filter.game_id);
    if (game == by_game_.end()) return page;
    rooms = &game->second;
  }
  const std::string text = fold_case(request.filter.text);
  const std::size_t limit = std::min<std::size_t>(request.limit, kListLimitMax);
  std::size_t to_skip = request.offset;
  std::size_t to_scan = kScanMax;
  // The first one with a smaller order, as the index runs downwards.
  auto at = request.before ? rooms->upper_bound(*request.before) : rooms->begin();
  for (; at != rooms->end() && to_scan > 0 && page.rooms.size() < limit; ++at, --to_scan) {
    if (!matches(*at->second, request.filter, text)) continue;
    if (to_skip > 0) {
      --to_skip;
    } else {
      page.rooms.push_back(at->second->json);
    }
  }
  if (at != rooms->end() && at != rooms->begin()) page.next_before = std::prev(at)->first;
  return page;
}

std::vector<RoomDirectory::Group*>& RoomDirectory::bucket_of(const Group& group) {
  const auto game = one_game(group.filters);
  return game ? game_groups_[std::string(*game)] : general_;
}

RoomDirectory::Group& RoomDirectory::group_for(std::vector<RoomFilter> filters, bool by_default) {
  std::vector<std::pair<std::string, RoomFilter>> named;
  for (RoomFilter& filter : filters) {
    std::string name = name_of(filter);
    named.emplace_back(std::move(name), std::move(filter));
  }
  std::sort(named.begin(), named.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string name = by_default ? "default" : "";
  for (const auto& each : named) name += each.first;

  const auto [at, is_new] = groups_.try_emplace(name);
  if (is_new) {
    at->second = std::make_unique<Group>();
    Group& group = *at->second;
    group.name = name;
    group.by_default = by_default;
    for (auto& each : named) {
      std::string folded = fold_case(each.second.text);
      group.filters.push_back({.filter = std::move(each.second), .folded_text = std::move(folded)});
    }
    bucket_of(group).push_back(&group);
  }
  return *at->second;
}

void RoomDirectory::enter_group(ClientKey client, Group& group) {
  places_[client] = {.group = &group, .position = group.clients.size()};
  group.clients.push_back(client);
}

void RoomDirectory::leave_group(ClientKey client) {
  const auto place = places_.find(client);
  if (place == places_.end()) return;
  const auto [group, position] = place->second;
  places_.erase(place);
  const ClientKey last = group->clients.back();
  group->clients.pop_back();
  if (last != client) {
    group->clients[position] = last;
    places_[last].position = position;
  }
  if (!group->clients.empty()) return;
  std::vector<Group*>& bucket = bucket_of(*group);
  std::erase(bucket, group);
  if (const auto game = one_game(group->filters); game && bucket.empty())
    game_groups_.erase(std::string(*game));
  groups_.erase(std::string(group->name));
}

void RoomDirectory::follow_all(ClientKey client) {
  leave_group(client);
  enter_group(client, group_for({RoomFilter{}}, true));
}

RoomDirectory::Follow RoomDirectory::follow(ClientKey client, const RoomFilter& filter) {
  std::vector<RoomFilter> filters;
  if (const auto place = places_.find(client);
      place != places_.end() && !place->second.group->by_default)
    for (const FoldedFilter& each : place->second.group->filters) filters.push_back(each.filter);
  if (std::find(filters.begin(), filters.end(), filter) != filters.end()) return Follow::followed;
  if (filters.size() == kFiltersMax) return Follow::too_many;
  filters.push_back(filter);
  leave_group(client);
  enter_group(client, group_for(std::move(filters), false));
  return Follow::followed;
}

void RoomDirectory::unfollow(ClientKey client, const RoomFilter& filter) {
  std::vector<RoomFilter> filters;
  const auto place = places_.find(client);
  if (place == places_.end()) return;
  if (filter != RoomFilter{} && !place->second.group->by_default)
    for (const FoldedFilter& each : place->second.group->filters)
      if (each.filter != filter) filters.push_back(each.filter);
  leave_group(client);
  if (!filters.empty()) enter_group(client, group_for(std::move(filters), false));
}

void RoomDirectory::tell(const Entry& entry, Outcome& outcome) const {
  const RoomListing& any = entry.current ? *entry.current : *entry.announced;
  const auto in_game = game_groups_.find(any.game_id);
  const auto tell_as = [&](Change change) {
    const RoomListing* listing =
        change == Change::remove ? entry.announced.get() : entry.current.get();
    if (listing == nullptr) return;
    const auto tell_groups = [&](const std::vector<Group*>& groups) {
      for (const Group* group : groups) {
        const bool was = matches(entry.announced.get(), *group);
        const bool is = matches(entry.current.get(), *group);
        if (change == Change::add ? is && !was : change == Change::update ? is && was : was && !is)
          outcome.to(group->clients);
      }
    };
    tell_groups(general_);
    if (in_game != game_groups_.end()) tell_groups(in_game->second);
    JsonObject object(outcome.text());
    object.text("type", kChangeNames[static_cast<std::size_t>(change)])
        .json("room", *listing->json);
    object.end();
    outcome.end_event(RoomEventName::room_list_update);
  };
  tell_as(Change::add);
  tell_as(Change::update);
  tell_as(Change::remove);
}

std::size_t RoomDirectory::take_changes(std::size_t rooms_max, Outcome& outcome) {
  const std::size_t count = std::min(rooms_max, dirty_.size());
  for (std::size_t at = 0; at < count; ++at) {
    const auto found = entries_.find(dirty_[at]);
    TANDEM_CHECK(found != entries_.end());
    Entry& entry = found->second;
    entry.dirty = false;
    if (entry.announced || entry.current) tell(entry, outcome);
    entry.announced = entry.current;
    if (!entry.current) entries_.erase(found);
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

}  // namespace tandem
