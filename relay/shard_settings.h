// The configuration as shards go by it: seconds and megabits become nanoseconds and bytes.
#pragma once

#include "common/config.h"
#include "common/control.h"

namespace tandem {

[[nodiscard]] ShardSettings shard_settings_of(const Config& config, Keyring keys);

}  // namespace tandem
