#include "pl_envelope.h"

#include <assert.h>
#include <string.h>

enum { MASK = PL_HULL_BUCKETS - 1 };
_Static_assert((PL_HULL_BUCKETS & MASK) == 0, "the ring's size is a power of two");

/* Number of least residuals whose spread gives the scale of the noise at the edge. See edge_sd. */
enum { LEAST = 4 };
/* Standard deviation of the edge over that spread, and of the slope over the edge's standard deviation
 * divided by the window's length. Calibrated: with them the truth lies within two deviations 95 times of 100
 * in the simulated links of tests/native/test_filter.py. */
static const double EDGE_FACTOR = 0.8, SLOPE_FACTOR = 4.0;

/* Two clouds: the gap counts as flat where the lines touch the clouds less than this fraction of the window
 * apart. */
static const double FLAT_FRACTION = 0.05;
/* Standard deviation of a uniform distribution over its width: 1 / sqrt(12), rounded up. */
static const double UNIFORM_SD = 0.3;

/* Bisections of the interval of slopes, which is 2e-3 wide: less than 1 ns of error over the longest window
 * (240 s). */
enum { CONTACT_BISECTIONS = 50, GAP_BISECTIONS = 40 };

/* Strips: no bounds are kept to more exactly than this: about a frame. */
static const double MIN_STRIP_ROOM_NS = 20e3;

/* Robust regression. */
/* Tukey's constant: 95 % efficient for normal noise. */
static const double BIWEIGHT = 4.685;
/* Least scale of the noise: clocks and servers round to microseconds. */
static const double MIN_SCALE_NS = 2e3;
/* As many neighbouring points of a smoothed account have the same error: they count as one. */
static const double CORRELATED_POINTS = 10;
/* Passes of the reweighting. Bisections for a quantile: the first finds the range of the values; each other
 * one halves it, so 39 leave 2e-12 of it. */
enum { REGRESSIONS = 5, QUANTILE_BISECTIONS = 40 };

/* ---- the hull ---- */

void pl_hull_init(pl_hull *h, double window, double bucket) {
    memset(h, 0, sizeof *h);
    h->window = window;
    h->bucket = bucket;
}

void pl_hull_clear_rt(pl_hull *h) {
    h->head = h->count = h->vertices = 0;
    h->sum_x = 0;
    h->open = false;
}

/* Is q on or above the segment from p to r, so that it is no corner of the lower hull? */
static bool is_no_corner(const pl_hull *h, int p, int q, int r) {
    return (h->y[q] - h->y[p]) * (h->x[r] - h->x[p]) >= (h->y[r] - h->y[p]) * (h->x[q] - h->x[p]);
}

/* Andrew's monotone chain: a new point at the right end removes the corners that it hides. */
static void push_vertex(pl_hull *h, int place) {
    while (h->vertices >= 2 && is_no_corner(h, h->vertex[h->vertices - 2], h->vertex[h->vertices - 1], place))
        h->vertices--;
    assert(h->vertices < PL_HULL_BUCKETS);
    h->vertex[h->vertices++] = (short)place;
}

static void rebuild(pl_hull *h) {
    h->vertices = 0;
    for (int i = 0; i < h->count; i++) push_vertex(h, pl_hull_place(h, i));
}

static void remove_oldest(pl_hull *h) {
    assert(h->count > 0);
    h->sum_x -= h->x[h->head];
    h->head = (h->head + 1) & MASK;
    h->count--;
}

void pl_hull_flush_rt(pl_hull *h) {
    if (!h->open) return;
    h->open = false;
    while (h->count == PL_HULL_BUCKETS || (h->count && h->x[h->head] < h->open_x - h->window)) {
        bool was_corner = h->vertices && h->vertex[0] == h->head;
        remove_oldest(h);
        if (was_corner) rebuild(h); /* points that the lost corner hid become corners again */
    }
    assert(!h->count || h->open_x > pl_hull_newest_x(h));
    int place = pl_hull_place(h, h->count);
    h->x[place] = h->open_x;
    h->y[place] = h->open_y;
    h->sum_x += h->open_x;
    h->count++;
    push_vertex(h, place);
}

void pl_hull_cut_rt(pl_hull *h, double x) {
    while (h->count && h->x[h->head] < x) remove_oldest(h);
    rebuild(h);
}

