/* The clock threads: ClockPing and ClockPong over UDP, without the interpreter's lock.
 *
 * Wire format, little endian, both 37 bytes, so that a reply is never larger than its request:
 *   ClockPing  u8 type = 1, u32 peer_id, u64 peer_send_time_ns, 16 bytes of zero, u64 mac
 *   ClockPong  u8 type = 2, u32 peer_id, u64 peer_send_time_ns, u64 host_recv_time_ns,
 *              u64 host_send_time_ns, u64 mac
 *
 * `mac` is the SipHash of the 29 bytes before it, under a key that the host makes for each membership and
 * sends on the control connection. The type is hashed, too, and each end accepts only the type that the other
 * end makes: a packet that is sent back to its sender is refused.
 *
 * peer_send_time_ns is a reading of a monotonic clock, so it also numbers the pings. The host answers a ping
 * only if its number is greater than those of all authentic pings before it under this key. It has no window
 * for pings that were overtaken, as RFC 6479 has: they are rare, and they were slower than the next ping, so
 * the filter would make little of them. The peer takes one pong for each ping. So a packet that is sent again
 * has no effect. A packet that was held back on the way shows a slow network, and is treated as such.
 *
 * Both ends take the time of sending, hash the packet and send it. Hashing takes the same time at both, so it
 * adds to the round trip, by less than 100 ns, but not to the offset. Times of arrival are taken before the
 * packet is checked.
 *
 * The threads are Python threads that called pl_responder_run or pl_pinger_run and released the interpreter's
 * lock. They sleep in poll() until something is due, and are the only writers of what they publish. A packet
 * that fails a check changes nothing but a counter. */
#ifndef PL_UDP_H
#define PL_UDP_H

#include "pl_clock.h"
#include "pl_datagram.h"
#include "pl_filter.h"
#include "pl_siphash.h"

enum {
    PL_CLOCK_PACKET_BYTES = 37,
    PL_MAX_PEERS = 80,   /* more than a session has (MAX_PEERS of model/group.py) */
    PL_OUTSTANDING = 64, /* pings that may still be answered; older ones are forgotten */
    PL_TRACE = 4096,     /* exchanges kept in the trace: 25 s at first, 100 s later */
};

/* The schedule of pings. A train of pings starts at each PL_TRAIN_INTERVAL_NS. It sends no ping later than
 * PL_TRAIN_NS after its start; the rest of the interval is for the last answer. The next ping of a train
 * follows an answer, or PL_PING_NS without one. The first train, after joining, is a burst and may last
 * PL_BURST_NS. The trains that start in PL_YOUNG_NS after it have more pings than the later ones.
 *
 * While nothing plays, a train every PL_CALM_INTERVAL_NS is enough to start in phase at any moment. A path
 * with little jitter needs few pings for that: a train has one for each PL_CALM_PING_NS of uncertainty. After
 * a train without an answer the next one comes at the usual time. When something plays again, or an answer
 * shows that a clock has stepped, the trains are usual, and as large as those of a young measurement for
 * PL_WAKING_NS. After that the clock is as exact as without a pause. */
#define PL_TRAIN_INTERVAL_NS (200 * PL_NS_PER_MS)
#define PL_TRAIN_NS (160 * PL_NS_PER_MS)
#define PL_PING_NS (10 * PL_NS_PER_MS)
#define PL_BURST_NS (1000 * PL_NS_PER_MS)
#define PL_YOUNG_NS (30 * PL_NS_PER_S)
#define PL_CALM_INTERVAL_NS PL_NS_PER_S
#define PL_CALM_PING_NS 2500.0
#define PL_WAKING_NS (5 * PL_NS_PER_S)
/* The map of an earlier measurement stays in use for at most this long. */
#define PL_EARLIER_NS (10 * PL_NS_PER_S)
/* Measurements in a train; the ping that wakes the path comes on top. In the burst the map is updated after
 * each PL_BURST_UPDATE_ANSWERS answers, because each estimate is much better than the one before. */
enum {
    PL_TRAIN_PINGS = 8,
    PL_YOUNG_PINGS = 32,
    PL_BURST_PINGS = 64,
    PL_BURST_UPDATE_ANSWERS = 8,
    PL_MIN_CALM_PINGS = 2
};

