#include "pl_output_clock.h"

#include <math.h>
#include <string.h>

static const double WINDOW_NS = 60e9, LATE_BUCKET_NS = 50e6, MEDIAN_BUCKET_NS = 200e6;
/* A server's belief may slide through a burst in minutes; only at its ends the bounds tell where the line is. */
static const double BURST_WINDOW_NS = 240e9, BURST_BUCKET_NS = 125e6;
static const double LOOSENING = 50e3 / (60e9 * 60e9);   /* a clock whose rate drifts by 1.7 ppm a minute is 50 us off its line after one */
static const double UNKNOWN_NS = 1e6;
static const double USUAL_BURST_NS = 667e3;   /* while none was seen: 32 frames at 48 kHz, by which the pointers of many cards move */
static const double RECENT_NS = 5e9, BEND_NS = 20e3;
static const double RATE_KNOWN_NS = 10e9;  /* so long a line tells the card's rate */
static const int64_t SLIP_AFTER_NS = 250000000LL;
static const struct { double blocks; int64_t after_ns; } LATENESSES[PL_LATENESSES] = {{0.9, 250000000LL}, {0.45, 2500000000LL}, {0, 8000000000LL}};
static const pl_slope_prior CARDS = {0.0, 60e-6};   /* how far sound cards usually run from the computer's clock */

void pl_output_clock_init(pl_output_clock *c, pl_noise noise, double rate) {
    memset(c, 0, sizeof *c);
    c->noise = noise;
    c->frame_ns = 1e9 / rate;
    c->prior = CARDS;
    if (noise == PL_NOISE_BURST) pl_hull_init(&c->late, BURST_WINDOW_NS, BURST_BUCKET_NS);
    else pl_hull_init(&c->late, WINDOW_NS, noise == PL_NOISE_BOTH ? 0 : LATE_BUCKET_NS);
    pl_hull_init(&c->after, BURST_WINDOW_NS, BURST_BUCKET_NS);
    if (noise == PL_NOISE_BURST) c->late.loosening = c->after.loosening = LOOSENING;
    pl_hull_init(&c->recent_late, RECENT_NS, LATE_BUCKET_NS);
    pl_hull_init(&c->recent_after, RECENT_NS, LATE_BUCKET_NS);
    pl_bend_init(&c->bend);
}

static void forget(pl_output_clock *c) {
    pl_hull_clear_rt(&c->late);
    pl_hull_clear_rt(&c->after);
    pl_hull_clear_rt(&c->recent_late);
    pl_hull_clear_rt(&c->recent_after);
    pl_bend_clear_rt(&c->bend);
}

void pl_output_clock_clear_rt(pl_output_clock *c) {
    forget(c);
    c->open = c->fitted = false;
    c->bucket_count = 0;
    c->off_ns = 0;
}

static double median(const double *values, int count) {
    double sorted[PL_BUCKET_MOMENTS];
    for (int i = 0; i < count; i++) {
        int k = i;
        for (; k && sorted[k - 1] > values[i]; k--) sorted[k] = sorted[k - 1];
        sorted[k] = values[i];
    }
    return count % 2 ? sorted[count / 2] : 0.5 * (sorted[count / 2 - 1] + sorted[count / 2]);
}

static double line_y(const pl_output_clock *c, double x) {
    if (c->fitted) return pl_fit_at(&c->fit, x);
    return c->bucket_count ? median(c->bucket_y, c->bucket_count) : c->late.open ? pl_hull_open_y(&c->late) : 0;
}

double pl_output_clock_at_rt(const pl_output_clock *c, double x) { return x + line_y(c, x); }

/* The deviation of the fit. */
static double spread_ns(const pl_output_clock *c, double x) {
    if (!c->fitted || !isfinite(c->fit.edge_sd)) return UNKNOWN_NS;
    return hypot(c->fit.edge_sd, c->fit.slope_sd * (x - c->fit.mean_x));
}

