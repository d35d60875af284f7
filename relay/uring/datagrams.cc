#include "relay/uring/datagrams.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "common/assert.h"
#include "common/limits.h"
#include "relay/uring/address.h"

namespace tandem::uring {
namespace {

constexpr uint16_t kBufferGroup = 1;
constexpr uint32_t kRingEntriesMax = 512;
constexpr uint32_t kReplySlots = 1024;
constexpr uint32_t kTrainSlots = 1024;

// What UDP_SEGMENT takes: UDP_MAX_SEGMENTS was 64 before 6.9, and one IP packet for the whole.
constexpr uint32_t kSegmentsMax = 64;
constexpr uint32_t kTrainBytesMax = 65507;

// A receive buffer: what the kernel says of the datagram, its source, what else it says (UDP_GRO
// and PKTINFO), the payload. The payload starts in the second cache line, behind the control
// messages.
constexpr uint32_t kNameBytes = 32;
constexpr uint32_t kControlBytes = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo));
constexpr uint32_t kControlAt = sizeof(io_uring_recvmsg_out) + kNameBytes;
constexpr uint32_t kPayloadAt = kControlAt + kControlBytes;
constexpr uint32_t kBufferBytes = kPayloadAt + kDatagramMax;
static_assert(sizeof(sockaddr_in6) <= kNameBytes && kPayloadAt == 112);

// An odd number of cache lines: with whole pages every buffer's first lines would fall into the
// same few sets of the cache.
constexpr size_t kBufferStride = ((kBufferBytes + 63) / 64 | 1) * 64;

// At most half of the buffers: the others are held by sends, or adopted.
uint32_t ring_entries(const UringOptions& options) {
  return std::min(kRingEntriesMax, std::bit_floor(std::max(4u, options.datagram_buffers)) / 2);
}

std::vector<uint32_t> all_slots(uint32_t count) {
  std::vector<uint32_t> slots(count);
  for (uint32_t i = 0; i < count; ++i) slots[i] = count - 1 - i;
  return slots;
}

struct ControlInfo {
  uint16_t segment_size = 0;
  IpAddress address;
};

// The messages lie as the kernel wrote them: in its own layout, at any alignment.
ControlInfo read_control(const uint8_t* control, size_t bytes) {
  ControlInfo info;
  cmsghdr header;
  while (bytes >= sizeof header) {
    std::memcpy(&header, control, sizeof header);
    if (header.cmsg_len < sizeof header || header.cmsg_len > bytes) break;
    const uint8_t* data = control + CMSG_LEN(0);
    if (header.cmsg_level == SOL_UDP && header.cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, data, sizeof size);
      info.segment_size = static_cast<uint16_t>(size);
    } else if (header.cmsg_level == SOL_IP && header.cmsg_type == IP_PKTINFO) {
      in_pktinfo packet;
      std::memcpy(&packet, data, sizeof packet);
      info.address = address_of(packet.ipi_spec_dst);
    } else if (header.cmsg_level == SOL_IPV6 && header.cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo packet;
      std::memcpy(&packet, data, sizeof packet);
      info.address = address_of(packet.ipi6_addr);
    }
    const size_t step = std::min<size_t>(CMSG_ALIGN(header.cmsg_len), bytes);
    control += step;
    bytes -= step;
  }
  return info;
}

template <class Value>
size_t put_control(uint8_t* at, int level, int type, const Value& value) {
  const cmsghdr header{CMSG_LEN(sizeof value), level, type};
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
  return CMSG_SPACE(sizeof value);
}

size_t put_source(uint8_t* at, const IpAddress& address, bool v6) {
  if (v6) {
    in6_pktinfo packet{};
    std::memcpy(&packet.ipi6_addr, address.bytes.data(), 16);
    return put_control(at, SOL_IPV6, IPV6_PKTINFO, packet);
  }
  in_pktinfo packet{};
  std::memcpy(&packet.ipi_spec_dst, &address.bytes[12], 4);
  return put_control(at, SOL_IP, IP_PKTINFO, packet);
}

}  // namespace

