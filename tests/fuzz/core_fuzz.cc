// A shard's whole policy, or two shards': the input says what clients, the network, the back end's
// completions, the clock and an operator do one after the other. What has to hold is in CoreWorld.
#include <algorithm>

#include "tests/fuzz/core_world.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem::fuzz {
namespace {

// The input's steps are short, so that a byte more or less changes one of them.
class Script {
 public:
  Script(const uint8_t* data, size_t size)
      : input_(data, size), world_(shape_of(input_.take<uint8_t>())) {}

  void run() {
    while (!input_.rest().empty()) step();
    world_.wind_down();
  }

 private:
  static CoreWorld::Shape shape_of(uint8_t bits) {
    return {.two_shards = (bits & 1) != 0,
            .proxied = (bits & 6) == 6,
            .transfers = (bits & 8) != 0,
            .settings = static_cast<uint8_t>(bits >> 4)};
  }

  [[nodiscard]] uint8_t byte() { return input_.take<uint8_t>(); }
  // Sizes are mostly small, and sometimes at a turn.
  [[nodiscard]] uint32_t size() {
    const uint8_t drawn = byte();
    return drawn < 224 ? drawn : 1u << (drawn % 21);
  }
  [[nodiscard]] TokenName name() {
    const uint8_t drawn = byte();
    const uint8_t kind = (drawn & 0x80) != 0 ? byte() : uint8_t{0};
    return {static_cast<uint8_t>((drawn >> 1) % kSessionIds), static_cast<uint8_t>(drawn & 1),
            kind};
  }
  [[nodiscard]] Bytes raw() {
    Bytes bytes(byte());
    for (uint8_t& each : bytes) each = byte();
    return bytes;
  }
  // One byte of what is said next is another: near the truth is where the mistakes are.
  template <class Text>
  Text smudged(Text text) {
    if (smudge_ != 0 && !text.empty()) {
      auto& changed = text[smudge_at_ % text.size()];
      changed = static_cast<std::remove_reference_t<decltype(changed)>>(changed ^ smudge_);
    }
    smudge_ = 0;
    return text;
  }

  void step() {
    const uint8_t op = byte();
    if (op < 0x40) return datagram(op % 8);
    if (op < 0x60) return greet(op % 8);
    if (op < 0xC0) return happen(op % 8);
    if (op < 0xE0) return time(op % 8);
    operate(op % 16);
  }

  void datagram(uint8_t op) {
    const uint8_t from = byte();
    switch (op) {
      case 0:
        return world_.send(from, smudged(world_.bind_of(from, name(), false)));
      case 1:
        return world_.send(from, smudged(world_.bind_of(from, name(), true)));
      case 2: {  // the whole way
        const TokenName as = name();
        world_.send(from, world_.bind_of(from, as, false));
        return world_.send(from, smudged(world_.bind_of(from, as, true)));
      }
      case 3:
        return world_.send(from, smudged(world_.data_of(from, size() % 2000)));
      case 4:
        return train(from);
      case 5:
        return world_.send(from, smudged(world_.ping_of(from, size() % 2000)));
      case 6:
        return world_.send(from, smudged(world_.close_of(from)));
      default: {
        const uint16_t segment = byte();
        const bool truncated = segment == 0xFF;
        return world_.send(from, smudged(raw()), truncated ? uint16_t{0} : segment, truncated);
      }
    }
  }

  // As the kernel joins them: of one size, but the last may be shorter.
  void train(uint8_t from) {
    const size_t payload = byte();
    const Bytes one = world_.data_of(from, payload);
    Bytes all;
    for (uint8_t count = byte() % 32; count != 0; --count)
      all.insert(all.end(), one.begin(), one.end());
    const uint8_t shorter = byte();
    all.resize(all.size() - std::min<size_t>(shorter % one.size(), all.size()));
    world_.send(from, smudged(all), static_cast<uint16_t>(one.size()));
  }

  void greet(uint8_t op) {
    const uint8_t who = byte();
    switch (op) {
      case 0:
        return world_.accept(who & 1, who >> 1);
      case 1: {  // the whole way
        world_.accept(who & 1, who >> 1);
        const TokenName as = name();
        world_.write(kLatest, smudged(world_.join_line(as, 0, false)));
        world_.happen(kLatest, CoreWorld::Happening::data, kJoinLineMax);
        return;
      }
      case 2:
      case 3: {
        const TokenName as = name();
        const uint8_t lane = byte();
        return world_.write(who, smudged(op == 2 ? world_.join_line(as, lane % 5, lane >= 0x80)
                                                 : world_.prove_line(as, lane % 5, lane >= 0x80)));
      }
      case 4:
        return world_.write(who, smudged(world_.proof_line(who)));
      case 5:
        return world_.write(who,
                            smudged(std::string("PROXY TCP4 192.0.2.9 203.0.113.1 4000 7777\r\n")));
      case 6: {
        const Bytes bytes = raw();
        return world_.write(who, std::string(bytes.begin(), bytes.end()));
      }
      default:
        return world_.fail_accept(who & 1, who >> 1);
    }
  }

  void happen(uint8_t what) {
    const uint8_t who = byte();
    world_.happen(who, CoreWorld::Happening{what}, size());
  }

  void time(uint8_t op) {
    const Nanos amount = byte();
    switch (op) {
      case 0:
      case 1:
        return world_.advance(amount * kNanosPerMillisecond);
      case 2:
      case 3:
        return world_.advance(amount * 20 * kNanosPerMillisecond);
      case 4:
        return world_.advance(amount * kNanosPerSecond);
      case 5:
        return world_.advance(amount * amount * kNanosPerSecond);
      case 6:  // the wall clock may go either way
        return world_.step_wall_clock((amount - 128) * 60);
      default:
        return world_.set_free_buffers(uint64_t{static_cast<uint8_t>(amount)} << 16);
    }
  }

  void operate(uint8_t op) {
    const uint8_t drawn = byte();
    const auto shard = static_cast<uint8_t>(drawn & 1);
    const uint8_t about = drawn >> 1;
    switch (op) {
      case 0:
        return world_.command(shard, KickSession{about & 1u, session_id(about >> 1)});
      case 1:
        return world_.command(shard, DescribeSession{1, session_id(about)});
      case 2:
        return world_.command(shard, ListSessions{1, about & 3u, about % 7u});
      case 3:
        return world_.command(shard, AddBlock{about & 1u, block_scope(endpoint(about >> 1).address),
                                              byte() * kNanosPerSecond, about >= 64});
      case 4: {
        const auto prefix = static_cast<uint8_t>(std::min(byte() % 129, 128));
        return world_.command(
            shard, AddBlock{1, {endpoint(about).address, prefix}, kNanosPerSecond, false});
      }
      case 5:
        return world_.command(shard, RemoveBlock{1, block_scope(endpoint(about).address)});
      case 6:
        return world_.command(shard, ListBlocks{1});
      case 7:
        return world_.command(shard, SetDrain{(about & 1) != 0});
      case 8:
        return world_.command(shard, SetGlobalShare{uint64_t{about} << about % 16});
      case 9:
        return world_.apply_settings(shard, about);
      case 10:
        return world_.fill_sibling_ring((about & 1) != 0);
      case 11:
        return world_.command(shard, StopShard{});
      default:
        smudge_at_ = byte();
        smudge_ = drawn;
    }
  }

  static constexpr uint8_t kLatest = CoreWorld::kLatest;

  Input input_;
  CoreWorld world_;
  uint8_t smudge_ = 0;
  size_t smudge_at_ = 0;
};

}  // namespace
}  // namespace tandem::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Script(data, size).run();
  return 0;
}
