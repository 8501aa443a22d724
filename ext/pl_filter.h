/* From exchanges of packets to the session clock: three filters behind one interface.
 *
 *   envelope  the two-sided envelope of pl_envelope.h over a minute, or since a clock last changed its speed (pl_bend.h): what PhaseLock uses
 *   median    the specification's: median offset of the last 10 exchanges of the last 2 s
 *   kalman    the exchange with the least round trip of each 8, through a two-state Kalman filter: the best of the field's
 *
 * No allocation after init; one thread. */
#ifndef PL_FILTER_H
#define PL_FILTER_H

#include "pl_clock.h"
#include "pl_bend.h"

typedef struct { int64_t peer_send_ns, host_recv_ns, host_send_ns, peer_recv_ns; } pl_exchange;
typedef enum { PL_FILTER_ENVELOPE, PL_FILTER_MEDIAN, PL_FILTER_KALMAN } pl_filter_kind;

enum { PL_RECENT = 64 };

typedef struct {
    pl_filter_kind kind;
    int64_t samples, steps;                 /* exchanges taken in; clock steps noticed */
    int64_t last_ns;                        /* local time of the newest exchange */
    pl_exchange recent[PL_RECENT];          /* a ring, newest at (recent_count - 1) % PL_RECENT */
    int64_t recent_count;
    /* envelope */
    int64_t base_local_ns, base_offset_ns;
    pl_hull forward, backward;
    pl_bend bend;
    pl_slope_prior prior;
    pl_fit fit;
    bool fitted;
    int64_t step_checked;                   /* exchanges up to this one have been judged */
    /* kalman: state offset (relative to base) and drift, covariance, and the best exchange of the group being collected */
    double k_offset, k_drift, p00, p01, p11;
    int64_t k_local_ns, k_least_rtt_ns;
    bool k_valid;
    int group;
    pl_exchange best;
} pl_filter;

void pl_filter_init(pl_filter *filter, pl_filter_kind kind);
/* Take one exchange in. False when its times contradict themselves (it is then ignored). */
bool pl_filter_add(pl_filter *filter, const pl_exchange *exchange);
/* The line as known at `now_ns`; false while there is none. */
bool pl_filter_line(pl_filter *filter, int64_t now_ns, pl_clock_map_value *line);
/* Round trip that nine of ten recent exchanges (at most 10 s old) stay below; 0 when there are none. */
int64_t pl_filter_rtt_ns(const pl_filter *filter, int64_t now_ns);

static inline int64_t pl_exchange_rtt_ns(const pl_exchange *e) {
    return (e->peer_recv_ns - e->peer_send_ns) - (e->host_send_ns - e->host_recv_ns);
}
/* Host minus peer by the middle of the exchange. */
static inline int64_t pl_exchange_offset_ns(const pl_exchange *e) {
    int64_t forward = e->host_recv_ns - e->peer_send_ns, backward = e->host_send_ns - e->peer_recv_ns;
    return backward + (forward - backward) / 2;
}

#endif
