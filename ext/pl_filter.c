#include "pl_filter.h"

#include <math.h>
#include <stdlib.h>

static const double WINDOW_NS = 60e9, BUCKET_NS = 50e6;
static const int64_t MEDIAN_AGE_NS = 2000000000LL, GROUP_NS = 400000000LL;
enum { MEDIAN_OF = 10, STEP_OF = 6, GROUP_OF = 8 };
static const double MAX_DRIFT = 1e-3;   /* no crystal runs a thousand ppm off */
static const pl_slope_prior CRYSTALS = {0.0, 50e-6};   /* how far two computers' clocks usually run apart */

void pl_filter_init(pl_filter *f, pl_filter_kind kind) {
    memset(f, 0, sizeof *f);
    f->kind = kind;
    pl_hull_init(&f->forward, WINDOW_NS, BUCKET_NS);
    pl_hull_init(&f->backward, WINDOW_NS, BUCKET_NS);
    pl_bend_init(&f->bend);
    f->prior = CRYSTALS;
}

static const pl_exchange *recent(const pl_filter *f, int64_t back) { return &f->recent[(f->recent_count - 1 - back) % PL_RECENT]; }

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t pl_filter_rtt_ns(const pl_filter *f, int64_t now_ns) {
    int64_t rtt[PL_RECENT];
    int n = 0;
    for (int64_t i = 0; i < f->recent_count && i < PL_RECENT; i++)
        if (now_ns - recent(f, i)->peer_recv_ns < 10000000000LL) rtt[n++] = pl_exchange_rtt_ns(recent(f, i));
    if (!n) return 0;
    qsort(rtt, (size_t)n, sizeof *rtt, by_value);
    return rtt[(n * 9) / 10 < n ? (n * 9) / 10 : n - 1];
}

/* ---- envelope ---- */

static void envelope_points(pl_filter *f, const pl_exchange *e) {
    double slope = f->fitted ? f->fit.slope : f->prior.slope;
    double x_there = (double)(e->peer_send_ns - f->base_local_ns), there = (double)(e->host_recv_ns - e->peer_send_ns - f->base_offset_ns);
    double x_back = (double)(e->peer_recv_ns - f->base_local_ns), back = (double)(e->host_send_ns - e->peer_recv_ns - f->base_offset_ns);
    pl_hull_add_rt(&f->forward, x_there, there, slope);
    pl_hull_add_rt(&f->backward, x_back, -back, -slope);
    pl_bend_add_two_rt(&f->bend, x_there, there, x_back, -back, slope);
}

static double deviation(const pl_fit *fit, double x) {
    double along = fit->slope_sd * (x - fit->mean_x);
    return sqrt(fit->edge_sd * fit->edge_sd + along * along);
}

/* Has one of the two clocks stepped (a machine slept, a virtual machine moved)? Then all recent exchanges show a delay one way that
 * is shorter than the least one known, and the other way longer by as much, while a path that merely changed shows only one of it.
 * The last exchanges alone then found the new line; the drift known so far stays a prior. */
static void envelope_step(pl_filter *f) {
    if (!f->fitted || f->recent_count - f->step_checked < STEP_OF) return;
    double least_forward = INFINITY, least_backward = INFINITY;
    double x_now = (double)(f->last_ns - f->base_local_ns), sd = deviation(&f->fit, x_now);
    for (int64_t i = 0; i < STEP_OF; i++) {
        const pl_exchange *e = recent(f, i);
        double forward = (double)(e->host_recv_ns - e->peer_send_ns - f->base_offset_ns) - pl_fit_at(&f->fit, (double)(e->peer_send_ns - f->base_local_ns));
        double backward = pl_fit_at(&f->fit, (double)(e->peer_recv_ns - f->base_local_ns)) - (double)(e->host_send_ns - e->peer_recv_ns - f->base_offset_ns);
        least_forward = fmin(least_forward, forward);
        least_backward = fmin(least_backward, backward);
    }
    double tolerance = fmax(100e3, 8 * sd), low = fmin(least_forward, least_backward), high = fmax(least_forward, least_backward);
    if (low > f->fit.half_gap - tolerance || high < f->fit.half_gap + tolerance / 2) return;
    f->prior.slope = f->fit.slope;
    f->prior.slope_sd = fmax(f->fit.slope_sd, 0.5e-6);
    f->fitted = false;
    pl_hull_clear_rt(&f->forward);
    pl_hull_clear_rt(&f->backward);
    for (int64_t i = STEP_OF - 1; i >= 0; i--) envelope_points(f, recent(f, i));
    f->step_checked = f->recent_count;
    f->steps++;
}

static bool envelope_line(pl_filter *f, int64_t now_ns, pl_clock_map_value *v) {
    if (f->fitted && pl_bend_two_rt(&f->bend, &f->fit, &f->forward, &f->backward, &f->prior))
        f->fitted = pl_fit_two_rt(&f->forward, &f->backward, f->prior, &f->fit);
    envelope_step(f);
    pl_hull_flush_rt(&f->forward);
    pl_hull_flush_rt(&f->backward);
    if (!pl_fit_two_rt(&f->forward, &f->backward, f->prior, &f->fit)) return false;
    f->fitted = true;
    double x = (double)(now_ns - f->base_local_ns);
    double sd = deviation(&f->fit, x);
    if (!isfinite(sd)) sd = f->fit.half_gap;
    v->offset_ns = f->base_offset_ns + (int64_t)pl_fit_at(&f->fit, x);
    v->drift = f->fit.slope;
    v->uncertainty_ns = fmin(sd, fmax(f->fit.half_gap, 1e3) + fabs(f->fit.slope_sd * (x - f->fit.mean_x)));
    v->drift_uncertainty = f->fit.slope_sd;
    return true;
}

