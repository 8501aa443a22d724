/* The clock threads: ClockPing and ClockPong over UDP, without the interpreter's lock.
 *
 * Wire, little endian, both 37 bytes, so that a reply is never larger than its request:
 *   ClockPing  u8 type = 1, u32 peer_id, u64 peer_send_time_ns, u64 nonce, 16 bytes of zero
 *   ClockPong  u8 type = 2, u32 peer_id, u64 peer_send_time_ns, u64 nonce, u64 host_recv_time_ns, u64 host_send_time_ns
 *
 * The threads are Python threads that called pl_responder_run or pl_pinger_run and released the interpreter's lock. They sleep in
 * poll(), wake at least every 100 ms to see whether they shall stop, and are the only writers of what they publish.
 * A packet that fails a check changes nothing but a counter. */
#ifndef PL_UDP_H
#define PL_UDP_H

#include "pl_clock.h"
#include "pl_filter.h"

enum { PL_CLOCK_PACKET = 37, PL_ADDRESS_BYTES = 16, PL_MAX_PEERS = 16, PL_OUTSTANDING = 64 };

/* An IPv4 or IPv6 address without its port; IPv4 as its mapped IPv6 form, so that both kinds compare alike. */
typedef struct { uint8_t bytes[PL_ADDRESS_BYTES]; } pl_address;

typedef struct {
    intptr_t fd;
    pl_atomic_u32 stop;
    pl_seqlock allowed[PL_MAX_PEERS];       /* written by the network thread: words in_use, peer_id, address low, address high */
    double tokens[PL_MAX_PEERS];            /* per slot, so that no peer can make the host busy */
    int64_t tokens_at_ns[PL_MAX_PEERS];
    pl_atomic_u64 answered, refused;
} pl_responder;

void pl_responder_init(pl_responder *r, intptr_t fd);
bool pl_responder_allow(pl_responder *r, uint32_t peer_id, const pl_address *address);
void pl_responder_forbid(pl_responder *r, uint32_t peer_id);
/* Answers until stop is set. 0, or the negative of a system error. */
int pl_responder_run(pl_responder *r);

typedef struct {
    int64_t rtt_ns, last_sample_ns;
    uint64_t samples, sent, refused, steps;
} pl_pinger_status;

typedef struct {
    intptr_t fd;                            /* connected to the host's clock port: the kernel lets nobody else's packets in */
    uint32_t peer_id;
    pl_atomic_u32 stop;
    pl_clock_map *line;
    pl_filter filter;
    uint64_t nonce_state;
    struct { uint64_t nonce; int64_t sent_ns; bool counts; } outstanding[PL_OUTSTANDING];
    int next_outstanding;
    uint64_t sent, refused;
    int64_t least_rtt_ns;
    pl_seqlock status;
    pl_atomic_u64 trace_count;              /* the newest exchanges, for benchmarks and the curious: a ring read after the fact */
    pl_exchange trace[4096];
} pl_pinger;

/* `seed` comes from the system's random source; nonces only have to be unguessable for someone off the path. */
void pl_pinger_init(pl_pinger *p, intptr_t fd, uint32_t peer_id, pl_filter_kind kind, uint64_t seed, pl_clock_map *line);
int pl_pinger_run(pl_pinger *p);
bool pl_pinger_read_status(pl_pinger *p, pl_pinger_status *status);

#endif
