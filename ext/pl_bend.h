/* Detection of a clock that changes its speed. The envelope of pl_envelope.h expects its points to lie along
 * one straight line; this file finds out when they no longer do.
 *
 *     residual against the slope that was known before the last four cells
 *        |                                         .
 *        |                                  ._____/    4      a bend: equal steps from cell to cell
 *        |                           .____./  3
 *        | .  .    .    .    . ____./  2
 *        |_._____.___.____._.___ 1
 *          older cells          | recent cells |  now
 *
 * Method. The time up to now is cut into cells of equal length L. For each cell k, r(k) is the least
 * residual of its points: the least y - slope * x, with the slope known before the last four cells.
 *   - No bend: r(k) scatters around a constant, with a standard deviation s measured on the older cells.
 *   - A bend: the slope has changed by d. Then r grows by the same step d * L from each cell to the next.
 *   - A busy machine, a slower path, a step of the clock: r changes once, and then stays.
 * So a bend is proven when the three steps between the last four cells have one sign, when the largest is at
 * most twice the smallest, and when the smallest is at least 6 * s (see MAX_STEP_RATIO and PROOF_SDS).
 *
 * Cells of nine lengths are tried. A step is d * L, so short cells prove a large change within a second, and
 * only long cells prove a small one. The question is that of Chow ("Tests of equality between sets of
 * coefficients in two linear regressions", Econometrica 1960). His test compares means. This one compares
 * minima, because the noise is one-sided.
 *
 * When a bend is proven, the owner's clouds are restarted with the points of the last three cells. The prior
 * of the new slope is the old slope, with d as its standard deviation. The scatter s of the older cells is
 * kept for the next bend. The next bend may come before there are enough cells to measure s again: a time
 * daemon that corrects an offset of a millisecond changes the speed twice within seconds.
 *
 * Nothing here allocates or makes a system call, so the audio callback may call all of it. Coordinates are
 * those of pl_envelope.h, in ns. */
#ifndef PL_BEND_H
#define PL_BEND_H

#include <stdint.h>

#include "pl_envelope.h"

/* Remembered slopes (see KNOWN_INTERVAL_NS), and lengths of cells (see CELL_NS). */
enum { PL_KNOWN_SLOPES = 128, PL_CELL_LENGTHS = 9 };

/* One cloud as this file sees it. */
typedef struct {
    /* The lowest points of short buckets, also those that the owner rejected. */
    pl_hull points;
    /* Of the least residuals before the last bend, for each cell length: one standard deviation; INFINITY
     * while unknown. */
    double scatter[PL_CELL_LENGTHS];
} pl_bend_cloud;

typedef struct {
    pl_bend_cloud above, below_negated;
    struct {
        double x, slope, slope_sd;
    } known[PL_KNOWN_SLOPES]; /* the owner's slope as it was known at x: a ring */
    int known_count;          /* written so far; the newest is known_count - 1 */
    int64_t bends;            /* proven so far */
} pl_bend;

void pl_bend_init(pl_bend *bend);
/* Remove all points: the coordinates have changed. */
void pl_bend_clear_rt(pl_bend *bend);

/* One cloud: add a point. `fit` is the line known so far, NULL when there is none. True when a bend is
 * proven: then `lower` and `prior` have been replaced. */
bool pl_bend_one_rt(pl_bend *bend, double x, double y, const pl_fit *fit, pl_hull *lower,
                    pl_slope_prior *prior);
/* Two clouds, as in pl_fit_two_rt: add a point of each. */
void pl_bend_add_two_rt(pl_bend *bend, double x_above, double y_above, double x_below, double y_below_negated,
                        double slope);
/* Two clouds: look for a bend, which both clouds must prove. True as in pl_bend_one_rt. */
bool pl_bend_two_rt(pl_bend *bend, const pl_fit *fit, pl_hull *above, pl_hull *below_negated,
                    pl_slope_prior *prior);

#endif
