/* Where a machine may be in the responses, and the rate of the microphone's clock.
 *
 * A machine is searched where all its repeats have a large response at the same delay: at each delay, the
 * least of the repeats counts. Such a place is the machine's if the repeats correlate there, each with
 * each. */
#ifndef PL_PLACES_H
#define PL_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "pl_pass.h"

enum { PL_MAX_PAIRS = PL_MAX_STARTS * (PL_MAX_STARTS - 1) / 2 }; /* of repeats */

/* Repeats are correlated from before a place to after it. */
static const double PL_PLACE_BEFORE_S = 0.003, PL_PLACE_AFTER_S = 0.03;

typedef struct {
    pl_pass *pass;
    float *blocks[PL_SWEEPS]; /* largest response of each block and its neighbours */
    int64_t block_count;
    double block_frames;
    double floors[PL_SWEEPS];    /* median of the responses */
    int32_t lags, window_frames; /* of correlations */
    float *least;                /* for each delay */
    int32_t delays;
    pl_complex *windows; /* of repeats */
} pl_search;

typedef struct {
    double delay_s, peak; /* peak: the least response of the repeats; 0: there is no place */
    double agreement;     /* least correlation of two repeats, 0 to 1 */
    float *correlations;  /* of each pair at pl_search_lags lags, each 0 to 1; another's memory */
} pl_place;

/* Allocate memory for the search. False if there is not enough; pl_search_free must be called in any case. */
bool pl_search_init(pl_search *s, pl_pass *pass);
void pl_search_free(pl_search *s);
/* How many lags each pair of repeats has in pl_place.correlations. */
int32_t pl_search_lags(const pl_search *s);
/* The responses have changed. False if there is not enough memory. */
bool pl_search_refresh(pl_search *s);
/* Find the rate of the clock, which goes into the pass, and a place for each machine. Here and below, one
 * more place, `spare`, is used to work with. */
void pl_search_places(pl_search *s, const pl_sounds *sounds, int32_t machines, pl_place *places,
                      pl_place *spare);
/* Find a place of one machine now that the rate is known. */
bool pl_search_place(pl_search *s, const pl_sounds *sounds, pl_place *place, pl_place *spare);
/* Do two repeats agree at one place, although not all do? */
bool pl_search_pair(pl_search *s, const pl_sounds *sounds, pl_place *place, pl_place *spare);
/* A response of this size would be a place. */
double pl_search_floor(const pl_search *s, const pl_sounds *sounds);

#endif
