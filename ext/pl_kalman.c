#include "pl_kalman.h"

#include <math.h>

#include "pl_envelope.h"

/* A group is complete after this many exchanges (a train of pings has eight), or at this age (two intervals
 * of trains). */
enum { GROUP_SIZE = 8 };
static const int64_t MAX_GROUP_AGE_NS = 400 * PL_NS_PER_MS;
/* Least standard deviation of a measurement: how exactly both ends read their clocks around a packet. */
static const double MIN_MEASUREMENT_SD_NS = 20e3;
/* First measurement: standard deviation of the offset over the round trip. The error is within 1/2. */
static const double FIRST_SD_PER_RTT = 0.25;
/* The drift wanders by 10 ppb (1e-8) in the square root of a second: variance 1e-16 per 1e9 ns. */
static const double DRIFT_VARIANCE_PER_NS = 1e-25;
/* A measurement further off than this many standard deviations means that a clock or the path has changed. */
static const double GATE_SDS = 5;
/* Then the covariance grows by this factor, so that the filter learns faster: twice the standard
 * deviations. */
static const double GATE_GROWTH = 4;

static void start(pl_kalman *k, double measured_ns, double variance, double rtt_ns) {
    k->offset_ns = measured_ns;
    k->drift = 0;
    k->p00 = variance + FIRST_SD_PER_RTT * FIRST_SD_PER_RTT * rtt_ns * rtt_ns;
    k->p01 = 0;
    k->p11 = PL_CRYSTAL_SD * PL_CRYSTAL_SD;
    k->valid = true;
}

static void predict(pl_kalman *k, double dt_ns) {
    double q = DRIFT_VARIANCE_PER_NS * dt_ns;
    k->offset_ns += k->drift * dt_ns;
    k->p00 += dt_ns * (2 * k->p01 + dt_ns * k->p11) + q * dt_ns * dt_ns / 3;
    k->p01 += dt_ns * k->p11 + q * dt_ns / 2;
    k->p11 += q;
}

static void correct(pl_kalman *k, double measured_ns, double variance) {
    double innovation = measured_ns - k->offset_ns, s = k->p00 + variance;
    if (innovation * innovation > GATE_SDS * GATE_SDS * s) {
        k->p00 *= GATE_GROWTH;
        k->p01 *= GATE_GROWTH;
        k->p11 *= GATE_GROWTH;
        s = k->p00 + variance;
    }
    double offset_gain = k->p00 / s, drift_gain = k->p01 / s;
    k->offset_ns += offset_gain * innovation;
    k->drift = fmax(-PL_MAX_SLOPE, fmin(PL_MAX_SLOPE, k->drift + drift_gain * innovation));
    k->p11 -= drift_gain * k->p01;
    k->p01 *= 1 - offset_gain;
    k->p00 *= 1 - offset_gain;
}

/* Use the best exchange of the group, and begin a new group. */
static void update(pl_kalman *k) {
    const pl_exchange *e = &k->best;
    int64_t middle_ns = e->peer_send_ns + (e->peer_recv_ns - e->peer_send_ns) / 2;
    int64_t rtt_ns = pl_exchange_rtt_ns(e);
    if (!k->valid || rtt_ns < k->min_rtt_ns) k->min_rtt_ns = rtt_ns;
    /* What the round trip has in excess of the least one was spent in queues, in the worst case all on one
     * way. */
    double excess_ns = 0.5 * (double)(rtt_ns - k->min_rtt_ns);
    double variance = excess_ns * excess_ns + MIN_MEASUREMENT_SD_NS * MIN_MEASUREMENT_SD_NS;
    double measured_ns = (double)(pl_exchange_offset_ns(e) - k->base_offset_ns);
    if (k->valid) {
        predict(k, (double)(middle_ns - k->local_ns));
        correct(k, measured_ns, variance);
    } else {
        start(k, measured_ns, variance, (double)rtt_ns);
    }
    k->local_ns = middle_ns;
    k->group = 0;
}

void pl_kalman_add(pl_kalman *k, const pl_exchange *e) {
    if (!k->valid && !k->group) k->base_offset_ns = pl_exchange_offset_ns(e);
    bool old = k->group && e->peer_send_ns - k->best.peer_send_ns > MAX_GROUP_AGE_NS;
    if (old || k->group == GROUP_SIZE) update(k);
    if (!k->group || pl_exchange_rtt_ns(e) < pl_exchange_rtt_ns(&k->best)) k->best = *e;
    k->group++;
}

bool pl_kalman_map(pl_kalman *k, int64_t now_ns, pl_clock_map_value *map) {
    if (!k->valid && !k->group) return false;
    if (!k->valid) update(k);
    double dt_ns = (double)(now_ns - k->local_ns);
    map->offset_ns = k->base_offset_ns + (int64_t)(k->offset_ns + k->drift * dt_ns);
    map->drift = k->drift;
    map->uncertainty_ns = sqrt(fmax(k->p00 + 2 * dt_ns * k->p01 + dt_ns * dt_ns * k->p11, 0));
    map->drift_uncertainty = sqrt(fmax(k->p11, 0));
    return true;
}