Datagrams::Datagrams(Ring& ring, const ShardSockets& sockets, const UringOptions& options,
                     UringCounters& counters)
    : ring_(ring),
      counters_(counters),
      pool_(std::min(options.datagram_buffers, uint32_t{UINT16_MAX}), kBufferStride,
            options.hugepages),
      provided_(ring, kBufferGroup, ring_entries(options), pool_, kBufferBytes),
      receivers_(sockets.size()),
      batch_max_(options.datagrams_per_turn),
      // A send with MSG_DONTWAIT is done or has failed when io_uring_enter() returns, and UDP has
      // copied the payload: so without a poller no completion is needed to know that the buffer is
      // free. The poller runs beside us, there each send says that it is done.
      silent_success_(!ring.sqpoll()),
      trains_(kTrainSlots),
      free_trains_(all_slots(kTrainSlots)),
      replies_(kReplySlots),
      free_replies_(all_slots(kReplySlots)) {
  batch_.reserve(batch_max_);
  consumed_by_submit_.reserve(options.ring_entries);
  std::vector<int> files;
  for (size_t i = 0; i < sockets.size(); ++i) {
    Receiver& receiver = receivers_[i];
    receiver.socket = &sockets[i];
    receiver.v6 = !sockets[i].address.is_v4();
    receiver.layout.msg_namelen = kNameBytes;
    receiver.layout.msg_controllen = kControlBytes;
    files.push_back(sockets[i].udp.get());  // -1 where there is none: an empty slot
  }
  registered_ = options.registered_files && ring_.apply(IORING_REGISTER_FILES, files.data(),
                                                        static_cast<unsigned>(files.size())) == 0;
}

// A registered socket saves the reference that each operation takes on a descriptor.
void Datagrams::set_socket(io_uring_sqe& sqe, uint32_t index) const {
  if (registered_) {
    sqe.fd = static_cast<int>(index);
    sqe.flags |= IOSQE_FIXED_FILE;
  } else {
    sqe.fd = receivers_[index].socket->udp.get();
  }
}

void Datagrams::begin_turn() {
  batch_.clear();
  provided_.refill();
  for (uint32_t i = 0; i < receivers_.size(); ++i) {
    Receiver& receiver = receivers_[i];
    if (receiver.armed || !receiver.socket->udp.open()) continue;
    // A re-arm for each buffer that comes back would be an operation a datagram.
    if (receiver.starved && !provided_.half_full()) continue;
    arm(receiver, i);
  }
}

void Datagrams::arm(Receiver& receiver, uint32_t index) {
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_RECVMSG;
  set_socket(sqe, index);
  sqe.addr = reinterpret_cast<uint64_t>(&receiver.layout);
  sqe.len = 1;
  sqe.ioprio = IORING_RECV_MULTISHOT;
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = provided_.group();
  sqe.user_data = Op::pack(OpKind::datagram_receive, index);
  receiver.armed = true;
  receiver.starved = false;
}

void Datagrams::submitted() {
  if (!ring_.all_consumed()) return;
  for (const BufferId buffer : consumed_by_submit_) pool_.drop(buffer);
  consumed_by_submit_.clear();
}

void Datagrams::complete(const Op& op, const io_uring_cqe& cqe) {
  if (op.kind == OpKind::datagram_receive) return on_received(op.index, cqe);
  if (op.kind == OpKind::train_send) return on_train_sent(op.index, cqe.res);
  if (cqe.res < 0) count_unsent(-cqe.res, 1);
  if (op.kind == OpKind::reply_send)
    free_replies_.push_back(op.index);
  else if (!silent_success_)
    pool_.drop(op.index);
}

void Datagrams::on_received(uint32_t index, const io_uring_cqe& cqe) {
  Receiver& receiver = receivers_[index];
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
    receiver.armed = false;
    receiver.starved = cqe.res == -ENOBUFS;
    (receiver.starved ? counters_.receive_ring_empty : counters_.receive_rearms).add();
  }
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
  const BufferId buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  provided_.take(buffer, 0, [](BufferId, uint32_t) {});
  parse(receiver, static_cast<uint16_t>(index), buffer,
        static_cast<uint32_t>(std::max(cqe.res, 0)));
}

