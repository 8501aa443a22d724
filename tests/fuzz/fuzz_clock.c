/* The clock threads on a hostile network, with both ends in one thread and the system's functions replaced.
 *
 * The input is a list of steps. A step happens when the pinger waits for a datagram: time passes, or an
 * answer of the real responder arrives, changed or not, or any bytes, or an error of the system. The times in
 * answers are those of a hostile host, which knows the key. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "fuzz.h"
#include "pl_udp.h"

enum {
    PINGER_FD = 1001,
    RESPONDER_FD,
    STOP_FD,
    PEER_ID = 3,
    PACKET_BYTES = 256,
    PINGS = 64,
    MAX_WAITS = 4000,
    MAC_BYTES = 8
};

static const int64_t REAL_TIME_NS = INT64_C(1700000000000000000);
static const pl_siphash_key KEY = {{1, 2, 3}};
static const uint8_t PEER_ADDRESS[4] = {10, 0, 0, 2}, HOST_ADDRESS[4] = {10, 0, 0, 1};

typedef struct {
    uint8_t bytes[PACKET_BYTES];
    size_t size;
    int64_t age_ns;     /* of the kernel's time stamp when it is received */
    uint8_t address[4]; /* of the sender */
} packet;

/* One end, as the replaced functions see it. */
typedef struct {
    packet inbox;
    bool has_packet;
    int error; /* of the next read; 0 for none */
} endpoint;

static struct {
    bool runs; /* the system's functions are replaced now */
    fuzz_input input;
    int64_t now_ns, host_ahead_ns;
    bool at_host; /* the host's code runs */
    int waits;
    endpoint pinger_end, responder_end;
    packet pings[PINGS], answer;
    int ping_count;
    bool answered;
    pl_pinger pinger;
    pl_responder responder;
    pl_clock_map map, host_map;
} w;

/* ---- the steps ---- */

/* Change some bytes of a packet, or its size. Sometimes its sender knows the key. */
static void change(packet *p) {
    for (int changes = (int)fuzz_below(&w.input, 4); changes > 0; changes--) {
        size_t at = fuzz_below(&w.input, PACKET_BYTES);
        p->bytes[at % (p->size ? p->size : 1)] ^= (uint8_t)fuzz_number(&w.input, 1);
    }
    if (fuzz_below(&w.input, 16) == 15) p->size = fuzz_below(&w.input, PACKET_BYTES + 1);
    if (p->size < MAC_BYTES || fuzz_below(&w.input, 2)) return;
    size_t hashed = p->size - MAC_BYTES;
    uint64_t mac = pl_siphash(&KEY, p->bytes, hashed);
    for (int i = 0; i < MAC_BYTES; i++) p->bytes[hashed + (size_t)i] = (uint8_t)(mac >> (8 * i));
}

/* Let the responder answer a ping. False if it does not. */
static bool run_responder(const packet *ping) {
    w.answered = false;
    w.responder_end = (endpoint){.inbox = *ping, .has_packet = true};
    pl_store_relaxed(&w.responder.stop, 0);
    w.at_host = true;
    CHECK(pl_responder_run(&w.responder, STOP_FD) == 0);
    w.at_host = false;
    return w.answered;
}

static void deliver(const packet *p) {
    w.pinger_end.inbox = *p;
    w.pinger_end.has_packet = true;
}

/* The time of the host, as a hostile one would choose it. */
static void set_host_time(void) {
    switch (fuzz_below(&w.input, 4)) {
        case 0:
            w.host_ahead_ns += (int64_t)fuzz_number(&w.input, 2) - 32768;
            break;
        case 1:
            w.host_ahead_ns = (int64_t)(fuzz_number(&w.input, 8) >> 1) - w.now_ns;
            break;
        default:
            break;
    }
}

static void answer_ping(void) {
    if (!w.ping_count) return;
    int newest = w.ping_count - 1, back = (int)fuzz_below(&w.input, PINGS);
    packet ping = w.pings[(newest - (back <= newest ? back : 0)) % PINGS];
    set_host_time();
    w.now_ns += (int64_t)fuzz_number(&w.input, 2) * 16;
    ping.age_ns = (int64_t)fuzz_number(&w.input, 1) * 1000;
    if (fuzz_below(&w.input, 4) == 3) change(&ping);
    if (!run_responder(&ping)) return;
    packet pong = w.answer;
    w.now_ns += (int64_t)fuzz_number(&w.input, 2) * 16;
    pong.age_ns = (int64_t)fuzz_number(&w.input, 1) * 1000;
    if (fuzz_below(&w.input, 4) == 3) change(&pong);
    deliver(&pong);
}

