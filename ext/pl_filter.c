#include "pl_filter.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Round trip: this percentile of the kept exchanges of this age. While something plays, all PL_RECENT
 * exchanges are younger: a peer makes at least 40 a second. */
static const int64_t MAX_RTT_AGE_NS = 10 * PL_NS_PER_S;
enum { RTT_PERCENT = 90 };

/* Envelope: how long points are kept. A longer window averages more, but a change of a clock's rate stays in
 * it for longer. With 15, 30, 60 and 100 s, 95 % of the errors are below 68, 39, 29 and 25 us on simulated
 * Wi-Fi, and below 1.7, 1.2, 0.9 and 0.9 us on a wired network (the links and crystals of
 * phaselock/bench/lab). Of each bucket only the lowest point is kept. A train of pings lasts up to 160 ms, so
 * it gives up to four points. */
static const double WINDOW_NS = 60e9, BUCKET_NS = 50e6;
static const pl_slope_prior CRYSTALS = {0.0, PL_CRYSTAL_SD};
/* A step of a clock is looked for in this many newest exchanges: fewer than the 8 of a train, so that one
 * train is enough to see it. While fewer show a step, the line before them is kept, for MAX_SUSPECTS
 * exchanges at most. */
enum { STEP_EXCHANGES = 6, MAX_SUSPECTS = 24 };
/* A residual is out of its bound if it exceeds the bound by more than MIN_STEP_NS and by more than STEP_SDS
 * standard deviations of the line. */
static const double MIN_STEP_NS = 100e3, STEP_SDS = 8;
/* After a step the drift known so far is a prior, of at least this standard deviation (a ratio). */
static const double MIN_PRIOR_SD = 0.5e-6;
/* Least uncertainty of an offset by its bounds alone: no clock is read more exactly. */
static const double MIN_HALF_GAP_NS = 1e3;

/* Median: of this many newest exchanges, of at most this age. */
enum { MEDIAN_EXCHANGES = 10 };
static const int64_t MAX_MEDIAN_AGE_NS = 2 * PL_NS_PER_S;

void pl_filter_init(pl_filter *f, pl_filter_kind kind) {
    memset(f, 0, sizeof *f);
    f->kind = kind;
    pl_hull_init(&f->envelope.forward, WINDOW_NS, BUCKET_NS);
    pl_hull_init(&f->envelope.backward, WINDOW_NS, BUCKET_NS);
    pl_bend_init(&f->envelope.bend);
    f->envelope.prior = CRYSTALS;
}

static int64_t recent_count(const pl_filter *f) { return f->samples < PL_RECENT ? f->samples : PL_RECENT; }

