/* Sends numbered, hashed DATA datagrams on one bound socket and checks them on another.
 *
 * The sockets are inherited, already bound to a channel by the caller; this program knows the DATA
 * header and nothing else of the protocol. The sender keeps at most `window` bytes under way, so
 * what is lost is lost by the relay or by a socket's buffer, not by haste. One line of JSON comes
 * out. Content and length of a datagram follow from its number: the receiver makes both again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { header_size = 8, number_size = 8, hash_size = 8, payload_most = 65507 - header_size };

/* After so many waits of a millisecond without a datagram what is still under way counts as lost. A
 * gap tells of a loss at once, so only the end of a window waits. Waits, not time: a machine that
 * stands still lets both sides stand. */
enum { waits_most = 5000 };

struct options {
  int send_fd, recv_fd;
  struct sockaddr_storage relay;
  socklen_t relay_size;
  uint32_t shard_key, channel;
  uint64_t count, window, seed, size_least, size_most;
  double seconds_most;
};

struct outcome {
  uint64_t sent, received, lost, late, corrupt, foreign, bytes;
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* splitmix64, by its published constants. */
static uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static size_t size_of(const struct options *o, uint64_t number) {
  return o->size_least + mix(o->seed ^ number) % (o->size_most - o->size_least + 1);
}

/* FNV-1a over 8 bytes a step; the tail byte by byte. */
static uint64_t hash_of(const uint8_t *data, size_t size) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    hash = (hash ^ word) * 0x100000001B3u;
    hash ^= hash >> 29;
  }
  for (; size > 0; ++data, --size) hash = (hash ^ *data) * 0x100000001B3u;
  return hash;
}

/* Number and hash stand in front as far as they fit: the shortest are a few bytes of the number. */
static void fill(const struct options *o, uint64_t number, uint8_t *payload, size_t size) {
  uint64_t state = mix(o->seed * 31 + number);
  for (size_t at = 0; at < size; at += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    memcpy(payload + at, &state, size - at < 8 ? size - at : 8);
  }
  memcpy(payload, &number, size < number_size ? size : number_size);
  if (size >= number_size + hash_size) {
    uint64_t hash = hash_of(payload + number_size + hash_size, size - number_size - hash_size);
    hash = mix(hash ^ number);
    memcpy(payload + number_size, &hash, hash_size);
  }
}

static bool same(const struct options *o, uint64_t number, const uint8_t *payload, size_t size) {
  static uint8_t expected[payload_most];
  if (size != size_of(o, number)) return false;
  fill(o, number, expected, size);
  return memcmp(expected, payload, size) == 0;
}

/* Which number this datagram is; one that is too short to carry it is looked for among those
 * under way. o->count stands for none. */
static uint64_t number_of(const struct options *o, const struct outcome *r, uint64_t next,
                          const uint8_t *payload, size_t size) {
  uint64_t number = next;
  if (size >= number_size)
    memcpy(&number, payload, number_size);
  else
    while (number < r->sent && !same(o, number, payload, size)) ++number;
  return number < r->sent && same(o, number, payload, size) ? number : o->count;
}

static bool send_one(const struct options *o, uint64_t number, uint64_t *in_flight) {
  static uint8_t wire[header_size + payload_most];
  size_t size = size_of(o, number);
  uint32_t channel = htonl(o->channel);
  memset(wire, 0, header_size);
  wire[0] = 0x08;
  wire[1] = (uint8_t)o->shard_key;
  memcpy(wire + 4, &channel, 4);
  fill(o, number, wire + header_size, size);
  if (sendto(o->send_fd, wire, header_size + size, MSG_DONTWAIT,
             (const struct sockaddr *)&o->relay, o->relay_size) < 0) {
    if (errno == EAGAIN || errno == ENOBUFS) return false;
    perror("sendto");
    exit(2);
  }
  *in_flight += header_size + size;
  return true;
}

/* The receiver expects `*next`; what lies between it and what came is lost, and late if it comes
 * after all: out of order, or doubled. */
