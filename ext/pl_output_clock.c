#include "pl_output_clock.h"

#include <math.h>
#include <string.h>

#include "pl_clock.h"

/* How long points are kept, and of how long a time only the lowest one (LATE) or the median (BOTH) is kept.
 * The window is as long as that of the session clock (pl_filter.c). It has 1200 LATE buckets. */
static const double WINDOW_NS = 60e9, LATE_BUCKET_NS = 50e6, MEDIAN_BUCKET_NS = 200e6;
/* BURST: longer, because a server's estimate may take minutes to slide through a burst, and only at the ends
 * of a burst the bounds show where the line is. The window has 1920 buckets, less than PL_HULL_BUCKETS. */
static const double BURST_WINDOW_NS = 240e9, BURST_BUCKET_NS = 125e6;
/* BURST: ns per ns^2. A clock whose rate drifts by 1.7 ppm a minute is 50 us off its line after a minute. */
static const double LOOSENING = 50e3 / (60e9 * 60e9);
/* BURST: a burst before the pointer has moved: 32 frames at 48 kHz, the step of many cards. */
static const double USUAL_BURST_NS = 667e3;
/* BURST: "the last seconds", from which the overlap is measured and below which the line is not shortened. */
static const double RECENT_NS = 5e9;
/* BURST: bounds that need this much more width than that prove a change of speed: about a frame. */
static const double BEND_NS = 20e3;
/* BURST: the fraction of the line that is kept in each step of shortening it: two steps halve it. */
static const double KEPT_FRACTION = 0.7;

/* How far sound cards usually run from the computer's clock: one standard deviation (60 ppm). */
static const pl_slope_prior CARDS = {0.0, 60e-6};
/* A line of this length gives the card's rate. After a slip this rate is the prior, of at least this standard
 * deviation (a ratio). */
static const double RATE_KNOWN_NS = 10e9, MIN_PRIOR_SD = 1e-6;
/* The deviation that is told while it is unknown: 1 ms, the most that loudspeakers may be apart. */
static const double UNKNOWN_NS = 1e6;

/* A moment contradicts the line when it is off by more than this many standard deviations of the line and by
 * more than this distance. */
static const double OFF_SDS = 8, MIN_OFF_NS = 0.5e6;
/* BURST: the room that a moment has outside of the strip. */
static const double STRIP_TOLERANCE_NS = 0.3e6;
/* BURST: the same between moments before the first fit, when the length of a burst is not known yet. */
static const double FIRST_TOLERANCE_NS = 3e6;
/* BURST: all moments must contradict the line for this time to be a slip. */
static const int64_t SLIP_AFTER_NS = 250 * PL_NS_PER_MS;
/* LATE: when lateness is a slip: all moments of a time were late by more than a fraction of a block. A card
 * that loses frames usually loses whole blocks, so 0.9 of a block proves it in 0.25 s. Less can also come
 * from a timer that beats against the card's, or from a busy machine, and must last longer. */
static const struct {
    double blocks;
    int64_t after_ns;
} LATENESS_RULES[PL_LATENESS_RULES] = {
    {.blocks = 0.9, .after_ns = 250 * PL_NS_PER_MS},
    {.blocks = 0.45, .after_ns = 2500 * PL_NS_PER_MS},
    {.blocks = 0, .after_ns = 8000 * PL_NS_PER_MS},
};

void pl_output_clock_init(pl_output_clock *c, pl_noise noise, double rate_hz) {
    memset(c, 0, sizeof *c);
    c->noise = noise;
    c->frame_ns = 1e9 / rate_hz;
    c->prior = CARDS;
    if (noise == PL_NOISE_BURST) {
        pl_hull_init(&c->late, BURST_WINDOW_NS, BURST_BUCKET_NS);
    } else {
        pl_hull_init(&c->late, WINDOW_NS, noise == PL_NOISE_BOTH ? 0 : LATE_BUCKET_NS);
    }
    pl_hull_init(&c->after, BURST_WINDOW_NS, BURST_BUCKET_NS);
    if (noise == PL_NOISE_BURST) c->late.loosening = c->after.loosening = LOOSENING;
    pl_hull_init(&c->recent_late, RECENT_NS, LATE_BUCKET_NS);
    pl_hull_init(&c->recent_after, RECENT_NS, LATE_BUCKET_NS);
    pl_bend_init(&c->bend);
}

static void clear_clouds(pl_output_clock *c) {
    pl_hull_clear_rt(&c->late);
    pl_hull_clear_rt(&c->after);
    pl_hull_clear_rt(&c->recent_late);
    pl_hull_clear_rt(&c->recent_after);
    pl_bend_clear_rt(&c->bend);
}

void pl_output_clock_clear_rt(pl_output_clock *c) {
    clear_clouds(c);
    c->open = c->fitted = false;
    c->bucket_count = 0;
    c->off_ns = 0;
}

