// What the kernel speaks and liburing 2.3 (Debian 12) does not yet name, each with the version that
// brought it. Constants only; names of our own, since newer headers define theirs as macros.
// Nothing here is used before a probe has tried it (probe.h).
#pragma once

#include <cstdint>

namespace tandem::uring::abi {

// io_uring_setup(2) flags.
inline constexpr uint32_t kSetupNoSqarray = 1u << 16;  // 6.6

// sqe->ioprio of receives and sends.
inline constexpr uint16_t kSendZcReportUsage = 1u << 3;  // 6.2
inline constexpr uint16_t kRecvsendBundle = 1u << 4;     // 6.10

// cqe->res of a SEND_ZC notification that was asked to report: the kernel copied after all. 6.2
inline constexpr uint32_t kNotifUsageZcCopied = 1u << 31;

// A multishot receive that ends by itself: sqe->len bounds one receive, sqe->optlen all of them
// together (6.17). optlen lies where splice_fd_in and file_index do, and is EINVAL before.

}  // namespace tandem::uring::abi
