// The rooms that are listed: pages of them by filter, who follows which filter, and what changed
// since they were told last. Knows a room's listing and its JSON, and no members, no passwords, no
// sockets. Pure and without time.
//
// A list is ordered by creation, the newest first, so that a cursor (the order of the last room
// shown) skips and repeats nothing while rooms come and go. Looking through stops after kScanMax
// rooms a call: a page may then hold fewer than asked for and still have a cursor.
//
// A client that follows several filters follows their union. Clients with the same set of filters
// share one group, so a change is held against each set once, however many follow it, and sets that
// name one game are looked at for rooms of that game only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/siphash.h"
#include "room/lobby/keyed_hash.h"
#include "room/lobby/room_outcome.h"
#include "room/lobby/room_request.h"
#include "room/lobby/room_types.h"

namespace tandem {

using SharedJson = std::shared_ptr<const std::string>;

struct RoomListing {
  std::string game_id;  // the same for as long as the room lives
  std::string region;
  std::string folded_name;  // fold_case() of it
  bool open = false;
  bool has_password = false;
  SharedJson json;  // the room as everyone sees it
};

struct ListPage {
  std::vector<SharedJson> rooms;
  std::optional<std::uint64_t> next_before;  // nothing: there are no more
};

// Lower case for ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic; the rest as it is.
[[nodiscard]] std::string fold_case(std::string_view text);

class RoomDirectory {
 public:
  static constexpr std::size_t kScanMax = 8192;
  static constexpr std::size_t kFiltersMax = 8;  // a client

  explicit RoomDirectory(const SipKey& hash_key);

  // `order` is the room's own, larger for each room made. Told to followers with the next
  // take_changes(); a room that came and went in between is never told.
  void put(std::uint64_t order, RoomListing listing);
  // Also where it was never listed.
  void remove(std::uint64_t order);
  [[nodiscard]] std::size_t size() const { return listed_; }

  [[nodiscard]] ListPage list(const ListRooms& request) const;

  // Every room; what a client that asked for nothing gets where the configuration says so.
  void follow_all(ClientKey client);
  enum class Follow : std::uint8_t { followed, too_many };
  // Behind what it follows already; the first one replaces follow_all().
  [[nodiscard]] Follow follow(ClientKey client, const RoomFilter& filter);
  // An empty filter: everything.
  void unfollow(ClientKey client, const RoomFilter& filter);
  void forget(ClientKey client) { leave_group(client); }
  [[nodiscard]] std::size_t followers() const { return places_.size(); }
  [[nodiscard]] std::size_t groups() const { return groups_.size(); }

  [[nodiscard]] bool has_changes() const { return !dirty_.empty(); }
  // room:list:update events of at most `rooms_max` rooms, the longest waiting first, each coalesced
  // to what is so now; returns of how many.
  std::size_t take_changes(std::size_t rooms_max, Outcome& outcome);

 private:
  using SharedListing = std::shared_ptr<const RoomListing>;
  struct Entry {
    SharedListing announced;  // what followers know
    SharedListing current;    // null: it is listed no more
    bool dirty = false;
  };
  struct FoldedFilter {
    RoomFilter filter;
    std::string folded_text;
  };
  struct Group {
    std::string name;  // its filters as one text, sorted
    std::vector<FoldedFilter> filters;
    std::vector<ClientKey> clients;
    bool by_default = false;  // follow_all()'s
  };
  struct Place {
    Group* group = nullptr;
    std::size_t position = 0;
  };
  // The newest first.
  using Index = std::map<std::uint64_t, RoomListing const*, std::greater<>>;

  static bool matches(const RoomListing& room, const RoomFilter& filter,
                      std::string_view folded_text);
  static bool matches(const RoomListing* room, const Group& group);
  void mark_dirty(std::uint64_t order, Entry& entry);
  void index(std::uint64_t order, const RoomListing& listing);
  void unindex(std::uint64_t order, const RoomListing& listing);
  Group& group_for(std::vector<RoomFilter> filters, bool by_default);
  void enter_group(ClientKey client, Group& group);
  void leave_group(ClientKey client);
  std::vector<Group*>& bucket_of(const Group& group);
  void tell(const Entry& entry, Outcome& outcome) const;

  std::unordered_map<std::uint64_t, Entry> entries_;
  Index all_;
  TextMap<Index> by_game_;
  std::size_t listed_ = 0;
  std::vector<std::uint64_t> dirty_;  // orders; the front part is taken first
  TextMap<std::unique_ptr<Group>> groups_;
  std::vector<Group*> general_;  // groups whose filters do not all name one game
  TextMap<std::vector<Group*>> game_groups_;
  std::unordered_map<ClientKey, Place> places_;
};

}  // namespace tandem
