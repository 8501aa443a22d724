#include "pl_envelope.h"

#include <math.h>
#include <string.h>

enum { MASK = PL_HULL_BUCKETS - 1, LEAST = 4 };
static const double EDGE_FACTOR = 0.8, SLOPE_FACTOR = 4.0;
static const double BIWEIGHT = 4.685;      /* Tukey's: 95 % efficient for normal noise */
static const double TOGETHER = 10;         /* so many neighbouring points of a smoothed account err alike */
static const double MIN_SCALE_NS = 2e3;
static const double STRIP_ROOM_NS = 20e3;   /* no bounds are kept to more exactly: a frame's length */
static const double MAX_SLOPE = 1e-3;   /* no crystal runs a thousand ppm off */

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

/* Is q above (or on) the segment from p to r, so that it is no corner of the lower hull? */
static bool not_corner(const pl_hull *h, int p, int q, int r) {
    return (h->y[q] - h->y[p]) * (h->x[r] - h->x[p]) >= (h->y[r] - h->y[p]) * (h->x[q] - h->x[p]);
}

static void push_vertex(pl_hull *h, int place) {
    while (h->vertices >= 2 && not_corner(h, h->vertex[h->vertices - 2], h->vertex[h->vertices - 1], place)) h->vertices--;
    h->vertex[h->vertices++] = (short)place;
}

static void rebuild(pl_hull *h) {
    h->vertices = 0;
    for (int i = 0; i < h->count; i++) push_vertex(h, (h->head + i) & MASK);
}

static void drop(pl_hull *h) {
    h->sum_x -= h->x[h->head];
    h->head = (h->head + 1) & MASK;
    h->count--;
}

static void drop_oldest(pl_hull *h) {
    bool was_corner = h->vertices && h->vertex[0] == h->head;
    drop(h);
    if (was_corner) rebuild(h);   /* points hidden behind the lost corner come out again */
}

void pl_hull_flush_rt(pl_hull *h) {
    if (!h->open) return;
    h->open = false;
    while (h->count == PL_HULL_BUCKETS || (h->count && h->x[h->head] < h->open_x - h->window)) drop_oldest(h);
    int place = (h->head + h->count) & MASK;
    h->x[place] = h->open_x;
    h->y[place] = h->open_y;
    h->sum_x += h->open_x;
    h->count++;
    push_vertex(h, place);
}

void pl_hull_cut_rt(pl_hull *h, double x) {
    while (h->count && h->x[h->head] < x) drop(h);
    rebuild(h);
}

bool pl_hull_add_rt(pl_hull *h, double x, double y, double slope) {
    if (h->count && x <= h->x[(h->head + h->count - 1) & MASK]) return false;   /* overtaken on the way */
    y += h->loosening * x * x;
    slope += 2 * h->loosening * x;
    if (h->open && x - h->open_start < h->bucket) {
        if (y - slope * x < h->open_y - slope * h->open_x) { h->open_x = x; h->open_y = y; }
        return false;
    }
    bool closed = h->open;
    pl_hull_flush_rt(h);
    h->open = true;
    h->open_start = h->open_x = x;
    h->open_y = y;
    return closed;
}

/* The corner where a line of this slope touches the hull from below: the edges before it rise less than the line, those behind it no less. A
 * smooth account makes corners of all its points. */
static int touch(const pl_hull *h, double slope) {
    slope += 2 * h->loosening * pl_hull_newest_x(h);
    int least = 0, most = h->vertices - 1;
    while (least < most) {
        int middle = (least + most) / 2, p = h->vertex[middle], q = h->vertex[middle + 1];
        if (h->y[q] - h->y[p] < slope * (h->x[q] - h->x[p])) least = middle + 1; else most = middle;
    }
    return h->vertex[least];
}

/* The spread of the least residuals above the line: e(4) - e(1). The lateness of the edge itself, e(1), has a standard deviation of
 * about 0.33 of it for an exponential tail and 0.44 for a tail that rises like a triangle (two exponential delays in series); a line
 * that was chosen to touch the least points sees them closer together than they are. The factors are those with which the truth lies
 * within two deviations 95 times of 100 in the simulated links of tests/native/test_filter.py. */
static double edge_sd(const pl_hull *h, double slope) {
    double least[LEAST] = {INFINITY, INFINITY, INFINITY, INFINITY};
    for (int i = 0; i < h->count; i++) {
        int p = (h->head + i) & MASK;
        double e = h->y[p] - slope * h->x[p];
        if (e >= least[LEAST - 1]) continue;
        int k = LEAST - 1;
        for (; k && least[k - 1] > e; k--) least[k] = least[k - 1];
        least[k] = e;
    }
    if (h->count < LEAST) return INFINITY;   /* the line goes through two of them: they say nothing of its error */
    return EDGE_FACTOR * (least[LEAST - 1] - least[0]);
}