static void deliver_bytes(bool to_host) {
    packet p = {.size = fuzz_below(&w.input, PACKET_BYTES + 1)};
    memcpy(p.address, to_host ? PEER_ADDRESS : HOST_ADDRESS, sizeof p.address);
    fuzz_bytes(&w.input, p.bytes, p.size);
    p.age_ns = (int64_t)fuzz_number(&w.input, 4) * 1000 - PL_NS_PER_S;
    if (!to_host || run_responder(&p)) deliver(to_host ? &w.answer : &p);
}

/* The errors that a network causes, and one of a socket that is no more. */
static void fail_next(void) {
    static const int errors[] = {ECONNREFUSED, EAGAIN, ENETDOWN, EHOSTUNREACH, EINTR, EBADF};
    w.pinger_end.error = errors[fuzz_below(&w.input, sizeof errors / sizeof *errors)];
}

/* What happens while the pinger waits. */
static void step(int wait_ms) {
    if (!w.input.left || ++w.waits > MAX_WAITS) {
        pl_store_relaxed(&w.pinger.stop, 1);
        return;
    }
    switch (fuzz_below(&w.input, 8)) {
        case 0:
            w.now_ns += (int64_t)wait_ms * PL_NS_PER_MS;
            break;
        case 1:
            deliver_bytes(false);
            break;
        case 2:
            deliver_bytes(true);
            break;
        case 3:
            fail_next();
            break;
        case 4:
            w.now_ns += (int64_t)fuzz_number(&w.input, 5);
            break;
        default:
            answer_ping();
            break;
    }
}

/* ---- the system's functions ---- */

int __real_poll(struct pollfd *fds, nfds_t count, int wait_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int wait_ms) {
    if (!w.runs) return __real_poll(fds, count, wait_ms);
    CHECK(w.at_host || wait_ms >= 0);
    if (count == 1) {
        w.now_ns += (int64_t)wait_ms * PL_NS_PER_MS;
        return 0;
    }
    if (!w.at_host) step(wait_ms);
    bool is_ready = w.at_host || w.pinger_end.has_packet || w.pinger_end.error;
    fds[0].revents = is_ready ? POLLIN : 0;
    return is_ready;
}

static void put_control(struct msghdr *message, int level, int type, const void *data, size_t size) {
    struct cmsghdr c = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    char *at = (char *)message->msg_control + message->msg_controllen;
    memcpy(at, &c, sizeof c);
    memcpy(at + CMSG_LEN(0), data, size);
    message->msg_controllen += CMSG_SPACE(size);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    endpoint *end = fd == PINGER_FD ? &w.pinger_end : &w.responder_end;
    CHECK(w.runs && (flags & MSG_DONTWAIT) && message->msg_iovlen == 1);
    errno = end->error ? end->error : EAGAIN;
    end->error = 0;
    if (errno != EAGAIN || !end->has_packet) {
        if (fd == RESPONDER_FD) pl_store_relaxed(&w.responder.stop, 1);
        return -1;
    }
    end->has_packet = false;
    size_t room = message->msg_iov->iov_len, size = end->inbox.size < room ? end->inbox.size : room;
    memcpy(message->msg_iov->iov_base, end->inbox.bytes, size);
    struct sockaddr_in from = {.sin_family = AF_INET};
    memcpy(&from.sin_addr, end->inbox.address, sizeof from.sin_addr);
    CHECK(message->msg_namelen >= sizeof from && message->msg_controllen >= 128);
    memcpy(message->msg_name, &from, sizeof from);
    message->msg_controllen = 0;
    int64_t stamp_ns = REAL_TIME_NS + w.now_ns - end->inbox.age_ns;
    struct timespec stamp = {.tv_sec = stamp_ns / PL_NS_PER_S, .tv_nsec = stamp_ns % PL_NS_PER_S};
    put_control(message, SOL_SOCKET, SO_TIMESTAMPNS, &stamp, sizeof stamp);
    if (fd == RESPONDER_FD) {
        struct in_pktinfo info = {.ipi_ifindex = 2};
        memcpy(&info.ipi_addr, HOST_ADDRESS, sizeof info.ipi_addr);
        put_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
    return (ssize_t)size;
}

static void keep_answer(const void *bytes, size_t size) {
    CHECK(w.at_host && size <= w.responder_end.inbox.size);
    w.answer = (packet){.size = size};
    memcpy(w.answer.bytes, bytes, size);
    memcpy(w.answer.address, HOST_ADDRESS, sizeof HOST_ADDRESS);
    w.answered = true;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    CHECK(w.runs && fd == RESPONDER_FD && flags == 0 && message->msg_iovlen == 1);
    keep_answer(message->msg_iov->iov_base, message->msg_iov->iov_len);
    return (ssize_t)w.answer.size;
}

ssize_t __wrap_sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to,
                      socklen_t to_size) {
    CHECK(w.runs && fd == RESPONDER_FD && flags == 0 && to->sa_family == AF_INET && to_size >= sizeof *to);
    keep_answer(bytes, size);
    return (ssize_t)size;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags) {
    CHECK(w.runs && fd == PINGER_FD && flags == 0 && size <= PACKET_BYTES);
    packet *p = &w.pings[w.ping_count++ % PINGS];
    *p = (packet){.size = size};
    memcpy(p->bytes, bytes, size);
    memcpy(p->address, PEER_ADDRESS, sizeof PEER_ADDRESS);
    return (ssize_t)size;
}

