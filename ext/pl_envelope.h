/* Lines under clouds of points whose noise is one-sided: a packet, and an audio callback, can be late but never early.
 *
 * A hull holds the lower convex hull of the points of the last `window`; the least points of each short bucket stand for all of it.
 * The line of a single cloud (the clock of a sound card) is the hull's edge over the mean abscissa, which is the line under all
 * points with the least sum of distances (Moon, Skelly, Towsley: "Estimation and removal of clock skew from network delay
 * measurements", INFOCOM 1999). Two clouds with one common slope (an exchange of packets: the delays there bound the clock's offset
 * from above, the delays back from below) take the slope with the greatest gap between the two lines: the same criterion for both
 * clouds together. The offset is the middle of the gap.
 *
 * A slope from a short window is drawn towards a prior, by the ratio of their variances. The scale of the noise at the edge is read
 * from the spacing of the least residuals, without knowing its distribution.
 *
 * No allocation, no system call: all of it is callable in the audio callback. Coordinates are doubles relative to the owner's base. */
#ifndef PL_ENVELOPE_H
#define PL_ENVELOPE_H

#include <stdbool.h>

enum { PL_HULL_BUCKETS = 2048 };

typedef struct {
    double window, bucket;                           /* in units of x */
    double loosening;                                /* a strip's bound of age t holds but for loosening * t^2: the line may be bent */
    double x[PL_HULL_BUCKETS], y[PL_HULL_BUCKETS];   /* closed buckets, a ring in order of x; y is plus loosening * x^2 */
    int head, count;
    short vertex[PL_HULL_BUCKETS];                   /* the hull's corners as ring places, a stack */
    int vertices;
    double sum_x;
    bool open;                                       /* the bucket being filled is not yet part of the hull */
    double open_start, open_x, open_y;
} pl_hull;

typedef struct {
    double slope, slope_sd;       /* y per x */
    double mean_x;                /* abscissa of the centre of the points */
    double value;                 /* the line at mean_x */
    double edge_sd;               /* standard deviation of the line's height at mean_x */
    double half_gap;              /* two clouds: half the distance of the two lines, the least one-way delay */
    int points;
} pl_fit;

typedef struct { double slope, slope_sd; } pl_slope_prior;

void pl_hull_init(pl_hull *hull, double window, double bucket);
void pl_hull_clear_rt(pl_hull *hull);
/* Take a point in, unless x is not after all closed buckets. `slope` is the present estimate, by which points within one bucket are
 * compared.
 * True when a bucket was closed, that is, when the hull may have changed. */
bool pl_hull_add_rt(pl_hull *hull, double x, double y, double slope);
/* Close the bucket being filled, so that a fit sees everything. */
void pl_hull_flush_rt(pl_hull *hull);
/* Forget the closed buckets before x. */
void pl_hull_cut_rt(pl_hull *hull, double x);

/* The ring's place of the closed bucket number i; the oldest is number 0. */
static inline int pl_hull_place(const pl_hull *hull, int i) { return (hull->head + i) & (PL_HULL_BUCKETS - 1); }
/* The least point of the bucket being filled. */
static inline double pl_hull_open_y(const pl_hull *hull) { return hull->open_y - hull->loosening * hull->open_x * hull->open_x; }
static inline double pl_hull_oldest_x(const pl_hull *hull) { return hull->x[hull->head]; }
static inline double pl_hull_newest_x(const pl_hull *hull) { return hull->x[pl_hull_place(hull, hull->count - 1)]; }

/* The line under one cloud. False when there is no point yet. */
bool pl_fit_one_rt(const pl_hull *lower, pl_slope_prior prior, pl_fit *fit);
/* The common line of two clouds: `above` lies above it, `below_negated` holds the cloud that lies below it with y negated. */
bool pl_fit_two_rt(const pl_hull *above, const pl_hull *below_negated, pl_slope_prior prior, pl_fit *fit);

/* The line in the middle of a strip: it lies below all points of `above`, and above those of `below_negated` less `width`, which is made as wide
 * as it takes. None of these bounds errs, so every slope that keeps to them is as likely, but for the prior. `half_gap`: half the
 * height of what the bounds leave, at the slope found. */
bool pl_fit_strip_rt(const pl_hull *above, const pl_hull *below_negated, double width, pl_slope_prior prior, pl_fit *fit);
/* The least width with which bounds and one line go together; negative where the bounds leave room. Of two clouds that have points. */
double pl_strip_width_rt(const pl_hull *above, const pl_hull *below_negated);

/* The line through the points of one cloud whose noise goes both ways: regression by iteratively reweighted least squares with Tukey's
 * biweight (Beaton and Tukey, "The fitting of power series", Technometrics 1974), the slope drawn towards the prior. */
bool pl_fit_robust_rt(const pl_hull *points, pl_slope_prior prior, pl_fit *fit);

static inline double pl_fit_at(const pl_fit *f, double x) { return f->value + f->slope * (x - f->mean_x); }

#endif
