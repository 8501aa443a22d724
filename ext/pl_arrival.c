#include "pl_arrival.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- where a machine is searched ---- */

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

/* ---- where repeats agree ---- */

/* Repeats are correlated from before a place to after it, in steps of a few frames, and at lags up to
 * this: the rate that is tried first may be so wrong that two repeats are found at opposite ends of the
 * smear. */
static const double BEFORE_S = 0.003, AFTER_S = 0.03, MAX_LAG_S = 0.0014;
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
/* A repeat whose share in the common response is less than this, relative to the mean, is another sound. */
static const double MIN_REPEAT_SHARE = 0.3;
/* Repeats whose times differ by more disagree. */
static const double MAX_SPREAD_S = 0.0001;

/* ---- the first sound ---- */

static const double FIRST_SHARE = 0.12, SEARCH_S = 0.045;
/* The distortion of an upward sweep appears as pulses before the sweep's own (harmonic n by 83 ms * ln n),
 * and is weaker than FAR_SHARE. A flutter echo may be stronger than the direct sound even so late. */
static const double FAR_SHARE = 0.4, FAR_SEARCH_S = 0.09;
/* The strongest pulse is searched from before a place to after it: the place may be that of a flutter
 * echo. */
static const double PEAK_BEFORE_S = 0.14, PEAK_AFTER_S = 0.045;
/* Noise exceeds 4.5 times its RMS with a probability of exp(-4.5^2) = 1.6e-9 at each of about 400
 * independent moments of a search. The measured noise is itself uncertain: tests/audio/test_listening.py
 * counts alarms. */
static const double SURE_NOISES = 4.5;
static const double HIDDEN_SHARE = 0.36;
/* A sure pulse in front of the first one that has this share of the size needed makes the first one
 * doubtful. */
static const double DOUBTFUL_SHARE = 0.5;
/* Noise is the mean over this time to both sides. Over the time of a pulse, a pulse must be larger by
 * SURE_NOISES / SHARP_NOISE only: so a pulse that only one repeat has is noise. */
static const double NOISE_S = 0.002, SHARP_NOISE_S = 0.0001, SHARP_NOISE = 2;
/* A smaller set of repeats is used where it has less than this share of the noise power. */
static const double SUBSET_GAIN = 0.5;
enum { MAX_DROPPED = 2, EIGENVECTOR_PASSES = 30 };
/* The repeats are correlated over this time to measure their spread. */
static const double SPREAD_WINDOW_S = 0.02;
/* A pulse is narrower than this: another one in front of it has this distance. */
static const double CLEAR_S = 0.0001;
/* The response that is examined, before and after a place. After it, the echoes of a room have faded. */
static const double EXAMINED_BEFORE_S = 0.24, EXAMINED_AFTER_S = 0.3;

/* ---- the other machines ---- */

/* How often each machine is examined: from the second time on without the sounds of the others. */
enum { ROUNDS = 3 };
/* The part that is taken out of the responses begins this time before the first pulse. */
static const double MODEL_LEAD_S = 0.001;
/* The energy of a sound is measured over this time. */
static const double ENERGY_S = 0.05;

enum { MAX_PAIRS = PL_MAX_STARTS * (PL_MAX_STARTS - 1) / 2 };

typedef struct {
    pl_responses *responses; /* without the machines that were taken out */
    double begin_s, reach_s;
    float *blocks[PL_SWEEPS]; /* largest response of each block and its neighbours */
    int64_t block_count;
    double block_frames;
    double floors[PL_SWEEPS];    /* median of the responses */
    double rate_error;           /* the rate that is tried or was found */
    int32_t lags, window_frames; /* of correlations */
    float *least;                /* for each delay of a search */
    int32_t delays;              /* of a search */
    pl_complex *windows;         /* of repeats, for correlation or examination */
    pl_complex *common, *trial;  /* of examination */
    float *noise, *trial_noise;  /* power, of examination: over NOISE_S */
    float *sharp, *trial_sharp;  /* over SHARP_NOISE_S */
    double *sums;                /* running, one more than frames */
    int32_t examined;            /* frames */
    pl_complex *cross;           /* of one machine, to the other sweep */
} search;

