#if defined(__linux__)
#define _GNU_SOURCE
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#endif
#include "pl_udp.h"

#include <errno.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>
typedef SOCKET socket_t;
typedef WSAPOLLFD pollfd_t;
typedef int length_t;
#define poll_sockets WSAPoll
static void nap(int ms) { Sleep((DWORD)ms); }
static int last_error(void) { return WSAGetLastError(); }
/* A port nobody listens on makes Windows report a reset on the next read: not an error of ours. */
static bool passing(int e) { return e == WSAEWOULDBLOCK || e == WSAECONNRESET || e == WSAENETRESET || e == WSAEINTR || e == WSAENETUNREACH || e == WSAEHOSTUNREACH || e == WSAEMSGSIZE; }
#else
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
typedef int socket_t;
typedef struct pollfd pollfd_t;
typedef ssize_t length_t;
#define poll_sockets poll
static void nap(int ms) { poll(NULL, 0, ms); }
static int last_error(void) { return errno; }
/* What routers and firewalls on the way report passes, whatever it is; a descriptor that is no such socket does not. */
static bool passing(int e) { return e != EBADF && e != ENOTSOCK && e != ENOTCONN && e != EINVAL && e != EFAULT; }
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

enum { PING = 1, PONG = 2, POLL_MS = 100 };
static const int64_t MS = 1000000;
static const int64_t TRAIN_EVERY = 200 * 1000000LL, TRAIN_LASTS = 160 * 1000000LL, PACE = 10 * 1000000LL, STALE = 2000000000LL;
static const int64_t LATEST_NS = 1LL << 62;   /* as on the control connection: sums and differences of two times do not overflow */
static const int64_t BURST_LASTS = 1000 * 1000000LL, YOUNG_FOR = 30 * 1000000000LL;
enum { TRAIN_COUNTS = 8, YOUNG_COUNTS = 32, BURST_COUNTS = 64 };   /* measurements in a train; the burst is the first one */

static void put(uint8_t *b, uint64_t v, int bytes) { for (int i = 0; i < bytes; i++) b[i] = (uint8_t)(v >> (8 * i)); }
static uint64_t get(const uint8_t *b, int bytes) { uint64_t v = 0; for (int i = 0; i < bytes; i++) v |= (uint64_t)b[i] << (8 * i); return v; }

/* Ask for the kernel's receive time stamps: they leave out how late this thread is woken. */
static void want_stamps(intptr_t fd) {
#if defined(__linux__)
    int on = 1;
    setsockopt((int)fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
#else
    (void)fd;
#endif
}

/* One datagram and the local time of its arrival. Its length, 0 where there is none, negative on an error that will not pass. */
static length_t receive(intptr_t fd, uint8_t *b, int size, struct sockaddr_storage *from, int64_t *arrived_ns) {
#if defined(_WIN32)
    int from_size = sizeof *from;
    int n = recvfrom((SOCKET)fd, (char *)b, size, 0, (struct sockaddr *)from, &from_size);
    *arrived_ns = pl_now_ns_rt();
#else
    union { struct cmsghdr align; char room[256]; } control;
    struct iovec part = {b, (size_t)size};
    struct msghdr m = {0};
    m.msg_name = from;
    m.msg_namelen = sizeof *from;
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control.room;
    m.msg_controllen = sizeof control.room;
    length_t n = recvmsg((int)fd, &m, MSG_DONTWAIT);
    *arrived_ns = pl_now_ns_rt();
#if defined(__linux__)
    if (n > 0) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
            /* The stamp is on the kernel's real-time clock; the packet's age is read on that same clock, by the system call, since
             * a preloaded library may bend clock_gettime but not the kernel's stamps. An age that cannot be is a clock that was set. */
            struct timespec stamp, now;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
            int64_t local = pl_now_ns_rt();
            int64_t age = (int64_t)(now.tv_sec - stamp.tv_sec) * 1000000000LL + (now.tv_nsec - stamp.tv_nsec);
            if (age >= 0 && age < STALE) *arrived_ns = local - age;
        }
    }
#endif
#endif
    if (n < 0) return passing(last_error()) ? 0 : -1;
    return n;
}

static pl_address address_of(const struct sockaddr_storage *s) {
    pl_address a = {{0}};
    if (s->ss_family == AF_INET6) {
        memcpy(a.bytes, &((const struct sockaddr_in6 *)s)->sin6_addr, 16);
    } else if (s->ss_family == AF_INET) {
        a.bytes[10] = a.bytes[11] = 0xff;
        memcpy(a.bytes + 12, &((const struct sockaddr_in *)s)->sin_addr, 4);
    }
    return a;
}

/* ---- the host's side ---- */

void pl_responder_init(pl_responder *r, intptr_t fd) {
    memset(r, 0, sizeof *r);
    r->fd = fd;
    want_stamps(fd);
}

static void set_slot(pl_responder *r, int slot, bool in_use, uint32_t peer_id, const pl_address *a) {
    uint64_t w[4] = {in_use, peer_id, 0, 0};
    if (a) { w[2] = get(a->bytes, 8); w[3] = get(a->bytes + 8, 8); }
    pl_seqlock_write(&r->allowed[slot], w, 4);
}

