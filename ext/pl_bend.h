/* A clock that changes its speed. The envelope of pl_envelope.h takes its points for one straight line; this finds out when they are none.
 *
 * The time up to now is cut into cells of equal length. Each cell has its least residual against the slope that was known before the last
 * four cells. A bend shows in these four as growth by equal steps, each far larger than the older cells' least residuals scatter. A busy
 * machine, a slower path and a step of the clock are no bends: they move the least residuals once and not on and on. Cells of many lengths
 * are tried: short ones find large changes soon, long ones find small changes. (The question is that of Chow, "Tests of equality between
 * sets of coefficients in two linear regressions", Econometrica 1960; the answer here is for edges, not for means.)
 *
 * When a bend is proven, the clouds begin anew with the points of the last three cells, and the slope with a prior as wide as the bend. How
 * much the older cells scattered is remembered for the next bend, which may come soon: a time daemon that mends an offset of a millisecond
 * changes the speed twice within seconds.
 *
 * No allocation, no system call: all of it is callable in the audio callback. Coordinates are those of pl_envelope.h, in ns. */
#ifndef PL_BEND_H
#define PL_BEND_H

#include <stdint.h>

#include "pl_envelope.h"

enum { PL_KNOWN_SLOPES = 128, PL_CELL_LENGTHS = 9 };

/* The least points of short buckets: all that came, also what the owner kept out of its line. And how the least residuals of cells of each
 * length scattered before the last bend: a standard deviation, INFINITY while it is unknown. */
typedef struct { pl_hull points; double scatter[PL_CELL_LENGTHS]; } pl_seen;

typedef struct {
    pl_seen above, below_negated;
    struct { double x, slope, slope_sd; } known[PL_KNOWN_SLOPES];   /* the owner's slope as it was known at x, a ring */
    int known_count;                                                /* the newest is known_count - 1 */
    int64_t bends;                                                  /* proven so far */
} pl_bend;

void pl_bend_init(pl_bend *bend);
/* Forget everything: the coordinates have changed. */
void pl_bend_clear_rt(pl_bend *bend);

/* One cloud: take a point in. `fit` is the line known so far, NULL when there is none. True when a bend is proven: then `lower` and `prior`
 * have been set anew. */
bool pl_bend_one_rt(pl_bend *bend, double x, double y, const pl_fit *fit, pl_hull *lower, pl_slope_prior *prior);
/* Two clouds, as in pl_fit_two_rt: take a point of each in; look for a bend, which both clouds must prove. */
void pl_bend_add_two_rt(pl_bend *bend, double x_above, double y_above, double x_below, double y_below_negated, double slope);
bool pl_bend_two_rt(pl_bend *bend, const pl_fit *fit, pl_hull *above, pl_hull *below_negated, pl_slope_prior *prior);

#endif
