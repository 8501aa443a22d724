/* A Kalman filter for the session clock, over the exchange with the least round trip of each group of eight.
 *
 * PhaseLock does not use it for playing. It stands for the usual approach in the comparison of `phaselock
 * bench clock`.
 *
 * State: offset and drift, with white noise on the drift (Bar-Shalom, Li, Kirubarajan: "Estimation with
 * applications to tracking and navigation", 2001, section 6.2.2). Nothing here allocates; one thread. */
#ifndef PL_KALMAN_H
#define PL_KALMAN_H

#include "pl_clock.h"
#include "pl_exchange.h"

typedef struct {
    bool valid;              /* there has been an update */
    int64_t base_offset_ns;  /* of the first exchange: offset_ns is relative to it */
    int64_t local_ns;        /* local time of the newest update */
    double offset_ns, drift; /* the state then; drift in ns per ns */
    double p00, p01, p11;    /* its covariance, symmetric: offset, offset and drift, drift */
    int64_t min_rtt_ns;      /* the least round trip so far */
    int group;               /* exchanges in the group being collected */
    pl_exchange best;        /* the one of the group with the least round trip */
} pl_kalman;

/* Start from zeroed memory. */
void pl_kalman_add(pl_kalman *kalman, const pl_exchange *exchange);
/* The clock map at local time `now_ns`; false before the first exchange. Sets all but local_ns and valid. */
bool pl_kalman_map(pl_kalman *kalman, int64_t now_ns, pl_clock_map_value *map);

#endif