bool pl_responder_allow(pl_responder *r, uint32_t peer_id, const pl_address *a) {
    pl_responder_forbid(r, peer_id);
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        uint64_t w[4];
        if (pl_seqlock_read(&r->allowed[i], w, 4) && !w[0]) { set_slot(r, i, true, peer_id, a); return true; }
    }
    return false;
}

void pl_responder_forbid(pl_responder *r, uint32_t peer_id) {
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        uint64_t w[4];
        if (pl_seqlock_read(&r->allowed[i], w, 4) && w[0] && w[1] == peer_id) set_slot(r, i, false, 0, NULL);
    }
}

static bool may_ask(pl_responder *r, uint32_t peer_id, const pl_address *a, int64_t now_ns) {
    const double rate = 400, depth = 400;   /* pings per second and at once: several times what a peer sends */
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        uint64_t w[4];
        if (!pl_seqlock_read(&r->allowed[i], w, 4) || !w[0] || w[1] != peer_id || w[2] != get(a->bytes, 8) || w[3] != get(a->bytes + 8, 8)) continue;
        double tokens = r->tokens[i] + (double)(now_ns - r->tokens_at_ns[i]) * 1e-9 * rate;
        r->tokens[i] = tokens > depth ? depth : tokens;
        r->tokens_at_ns[i] = now_ns;
        if (r->tokens[i] < 1) return false;
        r->tokens[i] -= 1;
        return true;
    }
    return false;
}

