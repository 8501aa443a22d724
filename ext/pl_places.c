#include "pl_places.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The search is over blocks of this length. The largest response within SMEAR_BLOCKS to both sides counts,
 * because the rate of the clock is not known yet. */
static const double BLOCK_S = 0.00025;
enum { SMEAR_BLOCKS = 2 };
/* Clocks of sound cards are off by at most this, and the steps in which rates are tried shift a sound at
 * the end of a pass by at most RATE_STEP_S. */
static const double MAX_RATE_ERROR = 150e-6, RATE_STEP_S = 0.0005;
/* Places that are compared, and their least distance. */
enum { PLACES = 6 };
static const double PLACE_S = 0.03;
/* The response at a place, as a multiple of the median of all responses. */
static const double MIN_PEAK_FLOORS = 5;

/* Repeats are correlated in steps of a few frames, and at lags up to this: the rate that is tried first may
 * be so wrong that two repeats are found at opposite ends of the smear. */
static const double MAX_LAG_S = 0.0014;
enum { CORRELATION_STEP = 4 };
/* The least correlation of two repeats. A window has about 130 independent values, so two windows of noise
 * reach it with a probability of exp(-130 * 0.25^2) = 3e-4 at each lag, and three pairs of three repeats
 * with less than its square. */
static const double MIN_CORRELATION = 0.25;
/* The same when the rate is known: at a lag of at most MAX_KNOWN_LAG_S, exp(-130 * 0.2^2) = 0.6 % for each
 * pair. */
static const double MIN_KNOWN_CORRELATION = 0.2, MAX_KNOWN_LAG_S = 0.00006;
/* Two repeats that agree without the others correlate at least so well. */
static const double MIN_PAIR_CORRELATION = 0.5;

/* ---- where ---- */

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static bool init_blocks(pl_search *s, int sweep) {
    const pl_responses *r = s->pass->responses;
    float *peaks = calloc((size_t)s->block_count, sizeof *peaks);
    if (!peaks) return false;
    for (int64_t k = 0; k < r->count; k++) {
        int64_t at = (int64_t)((double)k / s->block_frames);
        float size = (float)sqrt(pl_squared(r->frames[sweep][k]));
        if (at < s->block_count && size > peaks[at]) peaks[at] = size;
    }
    for (int64_t k = 0; k < s->block_count; k++) {
        for (int64_t j = k - SMEAR_BLOCKS; j <= k + SMEAR_BLOCKS; j++)
            if (j >= 0 && j < s->block_count && peaks[j] > s->blocks[sweep][k])
                s->blocks[sweep][k] = peaks[j];
    }
    /* One frame of each block is enough for the median. */
    int64_t count = 0;
    for (int64_t k = 0; k < s->block_count; k++) {
        int64_t frame = (int64_t)((double)k * s->block_frames);
        if (frame < r->count) peaks[count++] = (float)sqrt(pl_squared(r->frames[sweep][frame]));
    }
    qsort(peaks, (size_t)count, sizeof *peaks, compare_floats);
    s->floors[sweep] = count ? peaks[count / 2] : 0;
    free(peaks);
    return true;
}

/* For each delay, the least response of these repeats (a set of bits). */
static void find_least(pl_search *s, const pl_sounds *sounds, uint32_t repeats) {
    bool first = true;
    for (int32_t k = 0; k < sounds->count; k++) {
        if (!(repeats >> k & 1)) continue;
        const float *blocks = s->blocks[sounds->sweep];
        int64_t at =
            (int64_t)floor(pl_pass_frame(s->pass, sounds->starts_s[k], -s->pass->reach_s) / s->block_frames);
        for (int32_t j = 0; j < s->delays; j++, at++) {
            float size = at >= 0 && at < s->block_count ? blocks[at] : 0;
            if (first || size < s->least[j]) s->least[j] = size;
        }
        first = false;
    }
}

/* How well all machines are found at this rate. */
static double fit_of_rate(pl_search *s, const pl_sounds *sounds, int32_t machines) {
    double sum = 0;
    for (int32_t i = 0; i < machines; i++) {
        find_least(s, &sounds[i], ~0u);
        float largest = 0;
        for (int32_t j = 0; j < s->delays; j++) largest = s->least[j] > largest ? s->least[j] : largest;
        sum += log(fmax(1, largest / (s->floors[sounds[i].sweep] + 1e-30)));
    }
    return sum;
}

