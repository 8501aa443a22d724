#include "pl_bend.h"

#include <math.h>
#include <stddef.h>

static const double WINDOW_NS = 60e9, BUCKET_NS = 125e6;
static const double CELL_NS[PL_CELL_LENGTHS] = {0.25e9, 0.35e9, 0.5e9, 0.7e9, 1e9, 1.4e9, 2e9, 2.8e9, 4e9};
static const double KNOWN_EVERY_NS = 0.2e9;
static const double CERTAIN = 6;   /* standard deviations */
static const double NORMAL_SD = 1.4826;   /* of a normal distribution, over its median absolute deviation */
static const double MIN_SCATTER_NS = 200;   /* of a card that tells exact times in whole microseconds */
static const double EQUAL = 2;     /* growth is even while no step is so many times another */
enum { RECENT = 4, MIN_OLDER = 8, MAX_OLDER = 256 };

static void init(pl_seen *s) {
    pl_hull_init(&s->points, WINDOW_NS, BUCKET_NS);
    for (int length = 0; length < PL_CELL_LENGTHS; length++) s->scatter[length] = INFINITY;
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
    if (b->known_count && x < b->known[(b->known_count - 1) % PL_KNOWN_SLOPES].x + KNOWN_EVERY_NS) return;
    int place = b->known_count++ % PL_KNOWN_SLOPES;
    b->known[place].x = x;
    b->known[place].slope = fit->slope;
    b->known[place].slope_sd = fit->slope_sd;
}

/* The newest slope that was known at x. */
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

/* The median, from the count of those below a threshold: a bisection leaves the values where they are. `about`: of the distances from it. */
static double median(const double *values, int count, double about, bool distances) {
    double lo = INFINITY, hi = -INFINITY;
    for (int pass = 0; pass < 40; pass++) {
        double middle = 0.5 * (lo + hi);
        int below = 0;
        for (int i = 0; i < count; i++) {
            double v = distances ? fabs(values[i] - about) : values[i];
            if (!pass) { lo = fmin(lo, v); hi = fmax(hi, v); }
            else below += v <= middle;
        }
        if (pass) { if (below > count / 2) hi = middle; else lo = middle; }
    }
    return 0.5 * (lo + hi);
}

/* The least residuals of `count` cells of this length, the first of which is the one with this number; the newest cell is number 0. INFINITY
 * where a cell is empty. */
static void cells(const pl_hull *h, double slope, double cell_ns, int first, int count, double *least) {
    double newest_x = pl_hull_newest_x(h), origin = h->y[pl_hull_place(h, h->count - 1)] - slope * newest_x;
    for (int k = 0; k < count; k++) least[k] = INFINITY;
    for (int i = h->count - 1; i >= 0; i--) {
        int p = pl_hull_place(h, i), k = (int)((newest_x - h->x[p]) / cell_ns) - first;
        if (k >= count) return;
        if (k >= 0) least[k] = fmin(least[k], h->y[p] - slope * h->x[p] - origin);
    }
}

/* The standard deviation of the older cells' least residuals; where there are too few of them, what is remembered of it. */
static double scatter(const pl_seen *s, double slope, int length) {
    double older[MAX_OLDER];
    int count = 0;
    cells(&s->points, slope, CELL_NS[length], RECENT, MAX_OLDER, older);
    for (int k = 0; k < MAX_OLDER; k++)
        if (isfinite(older[k])) older[count++] = older[k];
    if (count < MIN_OLDER) return s->scatter[length];
    return fmax(MIN_SCATTER_NS, NORMAL_SD * median(older, count, median(older, count, 0, false), true));
}

/* By how much the cloud's slope has changed since the last cells began; 0 when that is not proven. */
static double change(const pl_seen *s, pl_slope_prior known, int length) {
    double recent[RECENT], most = -INFINITY, fewest = INFINITY, slope_doubt = known.slope_sd * CELL_NS[length];
    cells(&s->points, known.slope, CELL_NS[length], 0, RECENT, recent);
    for (int k = 1; k < RECENT; k++) {
        if (!isfinite(recent[k - 1]) || !isfinite(recent[k])) return 0;
        most = fmax(most, recent[k - 1] - recent[k]);
        fewest = fmin(fewest, recent[k - 1] - recent[k]);
    }
    double small = fmin(fabs(fewest), fabs(most)), large = fmax(fabs(fewest), fabs(most));
    if (fewest * most <= 0 || large > EQUAL * small || small < CERTAIN * slope_doubt) return 0;
    if (small < CERTAIN * hypot(scatter(s, known.slope, length), slope_doubt)) return 0;
    return (recent[0] - recent[RECENT - 1]) / ((RECENT - 1) * CELL_NS[length]);
}

/* The cloud begins anew with what was seen from x on. */
static void begin_at(double x, pl_seen *s, double slope, pl_hull *cloud) {
    for (int length = 0; length < PL_CELL_LENGTHS; length++) s->scatter[length] = scatter(s, slope, length);
    pl_hull_cut_rt(&s->points, x);
    pl_hull_clear_rt(cloud);
    for (int i = 0; i < s->points.count; i++) {
        int p = pl_hull_place(&s->points, i);
        pl_hull_add_rt(cloud, s->points.x[p], s->points.y[p], 0);
        pl_hull_flush_rt(cloud);
    }
}

static bool bent(pl_bend *b, const pl_fit *fit, pl_hull *above, pl_hull *below_negated, pl_slope_prior *prior) {
    double x = pl_hull_newest_x(&b->above.points);
    remember(b, x, fit);
    for (int length = 0; length < PL_CELL_LENGTHS; length++) {
        pl_slope_prior known, negated;
        if (!known_at(b, x - RECENT * CELL_NS[length], &known)) return false;
        negated.slope = -known.slope;
        negated.slope_sd = known.slope_sd;
        double by = change(&b->above, known, length);
        if (by != 0 && below_negated) {
            double other = -change(&b->below_negated, negated, length);
            by = by * other > 0 ? 0.5 * (by + other) : 0;
        }
        if (by == 0) continue;
        double from_x = x - (RECENT - 1) * CELL_NS[length];
        begin_at(from_x, &b->above, known.slope, above);
        if (below_negated) begin_at(from_x, &b->below_negated, negated.slope, below_negated);
        b->known_count = 0;
        prior->slope = known.slope;
        prior->slope_sd = fabs(by);
        b->bends++;
        return true;
    }
    return false;
}

bool pl_bend_one_rt(pl_bend *b, double x, double y, const pl_fit *fit, pl_hull *lower, pl_slope_prior *prior) {
    return pl_hull_add_rt(&b->above.points, x, y, fit ? fit->slope : prior->slope) && fit && bent(b, fit, lower, NULL, prior);
}

void pl_bend_add_two_rt(pl_bend *b, double x_above, double y_above, double x_below, double y_below_negated, double slope) {
    pl_hull_add_rt(&b->above.points, x_above, y_above, slope);
    pl_hull_add_rt(&b->below_negated.points, x_below, y_below_negated, -slope);
}

bool pl_bend_two_rt(pl_bend *b, const pl_fit *fit, pl_hull *above, pl_hull *below_negated, pl_slope_prior *prior) {
    pl_hull_flush_rt(&b->above.points);
    pl_hull_flush_rt(&b->below_negated.points);
    return b->above.points.count && b->below_negated.points.count && bent(b, fit, above, below_negated, prior);
}
