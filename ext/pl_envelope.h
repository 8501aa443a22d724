/* Lines under clouds of points whose noise is one-sided: a packet or an audio callback can be late, but never
 * early.
 *
 *     y |    .        .      .        .  :     each point is the true line plus a delay >= 0
 *       | \      . .     .      .    _/
 *       |   \_          .      __..-'          lower convex hull of the points
 *       |     '-..______..--'''
 *       | ______________________________       a line under all points touches the hull at a corner
 *       +------------------------------- x
 *
 * A hull holds the points of the last `window`. Of each short bucket it keeps the lowest point only.
 *
 * One cloud (the clock of a sound card). The line is the edge of the hull over the mean x of the points. Of
 * all lines that lie under all points, this one has the least sum of vertical distances from them (Moon,
 * Skelly, Towsley: "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999).
 *
 * Two clouds (exchanges of packets). With o(x) = offset + slope * x, the line that is wanted,
 *     above:  y = o(x) + delay of the way there,    below:  y = o(x) - delay of the way back.
 * Two parallel lines of slope s are drawn: one under the cloud above, one over the cloud below. The estimate
 * is the s at which they lie furthest apart, and o is the middle between them. This is the criterion for one
 * cloud, applied to both together.
 *
 * Uncertainty. The scale of the noise near the line is estimated from the distance between the least and the
 * fourth least residual. This assumes no distribution of the delays (see edge_sd). In a short window the
 * slope is uncertain, so it is combined with a prior, each weighted by the inverse of its variance:
 *     slope = w * measured + (1 - w) * prior,    w = prior_sd^2 / (prior_sd^2 + measured_sd^2).
 *
 * Nothing here allocates or makes a system call, so the audio callback may call all of it. Coordinates are
 * doubles relative to a base that the owner keeps; both axes are in ns where PhaseLock uses them. */
#ifndef PL_ENVELOPE_H
#define PL_ENVELOPE_H

#include <math.h>
#include <stdbool.h>

/* A power of two, and enough for the longest window: 240 s of 125 ms are 1920 (see pl_output_clock.c). */
enum { PL_HULL_BUCKETS = 2048 };

/* Largest slope that is believed, a ratio: crystals run apart by less than 1000 ppm. */
#define PL_MAX_SLOPE 1e-3
/* Standard deviation over median absolute deviation, for normal noise. */
#define PL_NORMAL_SD 1.4826

typedef struct {
    double window, bucket; /* lengths in units of x */
    /* Strips only: a bound of age t holds to within loosening * t^2, because the true line may be bent. */
    double loosening;
    /* The closed buckets: a ring of `count`, the oldest at `head`. x rises strictly; y includes loosening *
     * x^2. */
    double x[PL_HULL_BUCKETS], y[PL_HULL_BUCKETS];
    int head, count;
    double sum_x;
    /* Ring places of the hull's corners, from left to right. */
    short vertex[PL_HULL_BUCKETS];
    int vertices;
    /* While `open`, a bucket is being filled that is not in the hull yet: its first x, and its lowest
     * point. */
    bool open;
    double open_start, open_x, open_y;
} pl_hull;

typedef struct {
    double slope, slope_sd; /* y per x; one standard deviation */
    double mean_x;          /* abscissa of the centre of the points */
    double value;           /* the line at mean_x */
    double edge_sd;         /* standard deviation of the line's height at mean_x; INFINITY while unknown */
    double half_gap;        /* two clouds: half the distance of the two lines, the least one-way delay */
    int points;
} pl_fit;

/* The slope expected before any point is seen, and its standard deviation. */
typedef struct {
    double slope, slope_sd;
} pl_slope_prior;

void pl_hull_init(pl_hull *hull, double window, double bucket);
void pl_hull_clear_rt(pl_hull *hull);
/* Add a point. It is ignored unless x lies behind all closed buckets. `slope` is the present estimate; points
 * within one bucket are compared along it. True when a bucket was closed: then the hull may have changed.
 *
 * Cost: O(1) on average. When the oldest corner leaves the window, the hull is rebuilt in
 * O(PL_HULL_BUCKETS). */
bool pl_hull_add_rt(pl_hull *hull, double x, double y, double slope);
/* Close the bucket being filled, so that a fit includes it. */
void pl_hull_flush_rt(pl_hull *hull);
/* Remove the closed buckets before x. */
void pl_hull_cut_rt(pl_hull *hull, double x);

/* The ring's place of the closed bucket number i; the oldest is number 0. */
static inline int pl_hull_place(const pl_hull *hull, int i) {
    return (hull->head + i) & (PL_HULL_BUCKETS - 1);
}
/* The lowest point of the bucket being filled. */
static inline double pl_hull_open_y(const pl_hull *hull) {
    return hull->open_y - hull->loosening * hull->open_x * hull->open_x;
}
/* Of a hull that has closed buckets. */
static inline double pl_hull_oldest_x(const pl_hull *hull) { return hull->x[hull->head]; }
static inline double pl_hull_newest_x(const pl_hull *hull) {
    return hull->x[pl_hull_place(hull, hull->count - 1)];
}

/* The line under one cloud. False when there is no point yet. */
bool pl_fit_one_rt(const pl_hull *lower, pl_slope_prior prior, pl_fit *fit);

/* The common line of two clouds: `above` lies above it; `below_negated` holds the cloud below it with y
 * negated. False when either has no point yet. */
bool pl_fit_two_rt(const pl_hull *above, const pl_hull *below_negated, pl_slope_prior prior, pl_fit *fit);

/* The line in the middle of a strip: below all points of `above`, and above the points of `below_negated`
 * less `width`. The width is increased where no line fits otherwise. The bounds are exact, so all slopes that
 * keep to them are equally likely, apart from the prior. `half_gap` is half the height of the room that the
 * bounds leave at the slope found. False when either has no point yet. */
bool pl_fit_strip_rt(const pl_hull *above, const pl_hull *below_negated, double width, pl_slope_prior prior,
                     pl_fit *fit);
/* The least width at which a line fits; negative where the bounds leave room. Both clouds must have
 * points. */
double pl_strip_width_rt(const pl_hull *above, const pl_hull *below_negated);

/* The line through the points of one cloud whose noise is two-sided: regression by iteratively reweighted
 * least squares with Tukey's biweight (Beaton and Tukey, "The fitting of power series", Technometrics 1974),
 * with the slope drawn towards the prior. False when there is no point yet. */
bool pl_fit_robust_rt(const pl_hull *points, pl_slope_prior prior, pl_fit *fit);

/* The line at x. */
static inline double pl_fit_at(const pl_fit *fit, double x) {
    return fit->value + fit->slope * (x - fit->mean_x);
}
/* One standard deviation of that; INFINITY while it is unknown. */
static inline double pl_fit_deviation(const pl_fit *fit, double x) {
    return hypot(fit->edge_sd, fit->slope_sd * (x - fit->mean_x));
}

#endif