/* A place where a machine may be. */
typedef struct {
    double delay_s, peak, agreement; /* least correlation of two repeats */
    float *correlations;             /* (pairs, 2 lags + 1), each from 0 to 1 */
} place;

/* The part of the responses that is one machine's. */
typedef struct {
    pl_complex *response; /* (count,), of the mean repeat, from `from_s` after the starts on */
    int32_t count;        /* 0: nothing is known of it */
    double from_s, gains[PL_MAX_STARTS];
} model;

static double squared(pl_complex z) { return (double)z.re * z.re + (double)z.im * z.im; }

static double clamp(double x, double low, double high) { return fmin(high, fmax(low, x)); }

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Where the sound that starts at `start_s` is, if it is `delay_s` late; in frames. */
static double frame_of(const search *s, double start_s, double delay_s) {
    return (s->begin_s + start_s * (1 + s->rate_error) + delay_s) * s->responses->rate_hz;
}

/* Vertex of the parabola through three values at -1, 0 and 1. */
static double vertex(double before, double at, double after) {
    double bend = before - 2 * at + after;
    return bend < 0 ? clamp(0.5 * (before - after) / bend, -0.5, 0.5) : 0;
}

/* ---- search ---- */

static bool init_blocks(search *s, int sweep) {
    const pl_responses *r = s->responses;
    float *peaks = calloc((size_t)s->block_count, sizeof *peaks);
    if (!peaks) return false;
    for (int64_t k = 0; k < r->count; k++) {
        int64_t at = (int64_t)((double)k / s->block_frames);
        float size = (float)sqrt(squared(r->frames[sweep][k]));
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
        if (frame < r->count) peaks[count++] = (float)sqrt(squared(r->frames[sweep][frame]));
    }
    qsort(peaks, (size_t)count, sizeof *peaks, compare_floats);
    s->floors[sweep] = count ? peaks[count / 2] : 0;
    free(peaks);
    return true;
}

/* For each delay, the least response of these repeats (a set of bits). */
static void find_least(search *s, const pl_sounds *sounds, uint32_t repeats) {
    bool first = true;
    for (int32_t k = 0; k < sounds->count; k++) {
        if (!(repeats >> k & 1)) continue;
        const float *blocks = s->blocks[sounds->sweep];
        int64_t at = (int64_t)floor(frame_of(s, sounds->starts_s[k], -s->reach_s) / s->block_frames);
        for (int32_t j = 0; j < s->delays; j++, at++) {
            float size = at >= 0 && at < s->block_count ? blocks[at] : 0;
            if (first || size < s->least[j]) s->least[j] = size;
        }
        first = false;
    }
}

/* How well all machines are found at this rate. */
static double fit_of_rate(search *s, const pl_sounds *sounds, int32_t machines) {
    double sum = 0;
    for (int32_t i = 0; i < machines; i++) {
        find_least(s, &sounds[i], ~0u);
        float largest = 0;
        for (int32_t j = 0; j < s->delays; j++) largest = s->least[j] > largest ? s->least[j] : largest;
        sum += log(fmax(1, largest / (s->floors[sounds[i].sweep] + 1e-30)));
    }
    return sum;
}

static void find_rough_rate(search *s, const pl_sounds *sounds, int32_t machines) {
    double last_s = RATE_STEP_S;
    for (int32_t i = 0; i < machines; i++) last_s = fmax(last_s, sounds[i].starts_s[sounds[i].count - 1]);
    int32_t steps = (int32_t)ceil(MAX_RATE_ERROR * last_s / RATE_STEP_S);
    double best = -1, found = 0;
    for (int32_t k = 0; k <= 2 * steps; k++) { /* 0, 1, -1, 2, -2 ...: of equals, the smallest */
        s->rate_error = (k % 2 ? 1 : -1) * ((k + 1) / 2) * MAX_RATE_ERROR / steps;
        double fit = fit_of_rate(s, sounds, machines);
        if (fit > best) {
            best = fit;
            found = s->rate_error;
        }
    }
    s->rate_error = found;
}

/* ---- agreement ---- */

/* Copy `count` frames of the responses from a fraction of a frame on, by cubic interpolation, and turn
 * them so that equal sounds are equal. */
