/* From exchanges of packets to the clock map: three filters behind one interface.
 *
 *   envelope   PhaseLock's: the two-sided envelope of pl_envelope.h over a minute, or since a clock last
 *              changed its speed (pl_bend.h)
 *   median     for comparison: median offset of the newest 10 exchanges of the last 2 s, without drift
 *   kalman     for comparison only: see pl_kalman.h
 *
 * Nothing here allocates. One thread: the clock thread of pl_udp.h. */
#ifndef PL_FILTER_H
#define PL_FILTER_H

#include "pl_bend.h"
#include "pl_clock.h"
#include "pl_exchange.h"
#include "pl_kalman.h"

typedef enum { PL_FILTER_ENVELOPE, PL_FILTER_MEDIAN, PL_FILTER_KALMAN } pl_filter_kind;

/* Exchanges kept for the round trip, the median and the search for a step: as many as a burst has. */
enum { PL_RECENT = 64 };

/* Coordinates of the clouds: x is local time minus base_local_ns, y is host minus peer time minus
 * base_offset_ns. */
typedef struct {
    int64_t base_local_ns, base_offset_ns;
    pl_hull forward;  /* the ways there: they bound the offset from above */
    pl_hull backward; /* the ways back, negated: they bound it from below */
    pl_bend bend;
    pl_slope_prior prior;
    pl_fit fit;
    bool fitted;
    pl_fit sound;          /* the newest line that no exchange of a step has moved */
    int64_t sound_samples; /* exchanges before it; 0: there is none */
} pl_envelope;

typedef struct {
    pl_filter_kind kind;
    int64_t samples;               /* exchanges accepted */
    int64_t steps;                 /* steps of a clock that the envelope noticed */
    int64_t last_ns;               /* local time of the newest exchange */
    pl_exchange recent[PL_RECENT]; /* a ring, newest at (samples - 1) % PL_RECENT */
    pl_envelope envelope;
    pl_kalman kalman;
} pl_filter;

void pl_filter_init(pl_filter *filter, pl_filter_kind kind);
/* Add one exchange. False when its times contradict each other: then it is ignored. */
bool pl_filter_add(pl_filter *filter, const pl_exchange *exchange);
/* The clock map as known at local time `now_ns`; false while there is none. */
bool pl_filter_map(pl_filter *filter, int64_t now_ns, pl_clock_map_value *map);
/* The round trip that nine of ten recent exchanges (at most 10 s old) stay below, in ns; 0 when there are
 * none. */
int64_t pl_filter_rtt_ns(const pl_filter *filter, int64_t now_ns);

#endif