typedef struct {
    pl_address address;
    pl_siphash_key key;
    uint32_t peer_id;
    uint32_t in_use;       /* 0 or 1 */
    uint64_t is_neighbour; /* 0 or 1; see pl_datagram_is_neighbour */
} pl_allowed_peer;

/* What the clock thread keeps of the authentic pings of a peer. */
typedef struct {
    double tokens;           /* rate limit: no peer can keep the host busy */
    int64_t tokens_at_ns;    /* local time of `tokens` */
    pl_siphash_key key;      /* the membership to which `newest_send_ns` belongs */
    uint64_t newest_send_ns; /* peer_send_time_ns of the newest ping */
} pl_heard_pings;

typedef struct {
    intptr_t fd;
    pl_atomic_u32 stop;
    pl_clock_map *map;                  /* from this machine's time to session time */
    pl_seqlock allowed[PL_MAX_PEERS];   /* written by the network thread: a pl_allowed_peer each */
    pl_heard_pings heard[PL_MAX_PEERS]; /* of each slot of `allowed` */
    pl_atomic_u64 answered, refused;    /* packets */
} pl_responder;

/* `fd`: a bound UDP socket, which the caller keeps open. `map`: the times in the answers are session time by
 * this map. Without a valid one, no ping is answered. */
void pl_responder_init(pl_responder *responder, intptr_t fd, pl_clock_map *map);
/* Network thread: answer this peer's pings from this address under this key; an earlier key of this peer is
 * void. False when there are PL_MAX_PEERS already. */
bool pl_responder_allow(pl_responder *responder, uint32_t peer_id, const pl_address *address,
                        const pl_siphash_key *key);
void pl_responder_forbid(pl_responder *responder, uint32_t peer_id);
/* Clock thread: answer until `stop` is set. `stop_fd`: a socket that becomes readable then. Returns 0, or the
 * negative of a system error. */
int pl_responder_run(pl_responder *responder, intptr_t stop_fd);

typedef struct {
    int64_t rtt_ns;         /* see pl_filter_rtt_ns */
    int64_t last_sample_ns; /* local time of the newest exchange; 0 before the first */
    uint64_t samples;       /* exchanges accepted */
    uint64_t sent, refused; /* pings; packets that failed a check */
    uint64_t asked;         /* the pings that were measurements */
    uint64_t steps;         /* of a clock */
} pl_pinger_status;

typedef struct {
    intptr_t fd; /* connected to the host's clock port */
    uint32_t peer_id;
    pl_atomic_u32 stop;
    pl_clock_map *map;          /* kept up to date by `run` */
    pl_clock_map_value earlier; /* of an earlier measurement, while it stays in use; else not valid */
    int64_t earlier_until_ns;
    pl_filter filter;
    pl_clock_map_value known; /* by the filter, after the last train that was answered */
    intptr_t stop_fd;
    pl_seqlock key; /* a pl_siphash_key */
    struct {
        int64_t sent_ns; /* 0: answered, or never used */
        bool is_measurement;
    } outstanding[PL_OUTSTANDING]; /* a ring */
    int next_outstanding;
    uint64_t sent, asked, refused;
    pl_seqlock status; /* a pl_pinger_status */
    pl_atomic_u64 trace_count;
    pl_exchange trace[PL_TRACE]; /* the newest exchanges, a ring; for logs and benchmarks */
} pl_pinger;

/* The key is set by pl_pinger_use_key before `run`. What `map` says already stays in use until this pinger
 * knows the offset as well, unless it finds a contradiction: another path to the host begins with few
 * measurements. */
void pl_pinger_init(pl_pinger *pinger, intptr_t fd, uint32_t peer_id, pl_filter_kind kind, pl_clock_map *map);
/* Network thread: use this key from now on. Earlier measurements stay valid. */
void pl_pinger_use_key(pl_pinger *pinger, const pl_siphash_key *key);
/* Clock thread: measure until `stop` is set. `stop_fd`: a socket that becomes readable then. Returns 0, or
 * the negative of a system error. */
int pl_pinger_run(pl_pinger *pinger, intptr_t stop_fd);
/* Any thread: a coherent status. False when it could not be read; try again. */
bool pl_pinger_read_status(pl_pinger *pinger, pl_pinger_status *status);

#endif