static void copy_window(const search *s, int sweep, double from, int32_t count, pl_complex *to) {
    const pl_responses *r = s->responses;
    const pl_complex *z = r->frames[sweep];
    int64_t first = (int64_t)floor(from);
    double f = from - (double)first, angle = 2 * PI * fmod(r->turns * from, 1);
    double weights[4] = {-f * (f - 1) * (f - 2) / 6, (f + 1) * (f - 1) * (f - 2) / 2,
                         -(f + 1) * f * (f - 2) / 2, (f + 1) * f * (f - 1) / 6};
    float c[4], d[4];
    for (int k = 0; k < 4; k++) {
        c[k] = (float)(weights[k] * cos(angle));
        d[k] = (float)(weights[k] * sin(angle));
    }
    for (int32_t j = 0; j < count; j++) {
        pl_complex sum = {0};
        for (int k = 0; k < 4; k++) {
            int64_t at = first + j + k - 1;
            if (at < 0 || at >= r->count) continue;
            sum.re += c[k] * z[at].re - d[k] * z[at].im;
            sum.im += c[k] * z[at].im + d[k] * z[at].re;
        }
        to[j] = sum;
    }
}

/* The sum of a * conj(b) over `count` steps. */
static void correlate(const pl_complex *a, const pl_complex *b, int32_t count, int32_t step, double *re,
                      double *im) {
    float sum_re = 0, sum_im = 0;
    for (int32_t k = 0; k < count; k += step) {
        sum_re += a[k].re * b[k].re + a[k].im * b[k].im;
        sum_im += a[k].im * b[k].re - a[k].re * b[k].im;
    }
    *re = sum_re;
    *im = sum_im;
}

static double energy(const pl_complex *a, int32_t count, int32_t step) {
    double re, im;
    correlate(a, a, count, step, &re, &im);
    return re;
}

/* Correlate these repeats at a delay, each with each. The windows have `lags` more frames at both ends. */
static void correlate_repeats(search *s, const pl_sounds *sounds, uint32_t repeats, place *p) {
    int32_t whole = s->window_frames + 2 * s->lags, pair = 0;
    for (int32_t k = 0; k < sounds->count; k++) {
        double from = frame_of(s, sounds->starts_s[k], p->delay_s - BEFORE_S) - s->lags;
        if (repeats >> k & 1) copy_window(s, sounds->sweep, from, whole, s->windows + k * whole);
    }
    p->agreement = 1;
    for (int32_t a = 0; a < sounds->count; a++) {
        for (int32_t b = 0; b < a; b++, pair++) {
            if (!(repeats >> a & repeats >> b & 1)) continue;
            const pl_complex *late = s->windows + a * whole, *early = s->windows + b * whole + s->lags;
            float *to = p->correlations + pair * (2 * s->lags + 1);
            double largest = 0;
            double both = energy(early, s->window_frames, CORRELATION_STEP) *
                          energy(late + s->lags, s->window_frames, CORRELATION_STEP);
            for (int32_t lag = 0; lag <= 2 * s->lags; lag++) {
                double re, im;
                correlate(late + lag, early, s->window_frames, CORRELATION_STEP, &re, &im);
                to[lag] = (float)sqrt((re * re + im * im) / (both + 1e-30));
                largest = fmax(largest, to[lag]);
            }
            p->agreement = fmin(p->agreement, largest);
        }
    }
}

/* Find where these repeats agree best. `spare` is a second place to work with. False if there is none
 * where the agreement is at least `min_agreement`. */
static bool find_place(search *s, const pl_sounds *sounds, uint32_t repeats, double min_agreement,
                       place *best, place *spare) {
    find_least(s, sounds, repeats);
    best->peak = best->agreement = 0;
    double block_s = s->block_frames / s->responses->rate_hz;
    int32_t apart = (int32_t)(PLACE_S / block_s);
    for (int tries = 0; tries < PLACES; tries++) {
        int32_t at = 0;
        for (int32_t j = 1; j < s->delays; j++) at = s->least[j] > s->least[at] ? j : at;
        spare->peak = s->least[at];
        if (spare->peak <= MIN_PEAK_FLOORS * s->floors[sounds->sweep]) break;
        spare->delay_s = (at + 0.5) * block_s - s->reach_s;
        for (int32_t j = at - apart; j <= at + apart; j++)
            if (j >= 0 && j < s->delays) s->least[j] = 0;
        correlate_repeats(s, sounds, repeats, spare);
        if (spare->agreement >= min_agreement &&
            spare->agreement * spare->peak > best->agreement * best->peak) {
            place found = *spare;
            *spare = *best;
            *best = found;
        }
    }
    return best->peak > 0;
}

