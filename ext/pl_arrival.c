#include "pl_arrival.h"

#include <stdlib.h>
#include <string.h>

#include "pl_places.h"

/* How often each machine is examined: from the second time on without the sounds of the others. */
enum { ROUNDS = 3 };

/* Take a machine out of the responses to both sweeps (gain -1), or put it back (1). `cross` is a place to
 * work with. */
static void add_model(const pl_pass *pass, const pl_sounds *sounds, const pl_model *m, double gain,
                      pl_complex *cross) {
    if (!m->count) return;
    const pl_responses *r = pass->responses;
    pl_responses_cross(r, sounds->sweep, m->response, m->count, cross);
    for (int32_t k = 0; k < sounds->count; k++) {
        double from = pl_pass_frame(pass, sounds->starts_s[k], m->from_s);
        pl_pass_add(pass, sounds->sweep, from, m->response, m->count, gain * m->gains[k]);
        pl_pass_add(pass, 1 - sounds->sweep, from - r->cross_lead, cross, r->cross_count, gain * m->gains[k]);
    }
}

/* One look at a machine, while the others that are known are taken out. */
static void look_at(pl_search *s, pl_examiner *x, const pl_sounds *sounds, pl_place *p, pl_place *spare,
                    pl_model *m, pl_arrival *arrival) {
    arrival->noise = pl_search_floor(s, sounds);
    if (p->peak > 0 || pl_search_place(s, sounds, p, spare)) {
        pl_examine(x, sounds, p, arrival, m);
        return;
    }
    arrival->verdict = pl_search_pair(s, sounds, p, spare) ? PL_ARRIVAL_UNSTEADY : PL_ARRIVAL_ABSENT;
    p->peak = 0;
}

bool pl_arrivals_find(pl_responses *responses, double begin_s, double reach_s, const pl_sounds *sounds,
                      int32_t machines, pl_arrival *arrivals, double *rate_error) {
    pl_pass pass = {.responses = responses, .begin_s = begin_s, .reach_s = reach_s};
    pl_search search;
    pl_examiner examiner;
    bool good = pl_search_init(&search, &pass);
    good = pl_examiner_init(&examiner, &pass) && good;
    size_t count = (size_t)machines + 1; /* the last one is spare */
    size_t correlations = PL_MAX_PAIRS * (size_t)pl_search_lags(&search),
           examined = (size_t)examiner.examined;
    pl_place *places = calloc(count, sizeof *places);
    pl_model *models = calloc(count, sizeof *models);
    float *all = calloc(count * correlations, sizeof *all);
    pl_complex *all_responses = calloc(count * examined, sizeof *all_responses);
    pl_complex *cross = calloc((size_t)responses->cross_count, sizeof *cross);
    good = good && places && models && all && all_responses && cross;
    *rate_error = 0;
    if (good) {
        memset(arrivals, 0, sizeof *arrivals * (size_t)machines);
        for (size_t i = 0; i < count; i++) {
            places[i].correlations = all + i * correlations;
            models[i].response = all_responses + i * examined;
        }
        pl_place *spare = &places[machines];
        pl_search_places(&search, sounds, machines, places, spare);
        for (int round = 0; round < ROUNDS && good; round++) {
            for (int32_t i = 0; i < machines; i++) {
                add_model(&pass, &sounds[i], &models[i], 1, cross);
                look_at(&search, &examiner, &sounds[i], &places[i], spare, &models[i], &arrivals[i]);
                add_model(&pass, &sounds[i], &models[i], -1, cross);
            }
            good = pl_search_refresh(&search);
        }
        for (int32_t i = 0; i < machines; i++)
            if (places[i].peak > 0) *rate_error = pass.rate_error;
    }
    free(cross);
    free(all);
    free(all_responses);
    free(places);
    free(models);
    pl_search_free(&search);
    pl_examiner_free(&examiner);
    return good;
}