void Datagrams::parse(const Receiver& receiver, uint16_t index, BufferId buffer, uint32_t bytes) {
  uint8_t* data = pool_.data(buffer);
  io_uring_recvmsg_out out;
  if (bytes < kPayloadAt) {
    pool_.drop(buffer);
    return;
  }
  std::memcpy(&out, data, sizeof out);
  Datagram& datagram = batch_.emplace_back();
  if (receiver.v6) {
    sockaddr_in6 name;
    std::memcpy(&name, data + sizeof out, sizeof name);
    datagram.source = to_endpoint(name);
  } else {
    sockaddr_in name;
    std::memcpy(&name, data + sizeof out, sizeof name);
    datagram.source = to_endpoint(name);
  }
  const ControlInfo info =
      read_control(data + kControlAt, std::min<size_t>(out.controllen, kControlBytes));
  datagram.local.address = receiver.socket->wildcard ? info.address : receiver.socket->address;
  datagram.local.socket = index;
  datagram.data = data + kPayloadAt;
  datagram.length = bytes - kPayloadAt;
  datagram.truncated = (out.flags & MSG_TRUNC) != 0;
  datagram.buffer = buffer;
  const bool train = info.segment_size != 0 && info.segment_size < datagram.length;
  datagram.segment_size = train ? info.segment_size : static_cast<uint16_t>(datagram.length);
  if (train) counters_.trains_received.count(datagram.segments());
}

// Everything but user_data and flags. SEND with an address is the cheapest, since the kernel has no
// msghdr to fetch, but it carries no control messages.
io_uring_sqe& Datagrams::prepare(const Endpoint& to, const LocalAddress& from, const uint8_t* data,
                                 uint32_t bytes, uint16_t segment) {
  const Receiver& receiver = receivers_[from.socket];
  io_uring_sqe& sqe = ring_.next_sqe();
  Message& message = ring_.message_of(sqe);
  socklen_t name_bytes = sizeof message.name4;
  if (receiver.v6) {
    to_sockaddr(to, message.name6);
    name_bytes = sizeof message.name6;
  } else {
    to_sockaddr(to, message.name4);
  }
  set_socket(sqe, from.socket);
  sqe.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (segment == 0 && !receiver.socket->wildcard) {
    sqe.opcode = IORING_OP_SEND;
    sqe.addr = reinterpret_cast<uint64_t>(data);
    sqe.len = bytes;
    sqe.addr2 = reinterpret_cast<uint64_t>(&message.name4);
    sqe.addr_len = static_cast<uint16_t>(name_bytes);
    return sqe;
  }
  size_t control = 0;
  if (segment != 0) control += put_control(message.control, SOL_UDP, UDP_SEGMENT, segment);
  if (receiver.socket->wildcard)
    control += put_source(message.control + control, from.address, receiver.v6);
  message.parts[0] = {const_cast<uint8_t*>(data), bytes};
  message.header = {&message.name4, name_bytes, message.parts, 1, message.control, control, 0};
  sqe.opcode = IORING_OP_SENDMSG;
  sqe.addr = reinterpret_cast<uint64_t>(&message.header);
  sqe.len = 1;
  return sqe;
}

void Datagrams::forward(const OutgoingDatagram& datagram) {
  if (datagram.segment_size == 0 || datagram.length <= datagram.segment_size)
    return send_one(datagram);
  const uint32_t segments = std::min(kSegmentsMax, kTrainBytesMax / datagram.segment_size);
  if (segments <= 1) {
    OutgoingDatagram part = datagram;
    for (uint32_t at = 0; at < datagram.length; at += datagram.segment_size) {
      part.data = datagram.data + at;
      part.length = std::min<uint32_t>(datagram.segment_size, datagram.length - at);
      send_one(part);
    }
    return;
  }
  const uint32_t step = segments * datagram.segment_size;
  OutgoingDatagram part = datagram;
  for (uint32_t at = 0; at < datagram.length; at += step) {
    part.data = datagram.data + at;
    part.length = std::min(step, datagram.length - at);
    part.length <= datagram.segment_size ? send_one(part) : send_train(part);
  }
}