static void put_time(struct timespec *now, int64_t ns) {
    now->tv_sec = ns / PL_NS_PER_S;
    now->tv_nsec = ns % PL_NS_PER_S;
}

/* Each look at the clock takes a microsecond. */
int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now) {
    if (!w.runs) return __real_clock_gettime(id, now);
    CHECK(id == CLOCK_MONOTONIC);
    w.now_ns += 1000;
    int64_t ns;
    if (!w.at_host || __builtin_add_overflow(w.now_ns, w.host_ahead_ns, &ns)) ns = w.now_ns;
    put_time(now, ns);
    return 0;
}

/* pl_datagram.c asks the kernel itself for the time of its stamps. Six words are passed on, enough for every
 * system call. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (!w.runs || number != SYS_clock_gettime) return __real_syscall(number, a, b, c, d, e, f);
    put_time((struct timespec *)b, REAL_TIME_NS + w.now_ns);
    return 0;
}

/* ---- one input ---- */

static void check_clock(void) {
    pl_clock_map_value map;
    CHECK(pl_clock_map_read_rt(&w.map, &map));
    if (map.valid) {
        CHECK(isfinite(map.drift) && fabs(map.drift) < 1);
        CHECK(map.uncertainty_ns >= 0 && isfinite(map.uncertainty_ns));
        CHECK(map.drift_uncertainty >= 0 && isfinite(map.drift_uncertainty));
    }
    pl_pinger_status status;
    CHECK(pl_pinger_read_status(&w.pinger, &status));
    CHECK(status.rtt_ns >= 0 && status.samples <= (uint64_t)w.ping_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const pl_filter_kind kinds[] = {PL_FILTER_ENVELOPE, PL_FILTER_ENVELOPE, PL_FILTER_MEDIAN,
                                           PL_FILTER_KALMAN};
    memset(&w, 0, sizeof w);
    w.input = (fuzz_input){data, size};
    w.now_ns = 1000 * PL_NS_PER_S;
    pl_clock_map_init(&w.map, false);
    pl_clock_map_init(&w.host_map, true);
    pl_address address = {{[10] = 0xff, [11] = 0xff}};
    memcpy(address.bytes + 12, PEER_ADDRESS, sizeof PEER_ADDRESS);
    pl_responder_init(&w.responder, RESPONDER_FD, &w.host_map);
    CHECK(pl_responder_allow(&w.responder, PEER_ID, &address, &KEY));
    pl_filter_kind kind = kinds[fuzz_below(&w.input, 4)];
    w.runs = true;
    pl_pinger_init(&w.pinger, PINGER_FD, PEER_ID, kind, &w.map);
    pl_pinger_use_key(&w.pinger, &KEY);
    int result = pl_pinger_run(&w.pinger, STOP_FD);
    w.runs = false;
    CHECK(result == 0 || result == -EBADF);
    check_clock();
    return 0;
}