/* Do two repeats agree, although not all do? */
static bool pair_agrees(search *s, const pl_sounds *sounds, place *best, place *spare) {
    for (int32_t a = 0; a < sounds->count; a++) {
        for (int32_t b = 0; b < a; b++) {
            if (find_place(s, sounds, 1u << a | 1u << b, MIN_PAIR_CORRELATION, best, spare)) return true;
        }
    }
    return false;
}

/* ---- the rate of the clock ---- */

/* Sum of the correlations of all machines at this rate, relative to the one that was tried. Long times count
 * more. Machines without an agreement have none. */
static double agreement_at(const search *s, const pl_sounds *sounds, int32_t machines, const place *places,
                           double rate) {
    double sum = 0;
    for (int32_t i = 0; i < machines; i++) {
        const float *from = places[i].correlations;
        for (int32_t a = 0; a < sounds[i].count && places[i].peak > 0; a++) {
            for (int32_t b = 0; b < a; b++, from += 2 * s->lags + 1) {
                double apart_s = sounds[i].starts_s[a] - sounds[i].starts_s[b];
                double lag = s->lags + rate * apart_s * s->responses->rate_hz;
                int32_t k = (int32_t)floor(lag);
                if (k < 0 || k >= 2 * s->lags) continue;
                sum += apart_s * (from[k] + (lag - k) * (from[k + 1] - from[k]));
            }
        }
    }
    return sum;
}

static void find_rate(search *s, const pl_sounds *sounds, int32_t machines, const place *places) {
    double longest_s = 0;
    for (int32_t i = 0; i < machines; i++)
        longest_s = fmax(longest_s, sounds[i].starts_s[sounds[i].count - 1] - sounds[i].starts_s[0]);
    if (longest_s <= 0) return;
    double rate_hz = s->responses->rate_hz, step = 0.1 / (longest_s * rate_hz), best = 0, rate = 0;
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
                double lag = at + vertex(from[at - 1], from[at], from[at + 1]) - s->lags;
                double weight = from[at] * from[at];
                products += weight * apart_s * lag / rate_hz;
                squares += weight * apart_s * apart_s;
            }
        }
    }
    if (squares > 0) rate = products / squares;
    s->rate_error += rate;
}

/* ---- examination of one machine ---- */

/* How large each repeat is in what they have in common, relative to the mean: the first eigenvector of
 * their products, without those of a repeat with itself, which contain its noise. False if a repeat has no
 * part in it. */
static bool find_gains(const search *s, int32_t repeats, int32_t first, int32_t count, double *gains) {
    double products[PL_MAX_STARTS][PL_MAX_STARTS] = {{0}}, damping = 1e-30;
    for (int32_t a = 0; a < repeats; a++) {
        for (int32_t b = 0; b < a; b++) {
            double im;
            const pl_complex *windows = s->windows + first;
            correlate(windows + a * s->examined, windows + b * s->examined, count, 1, &products[a][b], &im);
            products[b][a] = products[a][b];
            damping += 2 * fabs(products[a][b]) / repeats;
        }
        gains[a] = 1;
    }
    for (int pass = 0; pass < EIGENVECTOR_PASSES; pass++) {
        double next[PL_MAX_STARTS], sum = 0;
        for (int32_t a = 0; a < repeats; a++) {
            next[a] = damping * gains[a];
            for (int32_t b = 0; b < repeats; b++) next[a] += products[a][b] * gains[b];
            sum += next[a];
        }
        if (!(sum > 0)) return false;
        for (int32_t a = 0; a < repeats; a++) gains[a] = next[a] * repeats / sum;
    }
    for (int32_t a = 0; a < repeats; a++)
        if (gains[a] < MIN_REPEAT_SHARE) return false;
    return true;
}