void Datagrams::send_one(const OutgoingDatagram& datagram) {
  pool_.hold(datagram.buffer);
  io_uring_sqe& sqe =
      prepare(datagram.destination, datagram.source, datagram.data, datagram.length, 0);
  sqe.user_data = Op::pack(OpKind::datagram_send, datagram.buffer);
  if (!silent_success_) return;
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  consumed_by_submit_.push_back(datagram.buffer);
  if (consumed_by_submit_.size() < consumed_by_submit_.capacity()) return;
  ring_.enter(Ring::Wait::none);
  submitted();
}

void Datagrams::send_train(const OutgoingDatagram& datagram) {
  if (free_trains_.empty()) {
    counters_.unsent_no_slots.add(datagram.length / datagram.segment_size);
    return;
  }
  const uint32_t slot = free_trains_.back();
  free_trains_.pop_back();
  trains_[slot] = datagram;
  pool_.hold(datagram.buffer);
  io_uring_sqe& sqe = prepare(datagram.destination, datagram.source, datagram.data, datagram.length,
                              datagram.segment_size);
  sqe.user_data = Op::pack(OpKind::train_send, slot);
}

// A route whose device takes no GSO (EIO), and a segment larger than its MTU (EINVAL, EMSGSIZE), do
// not take a train; of single datagrams each goes or fails by itself.
void Datagrams::on_train_sent(uint32_t slot, int result) {
  const OutgoingDatagram train = trains_[slot];
  const uint32_t packets = (train.length + train.segment_size - 1u) / train.segment_size;
  free_trains_.push_back(slot);
  if (result == -EIO || result == -EINVAL || result == -EMSGSIZE) {
    counters_.trains_split.add();
    OutgoingDatagram part = train;
    for (uint32_t at = 0; at < train.length; at += train.segment_size) {
      part.data = train.data + at;
      part.length = std::min<uint32_t>(train.segment_size, train.length - at);
      send_one(part);
    }
  } else if (result < 0) {
    count_unsent(-result, packets);
  } else {
    counters_.trains_sent.count(packets);
  }
  pool_.drop(train.buffer);
}

bool Datagrams::reply(const Reply& reply) {
  if (free_replies_.empty()) {
    counters_.unsent_no_slots.add();
    return false;
  }
  const uint32_t slot = free_replies_.back();
  free_replies_.pop_back();
  std::memcpy(replies_[slot].data(), reply.bytes, reply.length);
  prepare(reply.destination, reply.source, replies_[slot].data(), reply.length, 0).user_data =
      Op::pack(OpKind::reply_send, slot);
  return true;
}

std::optional<Datagram> Datagrams::adopt(const Endpoint& source, const LocalAddress& local,
                                         std::span<const uint8_t> bytes) {
  TANDEM_CHECK(bytes.size() <= kDatagramMax);
  const BufferId buffer = pool_.take();
  if (buffer == kNoBuffer) return std::nullopt;
  Datagram datagram{.source = source,
                    .local = local,
                    .data = pool_.data(buffer) + kPayloadAt,
                    .length = static_cast<uint32_t>(bytes.size()),
                    .segment_size = static_cast<uint16_t>(bytes.size()),
                    .buffer = buffer};
  std::memcpy(datagram.data, bytes.data(), bytes.size());
  return datagram;
}

void Datagrams::count_unsent(int error, uint32_t packets) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      counters_.unsent_socket_full.add(packets);
      break;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNREFUSED:
    case ENETDOWN:
    case EACCES:
    case EPERM:
      counters_.unsent_unreachable.add(packets);
      break;
    case EMSGSIZE:
      counters_.unsent_too_big.add(packets);
      break;
    default:
      counters_.unsent_other.add(packets);
  }
}

uint64_t Datagrams::kernel_drops() const {
  uint64_t drops = 0;
  for (const Receiver& receiver : receivers_) {
    uint32_t info[SK_MEMINFO_VARS] = {};
    socklen_t bytes = sizeof info;
    if (receiver.socket->udp.open() &&
        ::getsockopt(receiver.socket->udp.get(), SOL_SOCKET, SO_MEMINFO, info, &bytes) == 0)
      drops += info[SK_MEMINFO_DROPS];
  }
  return drops;
}

}  // namespace tandem::uring