static double span(const pl_hull *h) { return h->count ? h->x[(h->head + h->count - 1) & MASK] - h->x[h->head] : 0; }

/* Draw a measured slope towards the prior by the inverse of their variances. */
static void shrink(pl_fit *fit, double measured, double sd, pl_slope_prior prior) {
    double vp = prior.slope_sd * prior.slope_sd;
    double w = isfinite(sd) ? vp / (vp + sd * sd) : 0;
    fit->slope = fmax(-MAX_SLOPE, fmin(MAX_SLOPE, w * measured + (1 - w) * prior.slope));
    fit->slope_sd = isfinite(sd) ? sqrt(w) * sd : prior.slope_sd;
    if (!isfinite(fit->slope_sd)) fit->slope_sd = prior.slope_sd;
}

bool pl_fit_one_rt(const pl_hull *h, pl_slope_prior prior, pl_fit *fit) {
    if (!h->count) return false;
    double mean = h->sum_x / h->count, slope = prior.slope;
    for (int i = 1; i < h->vertices; i++) {
        int p = h->vertex[i - 1], q = h->vertex[i];
        if (h->x[q] >= mean || i == h->vertices - 1) { slope = (h->y[q] - h->y[p]) / (h->x[q] - h->x[p]); break; }
    }
    double sd = edge_sd(h, slope), length = span(h);
    shrink(fit, slope, length > 0 ? SLOPE_FACTOR * sd / length : INFINITY, prior);
    int t = touch(h, fit->slope);
    fit->mean_x = mean;
    fit->value = h->y[t] - fit->slope * (h->x[t] - mean);
    fit->edge_sd = edge_sd(h, fit->slope);
    fit->half_gap = 0;
    fit->points = h->count;
    return true;
}

/* The slope from which on the lower line touches less than `ahead` later than the upper one. */
static double slope_where(const pl_hull *a, const pl_hull *b, double ahead) {
    double lo = -MAX_SLOPE, hi = MAX_SLOPE;
    for (int i = 0; i < 50; i++) {
        double s = 0.5 * (lo + hi);
        if (b->x[touch(b, -s)] - a->x[touch(a, s)] > ahead) lo = s; else hi = s;
    }
    return 0.5 * (lo + hi);
}

bool pl_fit_two_rt(const pl_hull *a, const pl_hull *b, pl_slope_prior prior, pl_fit *fit) {
    if (!a->count || !b->count) return false;
    double mean = (a->sum_x + b->sum_x) / (a->count + b->count);
    /* The gap as a function of the slope is concave; it rises while the lower line touches right of where the upper one does. Where both
     * touch at about the same time it is all but flat, and the middle of the flat is the best guess. */
    double length = fmin(span(a), span(b)), near = 0.05 * length;
    double least = slope_where(a, b, near), most = slope_where(a, b, -near), slope = 0.5 * (least + most);
    double sa = edge_sd(a, slope), sb = edge_sd(b, -slope), sd = 0.5 * sqrt(sa * sa + sb * sb);
    double flat = 0.3 * (most - least);   /* the deviation of an even distribution */
    shrink(fit, slope, length > 0 ? hypot(SLOPE_FACTOR * sd / length, flat) : INFINITY, prior);
    int p = touch(a, fit->slope), q = touch(b, -fit->slope);
    double above = a->y[p] - fit->slope * (a->x[p] - mean), below = -b->y[q] - fit->slope * (b->x[q] - mean);
    sa = edge_sd(a, fit->slope);
    sb = edge_sd(b, -fit->slope);
    fit->mean_x = mean;
    fit->value = 0.5 * (above + below);
    fit->half_gap = 0.5 * (above - below);
    fit->edge_sd = 0.5 * sqrt(sa * sa + sb * sb);
    fit->points = a->count < b->count ? a->count : b->count;
    return true;
}

/* The height of a corner, raised by its age. loosening * (now - x)^2 is the square of x, which is in y already, and a line, by which the whole
 * hull is sheared: so it stays a hull as time passes. */
static double raised(const pl_hull *h, int p) {
    double now = pl_hull_newest_x(h);
    return h->y[p] + h->loosening * now * (now - 2 * h->x[p]);
}