/* For each moment, the mean of the summed power over `reach` frames to both sides. */
static void smooth(const search *s, int32_t reach, float *to) {
    for (int32_t j = 0; j < s->examined; j++) {
        int32_t from = j < reach ? 0 : j - reach;
        int32_t end = j + reach + 1 > s->examined ? s->examined : j + reach + 1;
        to[j] = (float)((s->sums[end] - s->sums[from]) / (end - from));
    }
}

/* Mean of these repeats, and the power of its noise: what the repeats do not have in common. */
static void average(search *s, int32_t repeats, uint32_t used, pl_complex *mean, float *noise, float *sharp) {
    int32_t count = 0;
    for (int32_t k = 0; k < repeats; k++) count += used >> k & 1;
    s->sums[0] = 0;
    for (int32_t j = 0; j < s->examined; j++) {
        double re = 0, im = 0, squares = 0;
        for (int32_t k = 0; k < repeats; k++) {
            if (!(used >> k & 1)) continue;
            pl_complex z = s->windows[k * s->examined + j];
            re += z.re;
            im += z.im;
            squares += squared(z);
        }
        mean[j] = (pl_complex){.re = (float)(re / count), .im = (float)(im / count)};
        double apart = fmax(0, squares - (re * re + im * im) / count);
        s->sums[j + 1] = s->sums[j] + apart / (count - 1) / count;
    }
    smooth(s, (int32_t)(NOISE_S * s->responses->rate_hz), noise);
    smooth(s, (int32_t)(SHARP_NOISE_S * s->responses->rate_hz), sharp);
}

/* At each moment, use the set of repeats that has the least noise. All sets without up to MAX_DROPPED repeats
 * are tried. */
static void combine(search *s, int32_t repeats) {
    uint32_t all = (1u << repeats) - 1;
    average(s, repeats, all, s->common, s->noise, s->sharp);
    for (uint32_t used = 1; used < all; used++) {
        int32_t count = 0;
        for (int32_t k = 0; k < repeats; k++) count += used >> k & 1;
        if (count < 2 || count < repeats - MAX_DROPPED) continue;
        average(s, repeats, used, s->trial, s->trial_noise, s->trial_sharp);
        for (int32_t j = 0; j < s->examined; j++) {
            if (s->trial_noise[j] >= SUBSET_GAIN * s->noise[j]) continue;
            s->noise[j] = s->trial_noise[j];
            s->sharp[j] = s->trial_sharp[j];
            s->common[j] = s->trial[j];
        }
    }
}

/* What a pulse must exceed to be sure. */
static double sure_size(const search *s, int32_t at) {
    return SURE_NOISES * sqrt(fmax(s->noise[at], s->sharp[at] / (SHARP_NOISE * SHARP_NOISE)));
}

/* Between the earliest and the latest repeat, by their correlations with the common response from `first`
 * on. */
static double spread_s(const search *s, int32_t repeats, int32_t first) {
    double rate_hz = s->responses->rate_hz, earliest = INFINITY, latest = -INFINITY;
    int32_t reach = (int32_t)ceil(2 * MAX_SPREAD_S * rate_hz), count = (int32_t)(SPREAD_WINDOW_S * rate_hz);
    first -= 2 * reach;
    for (int32_t k = 0; k < repeats; k++) {
        double before = 0, at = 0, after = 0, largest = -1, lag = 0;
        for (int32_t j = -reach - 1; j <= reach + 1; j++) {
            double re, im;
            correlate(s->windows + k * s->examined + first + j, s->common + first, count, 1, &re, &im);
            before = at;
            at = after;
            after = re * re + im * im;
            if (j > -reach && at > largest) {
                largest = at;
                lag = j - 1 + vertex(before, at, after);
            }
        }
        earliest = fmin(earliest, lag);
        latest = fmax(latest, lag);
    }
    return (latest - earliest) / rate_hz;
}

/* The first sure pulse from `from` to `to` that has at least `share` of what a direct sound needs; -1 if
 * there is none. `peak` is the place of the strongest pulse. */
