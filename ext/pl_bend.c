#include "pl_bend.h"

#include <math.h>
#include <stddef.h>

/* How long points are kept: as long as in the clouds of the owners. Of each bucket only the lowest point is
 * kept. The shortest cell has two buckets. */
static const double WINDOW_NS = 60e9, BUCKET_NS = 125e6;
/* Lengths of cells, about 1.4 times each other, from two buckets to 1/15 of the window. */
static const double CELL_NS[PL_CELL_LENGTHS] = {0.25e9, 0.35e9, 0.5e9, 0.7e9, 1e9, 1.4e9, 2e9, 2.8e9, 4e9};
/* The least time between two remembered slopes. PL_KNOWN_SLOPES of them reach back 26 s: over the longest
 * four cells (16 s). */
static const double KNOWN_INTERVAL_NS = 0.2e9;
/* A step between cells proves a bend when it is as many standard deviations. Simulated wired, Wi-Fi and WAN
 * links need less: with 3, an even clock shows no bend in half an hour of each either. The margin costs
 * little: a change of 20 ppm is found after 3.1 s instead of 2.8 s on a wired network.
 * tests/native/test_bend.py checks that even clocks show no bend, and that such changes are found. */
static const double PROOF_SDS = 6;
/* Least scatter: that of a sound card that gives exact times in whole microseconds. */
static const double MIN_SCATTER_NS = 200;
/* Steps count as equal while the largest is at most this many times the smallest. */
static const double MAX_STEP_RATIO = 2;
/* Cells that must show the bend. Older cells that the scatter needs, and that are looked at: all that the
 * window has of the shortest length (240). */
enum { RECENT_CELLS = 4, MIN_OLDER_CELLS = 8, MAX_OLDER_CELLS = 256 };
/* The first finds the range of the values; each other one halves it, so 39 leave 2e-12 of it. */
enum { MEDIAN_BISECTIONS = 40 };

static void init(pl_bend_cloud *cloud) {
    pl_hull_init(&cloud->points, WINDOW_NS, BUCKET_NS);
    for (int length = 0; length < PL_CELL_LENGTHS; length++) cloud->scatter[length] = INFINITY;
}

void pl_bend_init(pl_bend *b) {
    init(&b->above);
    init(&b->below_negated);
    b->known_count = 0;
    b->bends = 0;
}

void pl_bend_clear_rt(pl_bend *b) {
    pl_hull_clear_rt(&b->above.points);
    pl_hull_clear_rt(&b->below_negated.points);
    b->known_count = 0;
}

static void remember(pl_bend *b, double x, const pl_fit *fit) {
    int newest = (b->known_count - 1) % PL_KNOWN_SLOPES;
    if (b->known_count && x < b->known[newest].x + KNOWN_INTERVAL_NS) return;
    int place = b->known_count++ % PL_KNOWN_SLOPES;
    b->known[place].x = x;
    b->known[place].slope = fit->slope;
    b->known[place].slope_sd = fit->slope_sd;
}

/* The newest slope that was known at x. False when it is not remembered. */
static bool known_at(const pl_bend *b, double x, pl_slope_prior *known) {
    for (int i = b->known_count - 1; i >= 0 && i >= b->known_count - PL_KNOWN_SLOPES; i--) {
        int place = i % PL_KNOWN_SLOPES;
        if (b->known[place].x > x) continue;
        known->slope = b->known[place].slope;
        known->slope_sd = b->known[place].slope_sd;
        return true;
    }
    return false;
}

/* The median of the values, or with `distances` of their distances from `centre`. Bisection on the count of
 * smaller ones leaves the values where they are. */