static bool receive_one(const struct options *o, struct outcome *r, uint64_t *next) {
  static uint8_t wire[65536];
  ssize_t got = recv(o->recv_fd, wire, sizeof wire, MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    perror("recv");
    exit(2);
  }
  uint32_t channel;
  if (got < header_size || wire[0] != 0x08 || wire[1] != (uint8_t)o->shard_key ||
      (memcpy(&channel, wire + 4, 4), ntohl(channel) != o->channel)) {
    ++r->foreign; /* BOUND, PONG: not ours to judge */
    return true;
  }
  const uint8_t *payload = wire + header_size;
  size_t size = (size_t)got - header_size;
  uint64_t number = number_of(o, r, *next, payload, size);
  ++r->received;
  if (number == o->count) {
    ++r->corrupt;
    return true;
  }
  if (number < *next) {
    ++r->late;
    return true;
  }
  r->lost += number - *next;
  *next = number + 1;
  r->bytes += size;
  return true;
}

static uint64_t bytes_between(const struct options *o, uint64_t from, uint64_t to) {
  uint64_t total = 0;
  for (; from < to; ++from) total += header_size + size_of(o, from);
  return total;
}

static void run(const struct options *o, struct outcome *r) {
  uint64_t next = 0, in_flight = 0;
  unsigned waits = 0;
  int64_t begin = now_ns();
  while (next < o->count && (double)(now_ns() - begin) < o->seconds_most * 1e9) {
    while (r->sent < o->count && in_flight < o->window && send_one(o, r->sent, &in_flight))
      ++r->sent;
    struct pollfd readable = {.fd = o->recv_fd, .events = POLLIN};
    poll(&readable, 1, 1);
    uint64_t before = next;
    while (receive_one(o, r, &next)) {
    }
    if (next != before) {
      in_flight -= bytes_between(o, before, next);
      waits = 0;
    } else if (in_flight > 0 && ++waits > waits_most) {
      r->lost += r->sent - next;
      next = r->sent;
      in_flight = 0;
      waits = 0;
    }
  }
  r->lost += r->sent - next;
  double seconds = (double)(now_ns() - begin) / 1e9;
  printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
         ", \"late\": %" PRIu64 ", \"corrupt\": %" PRIu64
         ", \"foreign\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f}\n",
         r->sent, r->received, r->lost, r->late, r->corrupt, r->foreign,
         r->bytes, seconds);
}

static bool parse_relay(struct options *o, const char *host, const char *port) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)&o->relay;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&o->relay;
  uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = number;
    o->relay_size = sizeof *v4;
    return true;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = number;
    o->relay_size = sizeof *v6;
    return true;
  }
  return false;
}

int main(int argc, char **argv) {
  if (argc != 13) {
    fprintf(stderr,
            "usage: udp_blast SEND_FD RECV_FD HOST PORT SHARD_KEY CHANNEL COUNT WINDOW_BYTES SEED "
            "SIZE_LEAST SIZE_MOST SECONDS_MOST\n");
    return 2;
  }
  struct options o = {.send_fd = atoi(argv[1]), .recv_fd = atoi(argv[2])};
  if (!parse_relay(&o, argv[3], argv[4])) return 2;
  o.shard_key = (uint32_t)strtoul(argv[5], NULL, 10);
  o.channel = (uint32_t)strtoul(argv[6], NULL, 10);
  o.count = strtoull(argv[7], NULL, 10);
  o.window = strtoull(argv[8], NULL, 10);
  o.seed = strtoull(argv[9], NULL, 10);
  o.size_least = strtoull(argv[10], NULL, 10);
  o.size_most = strtoull(argv[11], NULL, 10);
  o.seconds_most = strtod(argv[12], NULL);
  if (o.size_least < 1 || o.size_most < o.size_least || o.size_most > payload_most) return 2;
  struct outcome r = {0};
  run(&o, &r);
  return 0;
}