static int32_t first_pulse(const search *s, int32_t from, int32_t to, int32_t peak, double share) {
    double largest = sqrt(squared(s->common[peak]));
    int32_t near = peak - (int32_t)(SEARCH_S * s->responses->rate_hz);
    double before = sqrt(squared(s->common[from - 1])), at = sqrt(squared(s->common[from]));
    for (int32_t j = from; j <= to; j++) {
        double after = sqrt(squared(s->common[j + 1]));
        double least = fmax(share * (j < near ? FAR_SHARE : FIRST_SHARE) * largest, sure_size(s, j));
        if (at >= before && at > after && at >= least) return j;
        before = at;
        at = after;
    }
    return -1;
}

/* Amplitude of a sweep whose response, from `first` on, has this energy. */
static double level_from(const search *s, int32_t first) {
    double sum = 0, rate_hz = s->responses->rate_hz;
    int32_t from = first - (int32_t)(NOISE_S / 2 * rate_hz), to = first + (int32_t)(ENERGY_S * rate_hz);
    for (int32_t j = from < 0 ? 0 : from; j < to && j < s->examined; j++)
        sum += squared(s->common[j]) - s->noise[j];
    return sqrt(fmax(0, sum) / s->responses->pulse_energy);
}

/* Keep what is known of the machine, from a pulse on. The share of noise in the power is
 * left out. */
static void keep_model(search *s, int32_t first, double from_s, model *m) {
    double rate_hz = s->responses->rate_hz;
    int32_t from = first - (int32_t)(MODEL_LEAD_S * rate_hz), reach = (int32_t)(MODEL_LEAD_S * rate_hz);
    m->from_s = from_s;
    m->count = s->examined;
    for (int32_t j = 0; j < s->examined; j++) s->sums[j + 1] = s->sums[j] + squared(s->common[j]);
    smooth(s, reach, s->trial_noise);
    for (int32_t j = 0; j < m->count; j++) {
        float gain = j < from ? 0 : 1 - fminf(1, s->noise[j] / (s->trial_noise[j] + 1e-30f));
        m->response[j].re = gain * s->common[j].re;
        m->response[j].im = gain * s->common[j].im;
    }
}

static void examine(search *s, const pl_sounds *sounds, const place *p, pl_arrival *arrival, model *m) {
    double rate_hz = s->responses->rate_hz;
    *arrival = (pl_arrival){.noise = arrival->noise};
    m->count = 0;
    int32_t repeats = sounds->count, middle = (int32_t)(EXAMINED_BEFORE_S * rate_hz);
    for (int32_t k = 0; k < repeats; k++) {
        double from = frame_of(s, sounds->starts_s[k], p->delay_s - EXAMINED_BEFORE_S);
        copy_window(s, sounds->sweep, from, s->examined, s->windows + k * s->examined);
    }
    arrival->verdict = PL_ARRIVAL_UNSTEADY;
    double *gains = m->gains;
    int32_t core = middle - (int32_t)(BEFORE_S * rate_hz);
    if (!find_gains(s, repeats, core, (int32_t)((BEFORE_S + AFTER_S) * rate_hz), gains)) return;
    for (int32_t k = 0; k < repeats; k++) {
        for (int32_t j = 0; j < s->examined; j++) {
            s->windows[k * s->examined + j].re /= (float)gains[k];
            s->windows[k * s->examined + j].im /= (float)gains[k];
        }
    }
    combine(s, repeats);

    int32_t far = (int32_t)(FAR_SEARCH_S * rate_hz), near = (int32_t)(SEARCH_S * rate_hz), peak = -1;
    int32_t earliest = middle - (int32_t)(PEAK_BEFORE_S * rate_hz);
    for (int32_t j = earliest; j < middle + (int32_t)(PEAK_AFTER_S * rate_hz); j++) {
        if (sqrt(squared(s->common[j])) < sure_size(s, j)) continue;
        if (peak < 0 || squared(s->common[j]) > squared(s->common[peak])) peak = j;
    }
    arrival->verdict = PL_ARRIVAL_NOISE;
    if (peak < 0) return;
    arrival->peak = sqrt(squared(s->common[peak]));
    int32_t from = peak - far > 1 ? peak - far : 1;
    int32_t first = first_pulse(s, from, peak, peak, 1);
    arrival->level = level_from(s, first < 0 ? peak : first);
    keep_model(s, first < 0 ? peak : first, p->delay_s - EXAMINED_BEFORE_S, m);
    if (first < 0) return;
    int32_t searched = peak - near > 1 ? peak - near : 1;
    for (int32_t j = searched; j < first; j++)
        if (sure_size(s, j) > HIDDEN_SHARE * arrival->peak) return;
    arrival->verdict = PL_ARRIVAL_ECHO;
    int32_t clear = first - (int32_t)(CLEAR_S * rate_hz);
    if (first_pulse(s, from, clear, peak, DOUBTFUL_SHARE) >= 0) return;
    arrival->verdict = PL_ARRIVAL_UNSTEADY;
    arrival->spread_s = spread_s(s, repeats, first);
    if (arrival->spread_s > MAX_SPREAD_S) return;
    arrival->verdict = PL_ARRIVAL_HEARD;
    double sizes[3];
    for (int k = 0; k < 3; k++) sizes[k] = sqrt(squared(s->common[first + k - 1]));
    double delay_s =
        p->delay_s + (first + vertex(sizes[0], sizes[1], sizes[2])) / rate_hz - EXAMINED_BEFORE_S;
    arrival->arrival_s = delay_s / (1 + s->rate_error);
}