int pl_responder_run(pl_responder *r) {
    uint8_t b[256];
    while (!pl_load_relaxed(&r->stop)) {
        pollfd_t p = {0};
        p.fd = (socket_t)r->fd;
        p.events = POLLIN;
        if (poll_sockets(&p, 1, POLL_MS) <= 0) continue;
        while (!pl_load_relaxed(&r->stop)) {
            struct sockaddr_storage from;
            int64_t arrived_ns;
            length_t n = receive(r->fd, b, sizeof b, &from, &arrived_ns);
            if (n < 0) return -last_error();
            if (n == 0) break;
            pl_address a = address_of(&from);
            if (n != PL_CLOCK_PACKET || b[0] != PING || !may_ask(r, (uint32_t)get(b + 1, 4), &a, arrived_ns)) { r->refused++; continue; }
            b[0] = PONG;
            put(b + 21, (uint64_t)arrived_ns, 8);
            put(b + 29, (uint64_t)pl_now_ns_rt(), 8);
            sendto((socket_t)r->fd, (const char *)b, PL_CLOCK_PACKET, 0, (const struct sockaddr *)&from,
                   from.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
            r->answered++;
        }
    }
    return 0;
}

/* ---- the peer's side ---- */

void pl_pinger_init(pl_pinger *p, intptr_t fd, uint32_t peer_id, pl_filter_kind kind, uint64_t seed, pl_clock_map *line) {
    memset(p, 0, sizeof *p);
    p->fd = fd;
    p->peer_id = peer_id;
    p->nonce_state = seed;
    p->line = line;
    pl_filter_init(&p->filter, kind);
    want_stamps(fd);
}

static uint64_t next_nonce(pl_pinger *p) {   /* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 */
    uint64_t z = p->nonce_state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static void send_ping(pl_pinger *p, bool counts) {
    uint8_t b[PL_CLOCK_PACKET] = {PING};
    uint64_t nonce = next_nonce(p);
    int place = p->next_outstanding;
    p->next_outstanding = (place + 1) % PL_OUTSTANDING;
    put(b + 1, p->peer_id, 4);
    put(b + 13, nonce, 8);
    int64_t now_ns = pl_now_ns_rt();
    put(b + 5, (uint64_t)now_ns, 8);
    p->outstanding[place].nonce = nonce;
    p->outstanding[place].sent_ns = now_ns;
    p->outstanding[place].counts = counts;
    p->sent++;
    send((socket_t)p->fd, (const char *)b, sizeof b, 0);   /* a packet that cannot be sent is a packet lost */
}

/* True when the packet answers a ping of ours, once; `counts` tells whether that ping was a measurement. */
static bool take_pong(pl_pinger *p, const uint8_t *b, length_t n, int64_t arrived_ns, pl_exchange *e, bool *counts) {
    if (n != PL_CLOCK_PACKET || b[0] != PONG || get(b + 1, 4) != p->peer_id) return false;
    int64_t sent_ns = (int64_t)get(b + 5, 8);
    uint64_t nonce = get(b + 13, 8);
    for (int i = 0; i < PL_OUTSTANDING; i++) {
        if (p->outstanding[i].nonce != nonce || p->outstanding[i].sent_ns != sent_ns || !sent_ns) continue;
        *counts = p->outstanding[i].counts;
        p->outstanding[i].sent_ns = 0;
        e->peer_send_ns = sent_ns;
        e->host_recv_ns = (int64_t)get(b + 21, 8);
        e->host_send_ns = (int64_t)get(b + 29, 8);
        e->peer_recv_ns = arrived_ns;
        /* Too old to steer; and times that cannot be, whoever made them. */
        return arrived_ns - sent_ns < STALE && e->host_recv_ns > 0 && e->host_send_ns >= e->host_recv_ns && e->host_send_ns <= LATEST_NS &&
               e->host_send_ns - e->host_recv_ns <= arrived_ns - sent_ns;
    }
    return false;
}

bool pl_pinger_read_status(pl_pinger *p, pl_pinger_status *s) {
    uint64_t w[6];
    if (!pl_seqlock_read(&p->status, w, 6)) return false;
    s->rtt_ns = (int64_t)w[0];
    s->last_sample_ns = (int64_t)w[1];
    s->samples = w[2];
    s->sent = w[3];
    s->refused = w[4];
    s->steps = w[5];
    return true;
}

static void publish(pl_pinger *p, int64_t now_ns) {
    uint64_t w[6] = {(uint64_t)pl_filter_rtt_ns(&p->filter, now_ns), (uint64_t)p->filter.last_ns, (uint64_t)p->filter.samples,
                     p->sent, p->refused, (uint64_t)p->filter.steps};
    pl_seqlock_write(&p->status, w, 6);
}

static void refresh(pl_pinger *p) {
    int64_t now_ns = pl_now_ns_rt();
    pl_clock_map_value v;
    if (pl_filter_line(&p->filter, now_ns, &v)) pl_clock_map_write(p->line, &v);
    publish(p, now_ns);
}

/* One train: the first ping only wakes the path (a path that slept is slow in one direction, and no filter can see that), then each
 * pong, or `PACE` without one, lets the next measurement go. Returns how many measurements came back. */
static int train(pl_pinger *p, int64_t lasts_ns, int counts, int *error) {
    int64_t begin = pl_now_ns_rt(), last_sent = begin;
    int sent = 0, came = 0;
    bool awake = false;
    send_ping(p, false);
    while (!pl_load_relaxed(&p->stop)) {
        int64_t now_ns = pl_now_ns_rt();
        bool sending = sent < counts && now_ns - begin < lasts_ns;
        if (!sending && (came >= sent || now_ns - last_sent > TRAIN_EVERY - TRAIN_LASTS)) break;
        int64_t wait_ns = last_sent + (sending ? PACE : TRAIN_EVERY - TRAIN_LASTS) - now_ns;
        pollfd_t f = {0};
        f.fd = (socket_t)p->fd;
        f.events = POLLIN;
        int ready = poll_sockets(&f, 1, wait_ns <= 0 ? 0 : (int)((wait_ns + MS - 1) / MS));
        bool answered = false;
        while (ready > 0 && !pl_load_relaxed(&p->stop)) {
            uint8_t b[256];
            struct sockaddr_storage from;
            int64_t arrived_ns;
            length_t n = receive(p->fd, b, sizeof b, &from, &arrived_ns);
            if (n < 0) { *error = last_error(); return came; }
            if (n == 0) break;
            pl_exchange e;
            bool measured;
            if (!take_pong(p, b, n, arrived_ns, &e, &measured)) { p->refused++; continue; }
            answered = awake = true;
            if (!measured || !pl_filter_add(&p->filter, &e)) continue;
            came++;
            uint64_t k = pl_load_relaxed(&p->trace_count);
            p->trace[k % 4096] = e;
            pl_store_release(&p->trace_count, k + 1);
            if (counts == BURST_COUNTS && came % 8 == 0) refresh(p);   /* joining: each estimate is much better than the last */
        }
        now_ns = pl_now_ns_rt();
        if (sent < counts && now_ns - begin < lasts_ns && (answered || now_ns - last_sent >= PACE)) {
            send_ping(p, awake || sent || now_ns - begin >= PACE);
            sent++;
            last_sent = now_ns;
        }
    }
    return came;
}

int pl_pinger_run(pl_pinger *p) {
    int error = 0;
    bool first = true;
    int64_t joined_ns = pl_now_ns_rt(), next_ns = joined_ns;
    while (!pl_load_relaxed(&p->stop) && !error) {
        int came = train(p, first ? BURST_LASTS : TRAIN_LASTS, first ? BURST_COUNTS : next_ns - joined_ns < YOUNG_FOR ? YOUNG_COUNTS : TRAIN_COUNTS, &error);
        if (came) first = false;
        int64_t now_ns = pl_now_ns_rt();
        if (came) refresh(p); else publish(p, now_ns);
        next_ns += TRAIN_EVERY;
        if (next_ns < now_ns) next_ns = now_ns + TRAIN_EVERY - (now_ns - next_ns) % TRAIN_EVERY;
        while (!pl_load_relaxed(&p->stop) && (now_ns = pl_now_ns_rt()) < next_ns) {
            int64_t left = (next_ns - now_ns + MS - 1) / MS;
            nap((int)(left < POLL_MS ? left : POLL_MS));
        }
    }
    return -error;
}