/* Between two bounds every place is as likely. */
double pl_output_clock_deviation_rt(const pl_output_clock *c, double x) {
    return c->noise == PL_NOISE_BURST ? hypot(spread_ns(c, x), (c->fit.half_gap + 0.5 * c->overlap_ns) / sqrt(3)) : spread_ns(c, x);
}

double pl_output_clock_slope_rt(const pl_output_clock *c) { return c->fitted ? c->fit.slope : 0; }

/* From now on the line is wrong by `by_ns`: begin a new one there, with the rate known so far, if it is known at all. */
static void restart(pl_output_clock *c, double x, double by_ns) {
    if (x - c->began_x > RATE_KNOWN_NS) {
        c->prior.slope = c->fit.slope;
        c->prior.slope_sd = fmax(c->fit.slope_sd, 1e-6);
    }
    forget(c);
    c->began_x = x;
    c->fit.value += by_ns;   /* until the first bucket is full */
    c->slips++;
}

/* The moment contradicts the line by `late_ns`. By how much it is a slip; 0 while it is none. A loss may be told bit by bit: what is so late
 * counts from the first moment that was, not from one that was less late. */
static double lateness_slip_ns(pl_output_clock *c, double late_ns, int64_t now_ns, double block_ns) {
    double slip_ns = 0;
    for (int i = 0; i < PL_LATENESSES; i++) {
        int64_t *since_ns = &c->lateness[i].since_ns;
        double *least_ns = &c->lateness[i].least_ns;
        if (late_ns <= LATENESSES[i].blocks * block_ns) { *since_ns = 0; continue; }
        *least_ns = *since_ns ? fmin(*least_ns, late_ns) : late_ns;
        if (!*since_ns) *since_ns = now_ns;
        if (!slip_ns && now_ns - *since_ns >= LATENESSES[i].after_ns) slip_ns = *least_ns;
    }
    return slip_ns;
}

/* A card that lost a block plays all later frames one block late, for good; a processor that was taken away makes callbacks late that catch
 * up at once. So lateness is a slip only when no moment was in time for a while: a quarter of a second for a whole block, longer for
 * less, which a timer that beats against the card's or a busy machine may look like. No moment is early: one that seems so proves
 * the line wrong. */
static bool add_late(pl_output_clock *c, double x, double y, int64_t now_ns, double block_ns) {
    if (pl_bend_one_rt(&c->bend, x, y, c->fitted ? &c->fit : NULL, &c->late, &c->prior)) {
        c->fitted = pl_fit_one_rt(&c->late, c->prior, &c->fit);
        memset(c->lateness, 0, sizeof c->lateness);
    }
    double late_ns = y - line_y(c, x), doubt_ns = fmax(8 * spread_ns(c, x), 0.5e6);
    bool slipped = false;
    if (c->fitted && late_ns > doubt_ns) {
        double slip_ns = lateness_slip_ns(c, late_ns, now_ns, block_ns);
        if (!slip_ns) return false;
        restart(c, x, slip_ns);
        slipped = true;
    } else if (c->fitted && late_ns < -doubt_ns) {
        restart(c, x, late_ns);
        slipped = true;
    }
    memset(c->lateness, 0, sizeof c->lateness);
    if (pl_hull_add_rt(&c->late, x, y, pl_output_clock_slope_rt(c))) c->fitted = pl_fit_one_rt(&c->late, c->prior, &c->fit);
    return slipped;
}

/* One bucket's median. A stream that was moved to another sink leaves for good at another time than its line says; a server that answers
 * late errs for a moment. So a slip is what two medians in a row, off to the same side, say. */
static bool add_median(pl_output_clock *c, double x, double y) {
    double off_ns = y - line_y(c, x), doubt_ns = fmax(8 * spread_ns(c, x), 0.5e6), before_ns = c->off_ns;
    bool off = c->fitted && fabs(off_ns) > doubt_ns, slipped = off && before_ns * off_ns > 0;
    c->off_ns = off && !slipped ? off_ns : 0;
    if (off && !slipped) return false;
    if (slipped) restart(c, x, off_ns);
    pl_hull_add_rt(&c->late, x, y, 0);
    pl_hull_flush_rt(&c->late);
    c->fitted = pl_fit_robust_rt(&c->late, c->prior, &c->fit);
    return slipped;
}