bool pl_hull_add_rt(pl_hull *h, double x, double y, double slope) {
    if (h->count && x <= pl_hull_newest_x(h)) return false; /* a later packet overtook this one */
    y += h->loosening * x * x;
    slope += 2 * h->loosening * x;
    if (h->open && x - h->open_start < h->bucket) {
        if (y - slope * x < h->open_y - slope * h->open_x) {
            h->open_x = x;
            h->open_y = y;
        }
        return false;
    }
    bool closed = h->open;
    pl_hull_flush_rt(h);
    h->open = true;
    h->open_start = h->open_x = x;
    h->open_y = y;
    return closed;
}

static double length_of(const pl_hull *h) { return h->count ? pl_hull_newest_x(h) - pl_hull_oldest_x(h) : 0; }

/* The corner at which a line of this slope touches the hull from below: the edges left of it rise less than
 * the line, the edges right of it no less. Binary search, because all points of a smooth account can be
 * corners. */
static int contact(const pl_hull *h, double slope) {
    assert(h->vertices > 0);
    slope += 2 * h->loosening * pl_hull_newest_x(h);
    int first = 0, last = h->vertices - 1;
    while (first < last) {
        int middle = (first + last) / 2, p = h->vertex[middle], q = h->vertex[middle + 1];
        if (h->y[q] - h->y[p] < slope * (h->x[q] - h->x[p])) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return h->vertex[first];
}

/* Standard deviation of the edge's height, from the spread of the least residuals above the line: e(4) -
 * e(1).
 *
 * The lateness of the edge itself, e(1), has a standard deviation of about 0.33 of that spread for an
 * exponential tail, and 0.44 for a tail that rises like a triangle (two exponential delays in series). But a
 * line that was chosen to touch the lowest points sees them closer together than they are.
 * EDGE_FACTOR corrects this. */
static double edge_sd(const pl_hull *h, double slope) {
    double least[LEAST] = {INFINITY, INFINITY, INFINITY, INFINITY};
    for (int i = 0; i < h->count; i++) {
        int p = pl_hull_place(h, i);
        double residual = h->y[p] - slope * h->x[p];
        if (residual >= least[LEAST - 1]) continue;
        int k = LEAST - 1;
        for (; k && least[k - 1] > residual; k--) least[k] = least[k - 1];
        least[k] = residual;
    }
    if (h->count < LEAST) return INFINITY; /* the line goes through two: they do not show its error */
    return EDGE_FACTOR * (least[LEAST - 1] - least[0]);
}

static double clamp_slope(double slope) { return fmax(-PL_MAX_SLOPE, fmin(PL_MAX_SLOPE, slope)); }

/* Set the slope: the measured one and the prior, weighted by the inverse of their variances. */
static void set_slope(pl_fit *fit, double measured, double sd, pl_slope_prior prior) {
    double prior_variance = prior.slope_sd * prior.slope_sd;
    double weight = isfinite(sd) ? prior_variance / (prior_variance + sd * sd) : 0;
    fit->slope = clamp_slope(weight * measured + (1 - weight) * prior.slope);
    fit->slope_sd = isfinite(sd) ? sqrt(weight) * sd : prior.slope_sd;
    if (!isfinite(fit->slope_sd)) fit->slope_sd = prior.slope_sd;
}

/* ---- one cloud ---- */

bool pl_fit_one_rt(const pl_hull *h, pl_slope_prior prior, pl_fit *fit) {
    if (!h->count) return false;
    double mean = h->sum_x / h->count, slope = prior.slope;
    for (int i = 1; i < h->vertices; i++) {
        int p = h->vertex[i - 1], q = h->vertex[i];
        if (h->x[q] < mean && i < h->vertices - 1) continue;
        slope = (h->y[q] - h->y[p]) / (h->x[q] - h->x[p]);
        break;
    }
    double sd = edge_sd(h, slope), length = length_of(h);
    set_slope(fit, slope, length > 0 ? SLOPE_FACTOR * sd / length : INFINITY, prior);
    int corner = contact(h, fit->slope);
    fit->mean_x = mean;
    fit->value = h->y[corner] - fit->slope * (h->x[corner] - mean);
    fit->edge_sd = edge_sd(h, fit->slope);
    fit->half_gap = 0;
    fit->points = h->count;
    return true;
}

/* ---- two clouds ---- */

/* The widest gap between two parallel lines.
 *
 *      above    \            __.--'
 *                 \_ p __.--'
 *      - - - - - - -*- - - - - - - - -   upper line of slope s, touches the cloud above at p
 *                      gap(s)
 *      - - - - - - - - - - -*- - - - -   lower line of slope s, touches the cloud below at q
 *      below       __.--'   q \__
 *             __.-'              '--
 *
 * gap(s) = (y_p - s x_p) - (y_q - s x_q), so its derivative is x_q - x_p. As s rises, p moves right and q
 * moves left: x_q - x_p falls, and the gap is concave. It has its maximum where both lines touch at the same
 * x. */

/* Bisect for the slope at which x_q - x_p falls below `ahead`. 0 gives the maximum of the gap. */
static double slope_where(const pl_hull *above, const pl_hull *below, double ahead) {
    double low = -PL_MAX_SLOPE, high = PL_MAX_SLOPE;
    for (int i = 0; i < CONTACT_BISECTIONS; i++) {
        double slope = 0.5 * (low + high);
        if (below->x[contact(below, -slope)] - above->x[contact(above, slope)] > ahead) {
            low = slope;
        } else {
            high = slope;
        }
    }
    return 0.5 * (low + high);
}

static int fewer_points(const pl_hull *a, const pl_hull *b) {
    return a->count < b->count ? a->count : b->count;
}

/* Standard deviation of the middle between two edges. */
static double middle_sd(double above_sd, double below_sd) {
    return 0.5 * sqrt(above_sd * above_sd + below_sd * below_sd);
}

bool pl_fit_two_rt(const pl_hull *above, const pl_hull *below, pl_slope_prior prior, pl_fit *fit) {
    if (!above->count || !below->count) return false;
    double mean = (above->sum_x + below->sum_x) / (above->count + below->count);
    /* Around its maximum the gap is nearly flat. The middle of the flat part is the best guess; its width
     * adds to the slope's uncertainty. */
    double length = fmin(length_of(above), length_of(below)), flat = FLAT_FRACTION * length;
    double least = slope_where(above, below, flat), most = slope_where(above, below, -flat);
    double slope = 0.5 * (least + most);
    double sd = middle_sd(edge_sd(above, slope), edge_sd(below, -slope));
    double slope_sd = length > 0 ? hypot(SLOPE_FACTOR * sd / length, UNIFORM_SD * (most - least)) : INFINITY;
    set_slope(fit, slope, slope_sd, prior);

    int p = contact(above, fit->slope), q = contact(below, -fit->slope);
    double upper = above->y[p] - fit->slope * (above->x[p] - mean);
    double lower = -below->y[q] - fit->slope * (below->x[q] - mean);
    fit->mean_x = mean;
    fit->value = 0.5 * (upper + lower);
    fit->half_gap = 0.5 * (upper - lower);
    fit->edge_sd = middle_sd(edge_sd(above, fit->slope), edge_sd(below, -fit->slope));
    fit->points = fewer_points(above, below);
    return true;
}

/* ---- the strip ---- */

/* The height of a corner, raised by its age: y + loosening * (now - x)^2. The square of x is in y already;
 * the rest is linear in x and shears the whole hull, so the hull stays a hull as time passes. */
static double raised(const pl_hull *h, int p) {
    double now = pl_hull_newest_x(h);
    return h->y[p] + h->loosening * now * (now - 2 * h->x[p]);
}

/* By how much the upper line lies above the lower one, both of this slope. */
static double gap(const pl_hull *above, const pl_hull *below, double slope) {
    int p = contact(above, slope), q = contact(below, -slope);
    return raised(above, p) + raised(below, q) - slope * (above->x[p] - below->x[q]);
}

/* Bisect, from the slope `within` towards `beyond`, for the last slope with a gap of at least `least`. The
 * gap falls on the way, because it is concave and `within` is its maximum. */
static double slope_until(const pl_hull *above, const pl_hull *below, double within, double beyond,
                          double least) {
    for (int i = 0; i < GAP_BISECTIONS; i++) {
        double slope = 0.5 * (within + beyond);
        if (gap(above, below, slope) >= least) {
            within = slope;
        } else {
            beyond = slope;
        }
    }
    return within;
}

double pl_strip_width_rt(const pl_hull *above, const pl_hull *below) {
    return -gap(above, below, slope_where(above, below, 0));
}

bool pl_fit_strip_rt(const pl_hull *above, const pl_hull *below, double width, pl_slope_prior prior,
                     pl_fit *fit) {
    if (!above->count || !below->count) return false;
    double widest = slope_where(above, below, 0);
    width = fmax(width, MIN_STRIP_ROOM_NS - gap(above, below, widest));
    double least = slope_until(above, below, widest, -PL_MAX_SLOPE, -width);
    double most = slope_until(above, below, widest, PL_MAX_SLOPE, -width);
    set_slope(fit, 0.5 * (least + most), (most - least) / sqrt(12), prior);
    fit->slope = fmax(least, fmin(most, fit->slope));
    int p = contact(above, fit->slope), q = contact(below, -fit->slope);
    double sum_x = above->x[p] + below->x[q];
    fit->mean_x = 0.5 * sum_x;
    fit->value = 0.5 * (raised(above, p) - raised(below, q) - width - fit->slope * (sum_x - 2 * fit->mean_x));
    fit->half_gap = 0.5 * (gap(above, below, fit->slope) + width);
    fit->edge_sd = MIN_SCALE_NS;
    fit->points = fewer_points(above, below);
    return true;
}

/* ---- robust regression ---- */

/* The k-th smallest (from 0) distance of the points from the line through (mean, value) of this slope.
 * `absolute`: of the sizes of the distances. Found by bisection on the count of smaller ones, which needs no
 * memory. */
static double quantile(const pl_hull *h, double mean, double value, double slope, int k, bool absolute) {
    double low = INFINITY, high = -INFINITY;
    for (int pass = 0; pass < QUANTILE_BISECTIONS; pass++) { /* the first pass finds the range */
        double middle = 0.5 * (low + high);
        int below = 0;
        for (int i = 0; i < h->count; i++) {
            int p = pl_hull_place(h, i);
            double distance = h->y[p] - value - slope * (h->x[p] - mean);
            if (absolute) distance = fabs(distance);
            if (!pass) {
                low = fmin(low, distance);
                high = fmax(high, distance);
            } else if (distance <= middle) {
                below++;
            }
        }
        if (!pass) continue;
        if (below > k) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return 0.5 * (low + high);
}

bool pl_fit_robust_rt(const pl_hull *h, pl_slope_prior prior, pl_fit *fit) {
    if (!h->count) return false;
    int half = h->count / 2;
    double mean = h->sum_x / h->count, slope = prior.slope, value = quantile(h, mean, 0, slope, half, false);
    double scale = 0, slope_variance = 0, weights = 0, prior_variance = prior.slope_sd * prior.slope_sd;
    for (int pass = 0; pass < REGRESSIONS; pass++) {
        scale = fmax(PL_NORMAL_SD * quantile(h, mean, value, slope, half, true), MIN_SCALE_NS);
        double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0; /* weighted sums */
        for (int i = 0; i < h->count; i++) {
            int p = pl_hull_place(h, i);
            double dx = h->x[p] - mean, dy = h->y[p] - value, u = (dy - slope * dx) / (BIWEIGHT * scale);
            double w = fabs(u) < 1 ? (1 - u * u) * (1 - u * u) : 0;
            sw += w;
            sx += w * dx;
            sy += w * dy;
            sxx += w * dx * dx;
            sxy += w * dx * dy;
        }
        if (sw <= 0) break;
        double point_variance = scale * scale * CORRELATED_POINTS;
        double information = (sxx - sx * sx / sw) / point_variance + 1 / prior_variance;
        slope = ((sxy - sx * sy / sw) / point_variance + prior.slope / prior_variance) / information;
        value += (sy - slope * sx) / sw;
        slope_variance = 1 / information;
        weights = sw;
    }
    fit->mean_x = mean;
    fit->slope = clamp_slope(slope);
    fit->slope_sd = sqrt(slope_variance);
    fit->value = value;
    fit->edge_sd = scale * sqrt(CORRELATED_POINTS / fmax(weights, CORRELATED_POINTS));
    fit->half_gap = 0;
    fit->points = h->count;
    return true;
}
