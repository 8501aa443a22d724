/* Detection of a clock that changes its speed. The envelope of pl_envelope.h expects its points to lie along
 * one straight line; this finds out when they no longer do.
 *
 *     residual against the slope that was known before the last four cells
 *        |                                         .
 *        |                                  ._____/    4      a bend: equal steps from cell to cell
 *        |                           .____./  3
 *        | .  .    .    .    . ____./  2
 *        |_._____.___.____._.___ 1
 *          older cells          | recent cells |  now
 *
 * The time up to now is cut into cells of equal length. Each cell has its least residual against the slope
 * known before the last four cells. A bend shows in these four as growth by equal steps, each far larger than
 * the scatter of the older cells' least residuals. A busy machine, a slower path and a step of the clock are
 * no bends: they move the least residuals once, and not again and again. Cells of many lengths are tried:
 * short ones find large changes soon, long ones find small changes. (The question is that of Chow, "Tests of
 * equality between sets of coefficients in two linear regressions", Econometrica 1960; the answer here is for
 * edges, not for means.)
 *
 * When a bend is proven, the clouds are restarted with the points of the last three cells, and the slope with
 * a prior as wide as the bend. The scatter of the older cells is remembered for the next bend, which may come
 * soon: a time daemon that corrects an offset of a millisecond changes the speed twice within seconds.
 *
 * Nothing here allocates or makes a system call, so the audio callback may call all of it. Coordinates are
 * those of pl_envelope.h, in ns. */
#ifndef PL_BEND_H
#define PL_BEND_H

#include <stdint.h>

#include "pl_envelope.h"

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
    } known[PL_KNOWN_SLOPES];          /* the owner's slope as it was known at x: a ring */
    int known_count;                   /* written so far; the newest is known_count - 1 */
    int64_t bends;                     /* proven so far */
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