static double median(const double *values, int count, double centre, bool distances) {
    double low = INFINITY, high = -INFINITY;
    for (int pass = 0; pass < MEDIAN_BISECTIONS; pass++) { /* the first pass finds the range */
        double middle = 0.5 * (low + high);
        int below = 0;
        for (int i = 0; i < count; i++) {
            double value = distances ? fabs(values[i] - centre) : values[i];
            if (!pass) {
                low = fmin(low, value);
                high = fmax(high, value);
            } else {
                below += value <= middle;
            }
        }
        if (!pass) continue;
        if (below > count / 2) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return 0.5 * (low + high);
}

/* Write the least residuals of the cells [first, first + count) to `least`; the newest cell is number 0.
 * INFINITY where a cell is empty. */
static void cells(const pl_hull *h, double slope, double cell_ns, int first, int count, double *least) {
    double newest_x = pl_hull_newest_x(h), origin = h->y[pl_hull_place(h, h->count - 1)] - slope * newest_x;
    for (int k = 0; k < count; k++) least[k] = INFINITY;
    for (int i = h->count - 1; i >= 0; i--) {
        int p = pl_hull_place(h, i), k = (int)((newest_x - h->x[p]) / cell_ns) - first;
        if (k >= count) return;
        if (k >= 0) least[k] = fmin(least[k], h->y[p] - slope * h->x[p] - origin);
    }
}

/* The standard deviation of the older cells' least residuals; the remembered one where there are too few
 * cells. */
static double scatter(const pl_bend_cloud *cloud, double slope, int length) {
    double older[MAX_OLDER_CELLS];
    int count = 0;
    cells(&cloud->points, slope, CELL_NS[length], RECENT_CELLS, MAX_OLDER_CELLS, older);
    for (int k = 0; k < MAX_OLDER_CELLS; k++)
        if (isfinite(older[k])) older[count++] = older[k];
    if (count < MIN_OLDER_CELLS) return cloud->scatter[length];
    double centre = median(older, count, 0, false);
    return fmax(MIN_SCATTER_NS, PL_NORMAL_SD * median(older, count, centre, true));
}

/* By how much the cloud's slope has changed since the recent cells began; 0 when no change is proven. */
static double slope_change(const pl_bend_cloud *cloud, pl_slope_prior known, int length) {
    double recent[RECENT_CELLS], largest = -INFINITY, smallest = INFINITY;
    cells(&cloud->points, known.slope, CELL_NS[length], 0, RECENT_CELLS, recent);
    for (int k = 1; k < RECENT_CELLS; k++) {
        if (!isfinite(recent[k - 1]) || !isfinite(recent[k])) return 0;
        double step = recent[k - 1] - recent[k];
        largest = fmax(largest, step);
        smallest = fmin(smallest, step);
    }
    if (smallest * largest <= 0) return 0; /* not all in one direction */
    double small = fmin(fabs(smallest), fabs(largest)), large = fmax(fabs(smallest), fabs(largest));
    if (large > MAX_STEP_RATIO * small) return 0;
    /* The known slope's own error makes equal steps too. The scatter is costly and comes last. */
    double slope_error = known.slope_sd * CELL_NS[length];
    if (small < PROOF_SDS * slope_error) return 0;
    if (small < PROOF_SDS * hypot(scatter(cloud, known.slope, length), slope_error)) return 0;
    return (recent[0] - recent[RECENT_CELLS - 1]) / ((RECENT_CELLS - 1) * CELL_NS[length]);
}

/* Restart the owner's cloud with the points from x on, and remember how the older ones scattered. */
static void restart_at(double x, pl_bend_cloud *cloud, double slope, pl_hull *owners) {
    for (int length = 0; length < PL_CELL_LENGTHS; length++)
        cloud->scatter[length] = scatter(cloud, slope, length);
    pl_hull_cut_rt(&cloud->points, x);
    pl_hull_clear_rt(owners);
    for (int i = 0; i < cloud->points.count; i++) {
        int p = pl_hull_place(&cloud->points, i);
        pl_hull_add_rt(owners, cloud->points.x[p], cloud->points.y[p], 0);
        pl_hull_flush_rt(owners);
    }
}

/* Look for a bend with cells of each length. `below_negated` is NULL where there is one cloud only. */
static bool find_bend(pl_bend *b, const pl_fit *fit, pl_hull *above, pl_hull *below_negated,
                      pl_slope_prior *prior) {
    double x = pl_hull_newest_x(&b->above.points);
    remember(b, x, fit);
    for (int length = 0; length < PL_CELL_LENGTHS; length++) {
        pl_slope_prior known;
        if (!known_at(b, x - RECENT_CELLS * CELL_NS[length], &known)) return false;
        pl_slope_prior negated = {.slope = -known.slope, .slope_sd = known.slope_sd};
        double change = slope_change(&b->above, known, length);
        if (change != 0 && below_negated) {
            double other = -slope_change(&b->below_negated, negated, length);
            change = change * other > 0 ? 0.5 * (change + other) : 0;
        }
        if (change == 0) continue;
        double from_x = x - (RECENT_CELLS - 1) * CELL_NS[length];
        restart_at(from_x, &b->above, known.slope, above);
        if (below_negated) restart_at(from_x, &b->below_negated, negated.slope, below_negated);
        b->known_count = 0;
        prior->slope = known.slope;
        prior->slope_sd = fabs(change);
        b->bends++;
        return true;
    }
    return false;
}

bool pl_bend_one_rt(pl_bend *b, double x, double y, const pl_fit *fit, pl_hull *lower,
                    pl_slope_prior *prior) {
    bool closed = pl_hull_add_rt(&b->above.points, x, y, fit ? fit->slope : prior->slope);
    return closed && fit && find_bend(b, fit, lower, NULL, prior);
}

void pl_bend_add_two_rt(pl_bend *b, double x_above, double y_above, double x_below, double y_below_negated,
                        double slope) {
    pl_hull_add_rt(&b->above.points, x_above, y_above, slope);
    pl_hull_add_rt(&b->below_negated.points, x_below, y_below_negated, -slope);
}

bool pl_bend_two_rt(pl_bend *b, const pl_fit *fit, pl_hull *above, pl_hull *below_negated,
                    pl_slope_prior *prior) {
    pl_hull_flush_rt(&b->above.points);
    pl_hull_flush_rt(&b->below_negated.points);
    if (!b->above.points.count || !b->below_negated.points.count) return false;
    return find_bend(b, fit, above, below_negated, prior);
}
