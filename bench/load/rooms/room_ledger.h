// What has become of one room's messages: which copies are still to come, and whether every member
// had them once and all in one order. Pure; knows no socket and no clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tandem::bench {

class RoomLedger {
 public:
  static constexpr std::size_t kMembersMax = 64;

  // A message that is sent now to `members`, a bit each. Its number: 1, 2, 3 …
  std::uint64_t send(std::int64_t due_ns, std::uint64_t members);

  enum class Verdict : std::uint8_t {
    delivered,
    duplicated,
    reordered,  // another order than some member's, or a sequence that does not rise
    unknown,    // never sent
  };
  struct Delivery {
    Verdict verdict = Verdict::unknown;
    std::int64_t due_ns = 0;
  };
  // A copy came to `member`, < kMembersMax, with the server's `seq` for it. A reordered one is
  // delivered too.
  Delivery deliver(std::size_t member, std::uint64_t number, std::uint64_t seq);

  // The server's sequence begins anew: another room with the same members.
  void restart() { last_seq_ = {}; }
  // Copies that have not come.
  [[nodiscard]] std::size_t missing() const;
  [[nodiscard]] bool quiet() const { return under_way_.empty(); }
  // Gives up what is missing; how many copies that were.
  std::size_t give_up();

 private:
  struct Message {
    std::uint64_t number;
    std::int64_t due_ns;
    std::uint64_t members;  // to whom it has not come
    std::uint64_t seq;      // 0: nobody has it yet
  };
  std::vector<Message> under_way_;  // few, in the order of their numbers
  std::uint64_t sent_ = 0;
  std::array<std::uint64_t, kMembersMax> last_seq_{};
};

}  // namespace tandem::bench