/* ---- the specification's median ---- */

static bool median_line(const pl_filter *f, int64_t now_ns, pl_clock_map_value *v) {
    int64_t offset[MEDIAN_OF];
    int n = 0;
    for (int64_t i = 0; i < MEDIAN_OF && i < f->recent_count; i++)
        if (now_ns - recent(f, i)->peer_recv_ns <= MEDIAN_AGE_NS || n == 0) offset[n++] = pl_exchange_offset_ns(recent(f, i));
    if (!n) return false;
    qsort(offset, (size_t)n, sizeof *offset, by_value);
    int64_t middle = n % 2 ? offset[n / 2] : offset[n / 2 - 1] + (offset[n / 2] - offset[n / 2 - 1]) / 2;
    int64_t away[MEDIAN_OF];
    for (int i = 0; i < n; i++) away[i] = llabs(offset[i] - middle);
    qsort(away, (size_t)n, sizeof *away, by_value);
    v->offset_ns = middle;
    v->drift = 0;
    v->uncertainty_ns = 1.4826 * (double)away[n / 2];   /* median absolute deviation as a standard deviation */
    v->drift_uncertainty = CRYSTALS.slope_sd;
    return true;
}

/* ---- least round trip and Kalman ---- */

static void kalman_update(pl_filter *f) {
    const pl_exchange *e = &f->best;
    int64_t at = e->peer_send_ns + (e->peer_recv_ns - e->peer_send_ns) / 2;
    double z = (double)(pl_exchange_offset_ns(e) - f->base_offset_ns);
    int64_t rtt = pl_exchange_rtt_ns(e);
    f->k_least_rtt_ns = !f->k_valid || rtt < f->k_least_rtt_ns ? rtt : f->k_least_rtt_ns;
    double r = 0.5 * (double)(rtt - f->k_least_rtt_ns), variance = r * r + 20e3 * 20e3;   /* queueing on one side of the exchange */
    if (!f->k_valid) {
        f->k_offset = z;
        f->k_drift = 0;
        f->p00 = variance + 0.0625 * (double)rtt * (double)rtt;
        f->p01 = 0;
        f->p11 = CRYSTALS.slope_sd * CRYSTALS.slope_sd;
        f->k_valid = true;
    } else {
        double dt = (double)(at - f->k_local_ns), q = 1e-25 * dt;   /* drift wanders by 10 ppb in the root of a second */
        f->k_offset += f->k_drift * dt;
        f->p00 += dt * (2 * f->p01 + dt * f->p11) + q * dt * dt / 3;
        f->p01 += dt * f->p11 + q * dt / 2;
        f->p11 += q;
        double innovation = z - f->k_offset, s = f->p00 + variance;
        if (innovation * innovation > 25 * s) { f->p00 *= 4; f->p01 *= 4; f->p11 *= 4; s = f->p00 + variance; }   /* the world has changed: learn faster */
        double g0 = f->p00 / s, g1 = f->p01 / s;
        f->k_offset += g0 * innovation;
        f->k_drift = fmax(-MAX_DRIFT, fmin(MAX_DRIFT, f->k_drift + g1 * innovation));
        f->p11 -= g1 * f->p01;
        f->p01 *= 1 - g0;
        f->p00 *= 1 - g0;
    }
    f->k_local_ns = at;
}

static void kalman_collect(pl_filter *f, const pl_exchange *e) {
    if (f->group && (f->group == GROUP_OF || e->peer_send_ns - f->best.peer_send_ns > GROUP_NS)) {
        kalman_update(f);
        f->group = 0;
    }
    if (!f->group++ || pl_exchange_rtt_ns(e) < pl_exchange_rtt_ns(&f->best)) f->best = *e;
}

static bool kalman_line(pl_filter *f, int64_t now_ns, pl_clock_map_value *v) {
    if (!f->k_valid) {
        if (!f->group) return false;
        kalman_update(f);
        f->group = 0;
    }
    double dt = (double)(now_ns - f->k_local_ns);
    v->offset_ns = f->base_offset_ns + (int64_t)(f->k_offset + f->k_drift * dt);
    v->drift = f->k_drift;
    v->uncertainty_ns = sqrt(fmax(f->p00 + 2 * dt * f->p01 + dt * dt * f->p11, 0));
    v->drift_uncertainty = sqrt(fmax(f->p11, 0));
    return true;
}

/* ---- the common interface ---- */

bool pl_filter_add(pl_filter *f, const pl_exchange *e) {
    if (e->peer_recv_ns < e->peer_send_ns || e->host_send_ns < e->host_recv_ns || pl_exchange_rtt_ns(e) < 0) return false;
    if (f->samples && e->peer_recv_ns < f->last_ns) return false;   /* local time never runs back */
    if (!f->samples++) {
        f->base_local_ns = e->peer_send_ns;
        f->base_offset_ns = pl_exchange_offset_ns(e);
    }
    f->last_ns = e->peer_recv_ns;
    f->recent[f->recent_count++ % PL_RECENT] = *e;
    if (f->kind == PL_FILTER_ENVELOPE) envelope_points(f, e);
    if (f->kind == PL_FILTER_KALMAN) kalman_collect(f, e);
    return true;
}

bool pl_filter_line(pl_filter *f, int64_t now_ns, pl_clock_map_value *v) {
    bool known = f->kind == PL_FILTER_ENVELOPE ? envelope_line(f, now_ns, v) : f->kind == PL_FILTER_MEDIAN ? median_line(f, now_ns, v) : kalman_line(f, now_ns, v);
    v->local_ns = now_ns;
    v->valid = known;
    return known;
}
