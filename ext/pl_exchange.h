/* One exchange of packets: a ClockPing of the peer and the ClockPong of the host. */
#ifndef PL_EXCHANGE_H
#define PL_EXCHANGE_H

#include <stdint.h>

/* Peer times are local times of this machine, host times those of the host (session time). */
typedef struct {
    int64_t peer_send_ns, host_recv_ns, host_send_ns, peer_recv_ns;
} pl_exchange;

/* The round trip without the time that the host took to answer. */
static inline int64_t pl_exchange_rtt_ns(const pl_exchange *e) {
    return (e->peer_recv_ns - e->peer_send_ns) - (e->host_send_ns - e->host_recv_ns);
}

/* Host minus peer time, under the assumption that both ways took equally long. It is wrong by at most half
 * the round trip. */
static inline int64_t pl_exchange_offset_ns(const pl_exchange *e) {
    int64_t forward_ns = e->host_recv_ns - e->peer_send_ns;  /* offset plus the delay of the way there */
    int64_t backward_ns = e->host_send_ns - e->peer_recv_ns; /* offset minus the delay of the way back */
    return backward_ns + (forward_ns - backward_ns) / 2;
}

#endif