/* ---- the other machines ---- */

/* Add `gain` times a window to the responses to a sweep, from a fraction of a frame on. The inverse of
 * copy_window. */
static void add_window(const search *s, int sweep, double from, const pl_complex *window, int32_t count,
                       double gain) {
    const pl_responses *r = s->responses;
    int64_t first = (int64_t)ceil(from);
    double f = (double)first - from, angle = -2 * PI * fmod(r->turns * from, 1);
    double weights[4] = {-f * (f - 1) * (f - 2) / 6, (f + 1) * (f - 1) * (f - 2) / 2,
                         -(f + 1) * f * (f - 2) / 2, (f + 1) * f * (f - 1) / 6};
    float c[4], d[4];
    for (int k = 0; k < 4; k++) {
        c[k] = (float)(gain * weights[k] * cos(angle));
        d[k] = (float)(gain * weights[k] * sin(angle));
    }
    for (int32_t j = 0; j < count; j++) {
        if (first + j < 0 || first + j >= r->count) continue;
        pl_complex *to = &r->frames[sweep][first + j];
        for (int k = 0; k < 4; k++) {
            int32_t at = j + k - 1;
            if (at < 0 || at >= count) continue;
            to->re += c[k] * window[at].re - d[k] * window[at].im;
            to->im += c[k] * window[at].im + d[k] * window[at].re;
        }
    }
}

/* Take a machine out of the responses to both sweeps (gain -1), or put it back (1). */
static void add_model(search *s, const pl_sounds *sounds, const model *m, double gain) {
    if (!m->count) return;
    const pl_responses *r = s->responses;
    pl_responses_cross(r, sounds->sweep, m->response, m->count, s->cross);
    for (int32_t k = 0; k < sounds->count; k++) {
        double from = frame_of(s, sounds->starts_s[k], m->from_s);
        add_window(s, sounds->sweep, from, m->response, m->count, gain * m->gains[k]);
        add_window(s, 1 - sounds->sweep, from - r->cross_lead, s->cross, r->cross_count, gain * m->gains[k]);
    }
}

/* ---- all machines ---- */

static void free_search(search *s) {
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) free(s->blocks[sweep]);
    free(s->least);
    free(s->cross);
    free(s->windows);
    free(s->common);
    free(s->trial);
    free(s->noise);
    free(s->trial_noise);
    free(s->sharp);
    free(s->trial_sharp);
    free(s->sums);
}

