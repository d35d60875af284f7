// Max-min fair division of one rate between many: who wants less than an equal part gets what it
// wants, the others divide the rest equally. Owns the arithmetic. Must not know shards or time.
#pragma once

#include <cstdint>
#include <span>

namespace tandem {

// share[i] of demand[i], in one unit; the shares add up to `total`. What nobody demands is spread
// equally on top, so that whoever was idle can start at once. Where all is demanded, one that
// demands nothing gets nothing: the caller raises a demand to what it wants to keep ready for it.
// There are as many shares as demands; it takes the square of that in steps at worst.
void fair_share(uint64_t total, std::span<const uint64_t> demand, std::span<uint64_t> share);

}  // namespace tandem