/* How far the upper line lies above the lower one, both of this slope. */
static double gap(const pl_hull *a, const pl_hull *b, double slope) {
    int p = touch(a, slope), q = touch(b, -slope);
    return raised(a, p) + raised(b, q) - slope * (a->x[p] - b->x[q]);
}

/* The last slope, from `within` towards `beyond`, at which the gap is no less than `least`: it falls on the way. */
static double slope_until(const pl_hull *a, const pl_hull *b, double within, double beyond, double least) {
    for (int i = 0; i < 40; i++) {
        double s = 0.5 * (within + beyond);
        if (gap(a, b, s) >= least) within = s; else beyond = s;
    }
    return within;
}

double pl_strip_width_rt(const pl_hull *a, const pl_hull *b) { return -gap(a, b, slope_where(a, b, 0)); }

bool pl_fit_strip_rt(const pl_hull *a, const pl_hull *b, double width, pl_slope_prior prior, pl_fit *fit) {
    if (!a->count || !b->count) return false;
    double widest = slope_where(a, b, 0);
    width = fmax(width, STRIP_ROOM_NS - gap(a, b, widest));
    double least = slope_until(a, b, widest, -MAX_SLOPE, -width), most = slope_until(a, b, widest, MAX_SLOPE, -width);
    shrink(fit, 0.5 * (least + most), (most - least) / sqrt(12), prior);
    fit->slope = fmax(least, fmin(most, fit->slope));
    int p = touch(a, fit->slope), q = touch(b, -fit->slope);
    fit->mean_x = 0.5 * (a->x[p] + b->x[q]);
    fit->value = 0.5 * (raised(a, p) - raised(b, q) - width - fit->slope * (a->x[p] + b->x[q] - 2 * fit->mean_x));
    fit->half_gap = 0.5 * (gap(a, b, fit->slope) + width);
    fit->edge_sd = MIN_SCALE_NS;
    fit->points = a->count < b->count ? a->count : b->count;
    return true;
}

/* The k-th smallest of the points' distances from the line through (mean, value) with this slope, from the count of those below a
 * threshold: a bisection needs no memory. `absolute`: of the distances' sizes. */
static double quantile(const pl_hull *h, double mean, double value, double slope, int k, bool absolute) {
    double lo = INFINITY, hi = -INFINITY;
    for (int pass = 0; pass < 40; pass++) {
        double middle = 0.5 * (lo + hi);
        int below = 0;
        for (int i = 0; i < h->count; i++) {
            int p = (h->head + i) & MASK;
            double e = h->y[p] - value - slope * (h->x[p] - mean);
            if (absolute) e = fabs(e);
            if (!pass) { lo = fmin(lo, e); hi = fmax(hi, e); }
            else if (e <= middle) below++;
        }
        if (pass) { if (below > k) hi = middle; else lo = middle; }
    }
    return 0.5 * (lo + hi);
}

bool pl_fit_robust_rt(const pl_hull *h, pl_slope_prior prior, pl_fit *fit) {
    if (!h->count) return false;
    double mean = h->sum_x / h->count, slope = prior.slope;
    double value = quantile(h, mean, 0, slope, h->count / 2, false), scale = 0, slope_variance = 0, weights = 0;
    for (int pass = 0; pass < 5; pass++) {
        scale = fmax(1.4826 * quantile(h, mean, value, slope, h->count / 2, true), MIN_SCALE_NS);
        double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
        for (int i = 0; i < h->count; i++) {
            int p = (h->head + i) & MASK;
            double dx = h->x[p] - mean, y = h->y[p] - value, u = (y - slope * dx) / (BIWEIGHT * scale);
            double w = fabs(u) < 1 ? (1 - u * u) * (1 - u * u) : 0;
            sw += w; sx += w * dx; sy += w * y; sxx += w * dx * dx; sxy += w * dx * y;
        }
        if (sw <= 0) break;
        double per_point = scale * scale * TOGETHER, prior_variance = prior.slope_sd * prior.slope_sd;
        double information = (sxx - sx * sx / sw) / per_point + 1 / prior_variance;
        slope = ((sxy - sx * sy / sw) / per_point + prior.slope / prior_variance) / information;
        value += (sy - slope * sx) / sw;
        slope_variance = 1 / information;
        weights = sw;
    }
    fit->mean_x = mean;
    fit->slope = fmax(-MAX_SLOPE, fmin(MAX_SLOPE, slope));
    fit->slope_sd = sqrt(slope_variance);
    fit->value = value;
    fit->edge_sd = scale * sqrt(TOGETHER / fmax(weights, TOGETHER));
    fit->half_gap = 0;
    fit->points = h->count;
    return true;
}