static bool init_search(search *s) {
    double rate_hz = s->responses->rate_hz;
    s->block_frames = BLOCK_S * rate_hz;
    s->block_count = (int64_t)((double)s->responses->count / s->block_frames) + 1;
    s->delays = (int32_t)(2 * s->reach_s / BLOCK_S);
    s->lags = (int32_t)ceil(MAX_LAG_S * rate_hz);
    s->window_frames = (int32_t)((BEFORE_S + AFTER_S) * rate_hz);
    s->examined = (int32_t)((EXAMINED_BEFORE_S + EXAMINED_AFTER_S) * rate_hz);
    size_t examined = (size_t)s->examined;
    s->least = calloc((size_t)s->delays, sizeof *s->least);
    s->cross = calloc((size_t)s->responses->cross_count, sizeof *s->cross);
    s->windows = calloc(PL_MAX_STARTS * examined, sizeof *s->windows);
    s->common = calloc(examined, sizeof *s->common);
    s->trial = calloc(examined, sizeof *s->trial);
    s->noise = calloc(examined, sizeof *s->noise);
    s->trial_noise = calloc(examined, sizeof *s->trial_noise);
    s->sharp = calloc(examined, sizeof *s->sharp);
    s->trial_sharp = calloc(examined, sizeof *s->trial_sharp);
    s->sums = calloc(examined + 1, sizeof *s->sums);
    if (!s->least || !s->cross || !s->windows || !s->common || !s->trial || !s->sums) return false;
    if (!s->noise || !s->trial_noise || !s->sharp || !s->trial_sharp) return false;
    assert(s->window_frames + 2 * s->lags <= s->examined && s->examined <= s->responses->max_response);
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        s->blocks[sweep] = calloc((size_t)s->block_count, sizeof *s->blocks[sweep]);
        if (!s->blocks[sweep] || !init_blocks(s, sweep)) return false;
    }
    return true;
}

/* One look at a machine, while the others that are known are taken out. */
static void look_at(search *s, const pl_sounds *sounds, place *p, place *spare, model *m,
                    pl_arrival *arrival) {
    int32_t lags = s->lags;
    s->lags = (int32_t)ceil(MAX_KNOWN_LAG_S * s->responses->rate_hz);
    arrival->noise = MIN_PEAK_FLOORS * s->floors[sounds->sweep];
    bool placed = p->peak > 0 || find_place(s, sounds, ~0u, MIN_KNOWN_CORRELATION, p, spare);
    s->lags = lags;
    if (placed) {
        examine(s, sounds, p, arrival, m);
        return;
    }
    arrival->verdict = pair_agrees(s, sounds, p, spare) ? PL_ARRIVAL_UNSTEADY : PL_ARRIVAL_ABSENT;
    p->peak = 0;
}

static bool refresh_blocks(search *s) {
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        memset(s->blocks[sweep], 0, sizeof *s->blocks[sweep] * (size_t)s->block_count);
        if (!init_blocks(s, sweep)) return false;
    }
    return true;
}

bool pl_arrivals_find(pl_responses *responses, double begin_s, double reach_s, const pl_sounds *sounds,
                      int32_t machines, pl_arrival *arrivals, double *rate_error) {
    search s = {.responses = responses, .begin_s = begin_s, .reach_s = reach_s};
    size_t count = (size_t)machines + 1; /* the last one is spare */
    place *places = calloc(count, sizeof *places);
    model *models = calloc(count, sizeof *models);
    bool good = places && models && init_search(&s);
    size_t correlations = MAX_PAIRS * (2 * (size_t)s.lags + 1), examined = (size_t)s.examined;
    float *all = good ? calloc(count * correlations, sizeof *all) : NULL;
    pl_complex *all_responses = good ? calloc(count * examined, sizeof *all_responses) : NULL;
    good = good && all && all_responses;
    *rate_error = 0;
    if (good) {
        memset(arrivals, 0, sizeof *arrivals * (size_t)machines);
        for (size_t i = 0; i < count; i++) {
            places[i].correlations = all + i * correlations;
            models[i].response = all_responses + i * examined;
        }
        place *spare = &places[machines];
        find_rough_rate(&s, sounds, machines);
        for (int32_t i = 0; i < machines; i++)
            find_place(&s, &sounds[i], ~0u, MIN_CORRELATION, &places[i], spare);
        find_rate(&s, sounds, machines, places);
        for (int round = 0; round < ROUNDS && good; round++) {
            for (int32_t i = 0; i < machines; i++) {
                add_model(&s, &sounds[i], &models[i], 1);
                look_at(&s, &sounds[i], &places[i], spare, &models[i], &arrivals[i]);
                add_model(&s, &sounds[i], &models[i], -1);
            }
            good = refresh_blocks(&s);
        }
        for (int32_t i = 0; i < machines; i++)
            if (places[i].peak > 0) *rate_error = s.rate_error;
    }
    free(all);
    free(all_responses);
    free(places);
    free(models);
    free_search(&s);
    return good;
}