static void find_rough_rate(pl_search *s, const pl_sounds *sounds, int32_t machines) {
    double last_s = RATE_STEP_S;
    for (int32_t i = 0; i < machines; i++) last_s = fmax(last_s, sounds[i].starts_s[sounds[i].count - 1]);
    int32_t steps = (int32_t)ceil(MAX_RATE_ERROR * last_s / RATE_STEP_S);
    double best = -1, found = 0;
    for (int32_t k = 0; k <= 2 * steps; k++) { /* 0, 1, -1, 2, -2 ...: of equals, the smallest */
        s->pass->rate_error = (k % 2 ? 1 : -1) * ((k + 1) / 2) * MAX_RATE_ERROR / steps;
        double fit = fit_of_rate(s, sounds, machines);
        if (fit > best) {
            best = fit;
            found = s->pass->rate_error;
        }
    }
    s->pass->rate_error = found;
}

/* ---- where the repeats agree ---- */

/* Correlate these repeats at a delay, each with each. The windows have `lags` more frames at both ends. */
static void correlate_repeats(pl_search *s, const pl_sounds *sounds, uint32_t repeats, pl_place *p) {
    int32_t whole = s->window_frames + 2 * s->lags, pair = 0;
    for (int32_t k = 0; k < sounds->count; k++) {
        double from = pl_pass_frame(s->pass, sounds->starts_s[k], p->delay_s - PL_PLACE_BEFORE_S) - s->lags;
        if (repeats >> k & 1) pl_pass_copy(s->pass, sounds->sweep, from, whole, s->windows + k * whole);
    }
    p->agreement = 1;
    for (int32_t a = 0; a < sounds->count; a++) {
        for (int32_t b = 0; b < a; b++, pair++) {
            if (!(repeats >> a & repeats >> b & 1)) continue;
            const pl_complex *late = s->windows + a * whole, *early = s->windows + b * whole + s->lags;
            float *to = p->correlations + pair * (2 * s->lags + 1);
            double largest = 0;
            double both = pl_energy(early, s->window_frames, CORRELATION_STEP) *
                          pl_energy(late + s->lags, s->window_frames, CORRELATION_STEP);
            for (int32_t lag = 0; lag <= 2 * s->lags; lag++) {
                double re, im;
                pl_correlate(late + lag, early, s->window_frames, CORRELATION_STEP, &re, &im);
                to[lag] = (float)sqrt((re * re + im * im) / (both + 1e-30));
                largest = fmax(largest, to[lag]);
            }
            p->agreement = fmin(p->agreement, largest);
        }
    }
}

/* Find where these repeats agree best. `spare` is a second place to work with. False if there is none
 * where the agreement is at least `min_agreement`. */
static bool find_place(pl_search *s, const pl_sounds *sounds, uint32_t repeats, double min_agreement,
                       pl_place *best, pl_place *spare) {
    find_least(s, sounds, repeats);
    best->peak = best->agreement = 0;
    double block_s = s->block_frames / s->pass->responses->rate_hz;
    int32_t apart = (int32_t)(PLACE_S / block_s);
    for (int tries = 0; tries < PLACES; tries++) {
        int32_t at = 0;
        for (int32_t j = 1; j < s->delays; j++) at = s->least[j] > s->least[at] ? j : at;
        spare->peak = s->least[at];
        if (spare->peak <= MIN_PEAK_FLOORS * s->floors[sounds->sweep]) break;
        spare->delay_s = (at + 0.5) * block_s - s->pass->reach_s;
        for (int32_t j = at - apart; j <= at + apart; j++)
            if (j >= 0 && j < s->delays) s->least[j] = 0;
        correlate_repeats(s, sounds, repeats, spare);
        if (spare->agreement >= min_agreement &&
            spare->agreement * spare->peak > best->agreement * best->peak) {
            pl_place found = *spare;
            *spare = *best;
            *best = found;
        }
    }
    return best->peak > 0;
}

/* ---- the rate of the clock ---- */

/* Sum of the correlations of all machines at this rate, relative to the one that was tried. Long times count
 * more. Machines without an agreement have none. */
static double agreement_at(const pl_search *s, const pl_sounds *sounds, int32_t machines,
                           const pl_place *places, double rate) {
    double sum = 0;
    for (int32_t i = 0; i < machines; i++) {
        const float *from = places[i].correlations;
        for (int32_t a = 0; a < sounds[i].count && places[i].peak > 0; a++) {
            for (int32_t b = 0; b < a; b++, from += 2 * s->lags + 1) {
                double apart_s = sounds[i].starts_s[a] - sounds[i].starts_s[b];
                double lag = s->lags + rate * apart_s * s->pass->responses->rate_hz;
                int32_t k = (int32_t)floor(lag);
                if (k < 0 || k >= 2 * s->lags) continue;
                sum += apart_s * (from[k] + (lag - k) * (from[k + 1] - from[k]));
            }
        }
    }
    return sum;
}