static bool add_both(pl_output_clock *c, double x, double y) {
    bool slipped = false;
    if (c->bucket_count && (x - c->bucket_x > MEDIAN_BUCKET_NS || c->bucket_count == PL_BUCKET_MOMENTS)) {
        slipped = add_median(c, c->bucket_x + MEDIAN_BUCKET_NS / 2, median(c->bucket_y, c->bucket_count));
        c->bucket_count = 0;
    }
    if (!c->bucket_count) c->bucket_x = x;
    c->bucket_y[c->bucket_count++] = y;
    return slipped;
}

/* A moment whose bounds lie outside of the strip contradicts the others: once all do for a while, the stream leaves at another time. */
static bool add_between(pl_output_clock *c, double x, double late_y, double after_y, int64_t now_ns, bool anew) {
    double y = line_y(c, x), doubt_ns = c->fit.half_gap + 0.5 * c->overlap_ns + 0.3e6, burst_ns = c->burst_ns > 0 ? c->burst_ns : USUAL_BURST_NS;
    double off_ns = late_y < y ? late_y - y : after_y - burst_ns > y ? after_y - burst_ns - y : 0;
    bool slipped = false;
    if (c->fitted && (anew || fabs(off_ns) > doubt_ns)) {
        if (!c->off_since_ns) c->off_since_ns = now_ns;
        if (!anew && now_ns - c->off_since_ns < SLIP_AFTER_NS) return false;
        restart(c, x, 0.5 * (late_y + after_y - burst_ns) - y);
        slipped = true;
    }
    c->off_since_ns = 0;
    double slope = pl_output_clock_slope_rt(c);
    bool closed = pl_hull_add_rt(&c->late, x, late_y, slope);
    closed |= pl_hull_add_rt(&c->after, x, -after_y, -slope);
    pl_hull_add_rt(&c->recent_late, x, late_y, slope);
    pl_hull_add_rt(&c->recent_after, x, -after_y, -slope);
    if (!closed || !c->late.count || !c->after.count) return slipped;
    /* By and by: a change of speed makes no burst longer. */
    double overlap_ns = c->recent_after.count ? fmax(0, pl_strip_width_rt(&c->recent_late, &c->recent_after) - burst_ns) : 0;
    c->overlap_ns += (overlap_ns - c->overlap_ns) * (x - c->began_x < RECENT_NS ? 1 : LATE_BUCKET_NS / RECENT_NS);
    double length = x - pl_hull_oldest_x(&c->late);
    while (length > RECENT_NS && pl_strip_width_rt(&c->late, &c->after) > burst_ns + c->overlap_ns + BEND_NS) {
        length = fmax(0.7 * length, RECENT_NS);
        pl_hull_cut_rt(&c->late, x - length);
        pl_hull_cut_rt(&c->after, x - length);
        c->began_x = x - length;
        c->prior.slope = c->fit.slope;
        c->prior.slope_sd = CARDS.slope_sd;
    }
    c->fitted = pl_fit_strip_rt(&c->late, &c->after, burst_ns, c->prior, &c->fit);
    return slipped;
}

bool pl_output_clock_add_rt(pl_output_clock *c, const pl_moment *moment, int64_t now_ns, int64_t frames) {
    double x = moment->frame * c->frame_ns;
    if (!c->open) {
        c->base_ns = moment->leaves_ns - (int64_t)x;
        c->began_x = x;
    }
    c->open = true;
    double y = (double)(moment->leaves_ns - c->base_ns) - x;
    if (c->noise == PL_NOISE_BOTH) return add_both(c, x, y);
    if (c->noise == PL_NOISE_LATE) return add_late(c, x, y, now_ns, (double)frames * c->frame_ns);
    c->burst_ns = moment->burst_ns;
    return add_between(c, x, y, (double)(moment->after_ns - c->base_ns) - x, now_ns, moment->anew);
}