/* Insertion sort: `count` is at most PL_BUCKET_MOMENTS. */
static double median(const double *values, int count) {
    double sorted[PL_BUCKET_MOMENTS];
    for (int i = 0; i < count; i++) {
        int k = i;
        for (; k && sorted[k - 1] > values[i]; k--) sorted[k] = sorted[k - 1];
        sorted[k] = values[i];
    }
    return count % 2 ? sorted[count / 2] : 0.5 * (sorted[count / 2 - 1] + sorted[count / 2]);
}

/* The line at x; before there is a fit, the bucket being filled stands for it. */
static double line_y(const pl_output_clock *c, double x) {
    if (c->fitted) return pl_fit_at(&c->fit, x);
    if (c->bucket_count) return median(c->bucket_y, c->bucket_count);
    return c->late.open ? pl_hull_open_y(&c->late) : 0;
}

double pl_output_clock_at_rt(const pl_output_clock *c, double x) { return x + line_y(c, x); }

/* The standard deviation of the line alone. */
static double line_sd_ns(const pl_output_clock *c, double x) {
    if (!c->fitted || !isfinite(c->fit.edge_sd)) return UNKNOWN_NS;
    return pl_fit_deviation(&c->fit, x);
}

/* BURST: half the height of the room between the bounds. */
static double half_room_ns(const pl_output_clock *c) { return c->fit.half_gap + 0.5 * c->overlap_ns; }

double pl_output_clock_deviation_rt(const pl_output_clock *c, double x) {
    if (c->noise != PL_NOISE_BURST) return line_sd_ns(c, x);
    /* Between the two bounds all places are equally likely. */
    return hypot(line_sd_ns(c, x), half_room_ns(c) / sqrt(3));
}

double pl_output_clock_slope_rt(const pl_output_clock *c) { return c->fitted ? c->fit.slope : 0; }

/* From x on the line is wrong by `by_ns`: restart it there, with the rate known so far, if it is known at
 * all. */
static void restart(pl_output_clock *c, double x, double by_ns) {
    if (x - c->began_x > RATE_KNOWN_NS) {
        c->prior.slope = c->fit.slope;
        c->prior.slope_sd = fmax(c->fit.slope_sd, MIN_PRIOR_SD);
    }
    clear_clouds(c);
    c->began_x = x;
    c->fit.value += by_ns; /* the moved line serves until the first bucket is closed */
    c->slips++;
}

/* By how much a moment may be off the line before it contradicts it. */
static double tolerance_ns(const pl_output_clock *c, double x) {
    return fmax(OFF_SDS * line_sd_ns(c, x), MIN_OFF_NS);
}

/* ---- late, never early ---- */

/* A moment is `late_ns` behind the line. Returns the size of the slip that this proves, 0 for none. A loss
 * may become visible bit by bit, so each rule counts from the first moment that was late enough for it. */
static double lateness_slip_ns(pl_output_clock *c, double late_ns, int64_t now_ns, double block_ns) {
    double slip_ns = 0;
    for (int i = 0; i < PL_LATENESS_RULES; i++) {
        int64_t *since_ns = &c->lateness[i].since_ns;
        double *least_ns = &c->lateness[i].least_ns;
        if (late_ns <= LATENESS_RULES[i].blocks * block_ns) {
            *since_ns = 0;
            continue;
        }
        *least_ns = *since_ns ? fmin(*least_ns, late_ns) : late_ns;
        if (!*since_ns) *since_ns = now_ns;
        if (!slip_ns && now_ns - *since_ns >= LATENESS_RULES[i].after_ns) slip_ns = *least_ns;
    }
    return slip_ns;
}

/* A card that lost a block plays all later frames one block late, for good. A callback that was delayed by a
 * busy processor is late once, and the next ones are in time. So lateness is a slip only when no moment was
 * in time for a while. No moment is early: one that seems early proves the line wrong. */
static bool add_late(pl_output_clock *c, double x, double y, int64_t now_ns, double block_ns) {
    if (pl_bend_one_rt(&c->bend, x, y, c->fitted ? &c->fit : NULL, &c->late, &c->prior)) {
        c->fitted = pl_fit_one_rt(&c->late, c->prior, &c->fit);
        memset(c->lateness, 0, sizeof c->lateness);
    }
    double late_ns = y - line_y(c, x);
    bool slipped = false;
    if (c->fitted && fabs(late_ns) > tolerance_ns(c, x)) {
        double slip_ns = late_ns < 0 ? late_ns : lateness_slip_ns(c, late_ns, now_ns, block_ns);
        if (!slip_ns) return false;
        restart(c, x, slip_ns);
        slipped = true;
    }
    memset(c->lateness, 0, sizeof c->lateness);
    if (pl_hull_add_rt(&c->late, x, y, pl_output_clock_slope_rt(c)))
        c->fitted = pl_fit_one_rt(&c->late, c->prior, &c->fit);
    return slipped;
}

/* ---- both early and late ---- */

/* The median of one bucket. A stream that was moved to another sink leaves at another time for good; a server
 * that answers late errs for a moment. So a slip is two medians in a row that are off to the same side. */