/* The newest exchange but `back`. */
static const pl_exchange *recent(const pl_filter *f, int64_t back) {
    assert(back >= 0 && back < recent_count(f));
    return &f->recent[(f->samples - 1 - back) % PL_RECENT];
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t pl_filter_rtt_ns(const pl_filter *f, int64_t now_ns) {
    int64_t rtt_ns[PL_RECENT];
    int count = 0;
    for (int64_t i = 0; i < recent_count(f); i++) {
        const pl_exchange *e = recent(f, i);
        if (now_ns - e->peer_recv_ns < MAX_RTT_AGE_NS) rtt_ns[count++] = pl_exchange_rtt_ns(e);
    }
    if (!count) return 0;
    qsort(rtt_ns, (size_t)count, sizeof *rtt_ns, by_value);
    return rtt_ns[count * RTT_PERCENT / 100];
}

/* ---- envelope ---- */

/* The points of one exchange in the two clouds: at (x, offset + delay) on the way there, (x, offset - delay)
 * back. */
typedef struct {
    double forward_x, forward_y, backward_x, backward_y;
} exchange_points;

static exchange_points points_of(const pl_envelope *v, const pl_exchange *e) {
    return (exchange_points){
        .forward_x = (double)(e->peer_send_ns - v->base_local_ns),
        .forward_y = (double)(e->host_recv_ns - e->peer_send_ns - v->base_offset_ns),
        .backward_x = (double)(e->peer_recv_ns - v->base_local_ns),
        .backward_y = (double)(e->host_send_ns - e->peer_recv_ns - v->base_offset_ns),
    };
}

static void envelope_add(pl_envelope *v, const pl_exchange *e) {
    double slope = v->fitted ? v->fit.slope : v->prior.slope;
    exchange_points p = points_of(v, e);
    pl_hull_add_rt(&v->forward, p.forward_x, p.forward_y, slope);
    pl_hull_add_rt(&v->backward, p.backward_x, -p.backward_y, -slope);
    pl_bend_add_two_rt(&v->bend, p.forward_x, p.forward_y, p.backward_x, -p.backward_y, slope);
}

/* Has one of the two clocks stepped (a machine was suspended, a virtual machine moved)?
 *
 *              o  o                o     o      forward points: not below the upper bound
 *      ------------------------------------     upper bound = line + half_gap
 *      ====================================     the line
 *      ------------------------------------     lower bound = line - half_gap
 *           o   o        o             o        backward points: not above the lower bound
 *
 * The forward residual is the height of a forward point above the line, the backward residual the depth of a
 * backward point below it. Without a step neither is less than half_gap. A step moves all points up or down,
 * so
 *   - on one side the residuals of all recent exchanges, also the least one, grow by the step;
 *   - on the other side they shrink by as much, to below the bound.
 * A path that became slower only makes residuals grow, a path that became faster only makes them shrink. So a
 * step needs both: the lower one of the two least residuals below the bound, and the higher one above it. The
 * second test has half the tolerance, because the first one has found a contradiction already.
 *
 * The line is one that was known before the exchanges of the step. A map may be made when only a few of them
 * have come. It lies between both sides, and no later exchange would contradict it. So this line does not
 * become the sound one.
 *
 * True when STEP_EXCHANGES show a step. `suspected`: fewer do. */
static bool has_stepped(const pl_filter *f, bool *suspected) {
    const pl_envelope *v = &f->envelope;
    int64_t newer = v->sound_samples ? f->samples - v->sound_samples : 0;
    double sd = pl_fit_deviation(&v->sound, (double)(f->last_ns - v->base_local_ns));
    double tolerance = fmax(MIN_STEP_NS, STEP_SDS * sd);
    double forward = INFINITY, backward = INFINITY; /* the least residuals */
    bool shows = false;
    *suspected = false;
    for (int64_t i = 0; i < STEP_EXCHANGES && i < newer; i++) {
        *suspected |= shows;
        exchange_points p = points_of(v, recent(f, i));
        forward = fmin(forward, p.forward_y - pl_fit_at(&v->sound, p.forward_x));
        backward = fmin(backward, pl_fit_at(&v->sound, p.backward_x) - p.backward_y);
        double lower = fmin(forward, backward), higher = fmax(forward, backward);
        shows = lower <= v->sound.half_gap - tolerance && higher >= v->sound.half_gap + tolerance / 2;
    }
    bool stepped = newer >= STEP_EXCHANGES && shows;
    *suspected = !stepped && (*suspected || shows) && newer <= MAX_SUSPECTS;
    return stepped;
}

/* After a step, restart the line with the newest exchanges; the drift known so far is its prior. */
static void envelope_step(pl_filter *f) {
    pl_envelope *v = &f->envelope;
    v->prior.slope = v->sound.slope;
    v->prior.slope_sd = fmax(v->sound.slope_sd, MIN_PRIOR_SD);
    v->fitted = false;
    pl_hull_clear_rt(&v->forward);
    pl_hull_clear_rt(&v->backward);
    for (int64_t i = STEP_EXCHANGES - 1; i >= 0; i--) envelope_add(v, recent(f, i));
    f->steps++;
}

static bool envelope_map(pl_filter *f, int64_t now_ns, pl_clock_map_value *map) {
    pl_envelope *v = &f->envelope;
    if (v->fitted && pl_bend_two_rt(&v->bend, &v->fit, &v->forward, &v->backward, &v->prior)) {
        v->fitted = pl_fit_two_rt(&v->forward, &v->backward, v->prior, &v->fit);
        v->sound = v->fit;
        if (!v->fitted) v->sound_samples = 0;
    }
    bool suspected;
    if (has_stepped(f, &suspected)) envelope_step(f);
    pl_hull_flush_rt(&v->forward);
    pl_hull_flush_rt(&v->backward);
    if (!pl_fit_two_rt(&v->forward, &v->backward, v->prior, &v->fit)) return false;
    v->fitted = true;
    if (!suspected) {
        v->sound = v->fit;
        v->sound_samples = f->samples;
    }
    double x = (double)(now_ns - v->base_local_ns), sd = pl_fit_deviation(&v->fit, x);
    /* The bounds limit the error even where the statistics know little. After a step of a clock they may
     * contradict each other: then half_gap is negative, and they tell no more than its size. */
    double half_gap_ns = fmax(fabs(v->fit.half_gap), MIN_HALF_GAP_NS);
    double bound_ns = half_gap_ns + fabs(v->fit.slope_sd * (x - v->fit.mean_x));
    if (!isfinite(sd)) sd = half_gap_ns;
    map->offset_ns = v->base_offset_ns + (int64_t)pl_fit_at(&v->fit, x);
    map->drift = v->fit.slope;
    map->uncertainty_ns = fmin(sd, bound_ns);
    map->drift_uncertainty = v->fit.slope_sd;
    return true;
}

/* ---- the median ---- */

static bool median_map(const pl_filter *f, int64_t now_ns, pl_clock_map_value *map) {
    int64_t offset_ns[MEDIAN_EXCHANGES], away_ns[MEDIAN_EXCHANGES];
    int count = 0;
    for (int64_t i = 0; i < MEDIAN_EXCHANGES && i < recent_count(f); i++) {
        const pl_exchange *e = recent(f, i);
        /* The newest one counts at any age, so that there is always a value. */
        if (now_ns - e->peer_recv_ns <= MAX_MEDIAN_AGE_NS || !count)
            offset_ns[count++] = pl_exchange_offset_ns(e);
    }
    if (!count) return false;
    qsort(offset_ns, (size_t)count, sizeof *offset_ns, by_value);
    int64_t upper_ns = offset_ns[count / 2], lower_ns = offset_ns[(count - 1) / 2];
    int64_t median_ns = lower_ns + (upper_ns - lower_ns) / 2;
    for (int i = 0; i < count; i++) away_ns[i] = llabs(offset_ns[i] - median_ns);
    qsort(away_ns, (size_t)count, sizeof *away_ns, by_value);
    map->offset_ns = median_ns;
    map->drift = 0;
    map->uncertainty_ns = PL_NORMAL_SD * (double)away_ns[count / 2];
    map->drift_uncertainty = PL_CRYSTAL_SD;
    return true;
}

/* ---- the common interface ---- */

bool pl_filter_add(pl_filter *f, const pl_exchange *e) {
    if (e->peer_recv_ns < e->peer_send_ns || e->host_send_ns < e->host_recv_ns) return false;
    if (pl_exchange_rtt_ns(e) < 0) return false;
    if (f->samples && e->peer_recv_ns < f->last_ns) return false; /* local time never runs back */
    if (!f->samples) {
        f->envelope.base_local_ns = e->peer_send_ns;
        f->envelope.base_offset_ns = pl_exchange_offset_ns(e);
    }
    f->last_ns = e->peer_recv_ns;
    f->recent[f->samples++ % PL_RECENT] = *e;
    if (f->kind == PL_FILTER_ENVELOPE) envelope_add(&f->envelope, e);
    if (f->kind == PL_FILTER_KALMAN) pl_kalman_add(&f->kalman, e);
    return true;
}

bool pl_filter_map(pl_filter *f, int64_t now_ns, pl_clock_map_value *map) {
    map->valid = false;
    switch (f->kind) {
        case PL_FILTER_ENVELOPE:
            map->valid = envelope_map(f, now_ns, map);
            break;
        case PL_FILTER_MEDIAN:
            map->valid = median_map(f, now_ns, map);
            break;
        case PL_FILTER_KALMAN:
            map->valid = pl_kalman_map(&f->kalman, now_ns, map);
            break;
    }
    map->local_ns = now_ns;
    return map->valid;
}