static void find_rate(pl_search *s, const pl_sounds *sounds, int32_t machines, const pl_place *places) {
    double longest_s = 0;
    for (int32_t i = 0; i < machines; i++)
        longest_s = fmax(longest_s, sounds[i].starts_s[sounds[i].count - 1] - sounds[i].starts_s[0]);
    if (longest_s <= 0) return;
    double rate_hz = s->pass->responses->rate_hz, step = 0.1 / (longest_s * rate_hz), best = 0, rate = 0;
    int32_t steps = 10 * s->lags;
    for (int32_t k = -steps; k <= steps; k++) {
        double sum = agreement_at(s, sounds, machines, places, k * step);
        if (sum > best) {
            best = sum;
            rate = k * step;
        }
    }
    double products = 0, squares = 0;
    for (int32_t i = 0; i < machines; i++) {
        const float *from = places[i].correlations;
        for (int32_t a = 0; a < sounds[i].count && places[i].peak > 0; a++) {
            for (int32_t b = 0; b < a; b++, from += 2 * s->lags + 1) {
                double apart_s = sounds[i].starts_s[a] - sounds[i].starts_s[b];
                int32_t near = s->lags + (int32_t)rint(rate * apart_s * rate_hz), at = -1;
                for (int32_t k = near - 2; k <= near + 2; k++) {
                    if (k <= 0 || k >= 2 * s->lags || from[k] < from[k - 1] || from[k] < from[k + 1])
                        continue;
                    if (at < 0 || from[k] > from[at]) at = k;
                }
                if (at < 0) continue;
                double lag = at + pl_vertex(from[at - 1], from[at], from[at + 1]) - s->lags;
                double weight = from[at] * from[at];
                products += weight * apart_s * lag / rate_hz;
                squares += weight * apart_s * apart_s;
            }
        }
    }
    if (squares > 0) rate = products / squares;
    s->pass->rate_error += rate;
}

/* ---- for others ---- */

bool pl_search_init(pl_search *s, pl_pass *pass) {
    double rate_hz = pass->responses->rate_hz;
    *s = (pl_search){.pass = pass, .block_frames = BLOCK_S * rate_hz};
    s->block_count = (int64_t)((double)pass->responses->count / s->block_frames) + 1;
    s->delays = (int32_t)(2 * pass->reach_s / BLOCK_S);
    s->lags = (int32_t)ceil(MAX_LAG_S * rate_hz);
    s->window_frames = (int32_t)((PL_PLACE_BEFORE_S + PL_PLACE_AFTER_S) * rate_hz);
    s->least = calloc((size_t)s->delays, sizeof *s->least);
    s->windows = calloc(PL_MAX_STARTS * (size_t)(s->window_frames + 2 * s->lags), sizeof *s->windows);
    bool good = s->least && s->windows;
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        s->blocks[sweep] = calloc((size_t)s->block_count, sizeof *s->blocks[sweep]);
        good = good && s->blocks[sweep];
    }
    return good && pl_search_refresh(s);
}

void pl_search_free(pl_search *s) {
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) free(s->blocks[sweep]);
    free(s->least);
    free(s->windows);
}

int32_t pl_search_lags(const pl_search *s) { return 2 * s->lags + 1; }

bool pl_search_refresh(pl_search *s) {
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        memset(s->blocks[sweep], 0, sizeof *s->blocks[sweep] * (size_t)s->block_count);
        if (!init_blocks(s, sweep)) return false;
    }
    return true;
}

void pl_search_places(pl_search *s, const pl_sounds *sounds, int32_t machines, pl_place *places,
                      pl_place *spare) {
    find_rough_rate(s, sounds, machines);
    for (int32_t i = 0; i < machines; i++) find_place(s, &sounds[i], ~0u, MIN_CORRELATION, &places[i], spare);
    find_rate(s, sounds, machines, places);
}

bool pl_search_place(pl_search *s, const pl_sounds *sounds, pl_place *place, pl_place *spare) {
    int32_t lags = s->lags;
    s->lags = (int32_t)ceil(MAX_KNOWN_LAG_S * s->pass->responses->rate_hz);
    bool found = find_place(s, sounds, ~0u, MIN_KNOWN_CORRELATION, place, spare);
    s->lags = lags;
    return found;
}

bool pl_search_pair(pl_search *s, const pl_sounds *sounds, pl_place *place, pl_place *spare) {
    for (int32_t a = 0; a < sounds->count; a++) {
        for (int32_t b = 0; b < a; b++) {
            if (find_place(s, sounds, 1u << a | 1u << b, MIN_PAIR_CORRELATION, place, spare)) return true;
        }
    }
    return false;
}

double pl_search_floor(const pl_search *s, const pl_sounds *sounds) {
    return MIN_PEAK_FLOORS * s->floors[sounds->sweep];
}