static bool add_median(pl_output_clock *c, double x, double y) {
    double off_ns = y - line_y(c, x), before_ns = c->off_ns;
    bool off = c->fitted && fabs(off_ns) > tolerance_ns(c, x);
    bool slipped = off && before_ns * off_ns > 0;
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
    bool full = c->bucket_count == PL_BUCKET_MOMENTS;
    if (c->bucket_count && (x - c->bucket_x > MEDIAN_BUCKET_NS || full)) {
        slipped = add_median(c, c->bucket_x + MEDIAN_BUCKET_NS / 2, median(c->bucket_y, c->bucket_count));
        c->bucket_count = 0;
    }
    if (!c->bucket_count) c->bucket_x = x;
    c->bucket_y[c->bucket_count++] = y;
    return slipped;
}

/* ---- two bounds, a burst apart ---- */

/* By how much the bounds of a moment lie off the line: positive where the line is too early, 0 where it keeps
 * to both. */
static double off_strip_ns(double y, double late_y, double after_y, double burst_ns) {
    if (late_y < y) return late_y - y;
    if (after_y - burst_ns > y) return after_y - burst_ns - y;
    return 0;
}

/* Where the bounds need more width than a burst, the clock has changed its speed: remove the oldest ones
 * until a line fits, but keep the last seconds. */
static void shorten(pl_output_clock *c, double x, double burst_ns) {
    double length = x - pl_hull_oldest_x(&c->late), max_width_ns = burst_ns + c->overlap_ns + BEND_NS;
    while (length > RECENT_NS && c->late.count && c->after.count &&
           pl_strip_width_rt(&c->late, &c->after) > max_width_ns) {
        length = fmax(KEPT_FRACTION * length, RECENT_NS);
        pl_hull_cut_rt(&c->late, x - length);
        pl_hull_cut_rt(&c->after, x - length);
        c->began_x = x - length;
        c->prior.slope = c->fit.slope;
        c->prior.slope_sd = CARDS.slope_sd;
    }
}

/* Measure by how much more than a burst the bounds of the last seconds need. Averaged over these seconds,
 * because a change of speed makes no burst longer. */
static void update_overlap(pl_output_clock *c, double x, double burst_ns) {
    double overlap_ns = 0;
    if (c->recent_after.count)
        overlap_ns = fmax(0, pl_strip_width_rt(&c->recent_late, &c->recent_after) - burst_ns);
    double weight = x - c->began_x < RECENT_NS ? 1 : LATE_BUCKET_NS / RECENT_NS;
    c->overlap_ns += (overlap_ns - c->overlap_ns) * weight;
}

/* Do the bounds of a moment contradict those before the first fit? A server may change the length of its
 * cycles for a stream that begins: what it told of the first cycle is wrong then. The rate of the card does
 * not matter within the one bucket. */
static bool contradicts_first(const pl_output_clock *c, double late_y, double after_y, double burst_ns) {
    if (c->fitted || !c->late.open) return false;
    double least_y = -pl_hull_open_y(&c->after) - burst_ns, most_y = pl_hull_open_y(&c->late);
    return late_y < least_y - FIRST_TOLERANCE_NS || after_y - burst_ns > most_y + FIRST_TOLERANCE_NS;
}

/* A moment whose bounds lie outside of the strip contradicts the others. When all do so for a while, it is a
 * slip. */
static bool add_bounds(pl_output_clock *c, double x, double late_y, double after_y, int64_t now_ns,
                       bool restarted) {
    double y = line_y(c, x), burst_ns = c->burst_ns > 0 ? c->burst_ns : USUAL_BURST_NS;
    bool off = fabs(off_strip_ns(y, late_y, after_y, burst_ns)) > half_room_ns(c) + STRIP_TOLERANCE_NS;
    bool slipped = c->fitted && (restarted || off);
    if (slipped) {
        if (!c->off_since_ns) c->off_since_ns = now_ns;
        if (!restarted && now_ns - c->off_since_ns < SLIP_AFTER_NS) return false;
        restart(c, x, 0.5 * (late_y + after_y - burst_ns) - y);
    }
    if (contradicts_first(c, late_y, after_y, burst_ns)) {
        clear_clouds(c);
        c->began_x = x;
    }
    c->off_since_ns = 0;
    double slope = pl_output_clock_slope_rt(c);
    bool closed = pl_hull_add_rt(&c->late, x, late_y, slope);
    closed |= pl_hull_add_rt(&c->after, x, -after_y, -slope);
    pl_hull_add_rt(&c->recent_late, x, late_y, slope);
    pl_hull_add_rt(&c->recent_after, x, -after_y, -slope);
    if (!closed || !c->late.count || !c->after.count) return slipped;
    update_overlap(c, x, burst_ns);
    shorten(c, x, burst_ns);
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
    if (c->noise == PL_NOISE_LATE) return add_late(c, x, y, now_ns, (double)frames * c->frame_ns);
    if (c->noise == PL_NOISE_BOTH) return add_both(c, x, y);
    c->burst_ns = moment->burst_ns;
    double after_y = (double)(moment->after_ns - c->base_ns) - x;
    return add_bounds(c, x, y, after_y, now_ns, moment->restarted);
}
