#include "pl_direct.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A repeat whose share in the common response is less than this, relative to the mean, is another sound. */
static const double MIN_REPEAT_SHARE = 0.3;
/* Repeats whose times differ by more disagree. */
static const double MAX_SPREAD_S = 0.0001;

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
/* The model of a machine begins this time before its first pulse. */
static const double MODEL_LEAD_S = 0.001;
/* The level of a sound is measured over this time: most of its echoes. */
static const double LEVEL_S = 0.25;

/* How large each repeat is in what they have in common, relative to the mean: the first eigenvector of
 * their products, without those of a repeat with itself, which contain its noise. False if a repeat has no
 * part in it. */
static bool find_gains(const pl_examiner *x, int32_t repeats, int32_t first, int32_t count, double *gains) {
    double products[PL_MAX_STARTS][PL_MAX_STARTS] = {{0}}, damping = 1e-30;
    for (int32_t a = 0; a < repeats; a++) {
        for (int32_t b = 0; b < a; b++) {
            double im;
            const pl_complex *windows = x->windows + first;
            pl_correlate(windows + a * x->examined, windows + b * x->examined, count, 1, &products[a][b],
                         &im);
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
static void smooth(const pl_examiner *x, int32_t reach, float *to) {
    for (int32_t j = 0; j < x->examined; j++) {
        int32_t from = j < reach ? 0 : j - reach;
        int32_t end = j + reach + 1 > x->examined ? x->examined : j + reach + 1;
        to[j] = (float)((x->sums[end] - x->sums[from]) / (end - from));
    }
}

/* Mean of these repeats, and the power of its noise: what the repeats do not have in common. */
static void average(pl_examiner *x, int32_t repeats, uint32_t used, pl_complex *mean, float *noise,
                    float *sharp) {
    int32_t count = 0;
    for (int32_t k = 0; k < repeats; k++) count += used >> k & 1;
    x->sums[0] = 0;
    for (int32_t j = 0; j < x->examined; j++) {
        double re = 0, im = 0, squares = 0;
        for (int32_t k = 0; k < repeats; k++) {
            if (!(used >> k & 1)) continue;
            pl_complex z = x->windows[k * x->examined + j];
            re += z.re;
            im += z.im;
            squares += pl_squared(z);
        }
        mean[j] = (pl_complex){.re = (float)(re / count), .im = (float)(im / count)};
        double apart = fmax(0, squares - (re * re + im * im) / count);
        x->sums[j + 1] = x->sums[j] + apart / (count - 1) / count;
    }
    smooth(x, (int32_t)(NOISE_S * x->pass->responses->rate_hz), noise);
    smooth(x, (int32_t)(SHARP_NOISE_S * x->pass->responses->rate_hz), sharp);
}

/* At each moment, use the set of repeats that has the least noise. All sets without up to MAX_DROPPED repeats
 * are tried. */
static void combine(pl_examiner *x, int32_t repeats) {
    uint32_t all = (1u << repeats) - 1;
    average(x, repeats, all, x->common, x->noise, x->sharp);
    for (uint32_t used = 1; used < all; used++) {
        int32_t count = 0;
        for (int32_t k = 0; k < repeats; k++) count += used >> k & 1;
        if (count < 2 || count < repeats - MAX_DROPPED) continue;
        average(x, repeats, used, x->trial, x->trial_noise, x->trial_sharp);
        for (int32_t j = 0; j < x->examined; j++) {
            if (x->trial_noise[j] >= SUBSET_GAIN * x->noise[j]) continue;
            x->noise[j] = x->trial_noise[j];
            x->sharp[j] = x->trial_sharp[j];
            x->common[j] = x->trial[j];
        }
    }
}

/* What a pulse must exceed to be sure. */
static double sure_size(const pl_examiner *x, int32_t at) {
    return SURE_NOISES * sqrt(fmax(x->noise[at], x->sharp[at] / (SHARP_NOISE * SHARP_NOISE)));
}

/* Between the earliest and the latest repeat, by their correlations with the common response from `first`
 * on. */
static double spread_s(const pl_examiner *x, int32_t repeats, int32_t first) {
    double rate_hz = x->pass->responses->rate_hz, earliest = INFINITY, latest = -INFINITY;
    int32_t reach = (int32_t)ceil(2 * MAX_SPREAD_S * rate_hz), count = (int32_t)(SPREAD_WINDOW_S * rate_hz);
    first -= 2 * reach;
    for (int32_t k = 0; k < repeats; k++) {
        double before = 0, at = 0, after = 0, largest = -1, lag = 0;
        for (int32_t j = -reach - 1; j <= reach + 1; j++) {
            double re, im;
            pl_correlate(x->windows + k * x->examined + first + j, x->common + first, count, 1, &re, &im);
            before = at;
            at = after;
            after = re * re + im * im;
            if (j > -reach && at > largest) {
                largest = at;
                lag = j - 1 + pl_vertex(before, at, after);
            }
        }
        earliest = fmin(earliest, lag);
        latest = fmax(latest, lag);
    }
    return (latest - earliest) / rate_hz;
}

/* The first sure pulse from `from` to `to` that has at least `share` of what a direct sound needs; -1 if
 * there is none. `peak` is the place of the strongest pulse. */
static int32_t first_pulse(const pl_examiner *x, int32_t from, int32_t to, int32_t peak, double share) {
    double largest = sqrt(pl_squared(x->common[peak]));
    int32_t near = peak - (int32_t)(SEARCH_S * x->pass->responses->rate_hz);
    double before = sqrt(pl_squared(x->common[from - 1])), at = sqrt(pl_squared(x->common[from]));
    for (int32_t j = from; j <= to; j++) {
        double after = sqrt(pl_squared(x->common[j + 1]));
        double least = fmax(share * (j < near ? FAR_SHARE : FIRST_SHARE) * largest, sure_size(x, j));
        if (at >= before && at > after && at >= least) return j;
        before = at;
        at = after;
    }
    return -1;
}

/* Amplitude of the sweep that has the response from `first` on. */
static double level_from(const pl_examiner *x, int sweep, int32_t first) {
    double noise = 0, rate_hz = x->pass->responses->rate_hz;
    int32_t from = first - (int32_t)(NOISE_S / 2 * rate_hz), to = first + (int32_t)(LEVEL_S * rate_hz);
    if (from < 0) from = 0;
    if (to > x->examined) to = x->examined;
    for (int32_t j = from; j < to; j++) noise += x->noise[j];
    return pl_responses_level(x->pass->responses, sweep, x->common + from, to - from, noise);
}

/* Keep what is known of the machine, from a pulse on. The share of noise in the power is
 * left out. */
static void keep_model(pl_examiner *x, int32_t first, double from_s, pl_model *m) {
    double rate_hz = x->pass->responses->rate_hz;
    int32_t from = first - (int32_t)(MODEL_LEAD_S * rate_hz), reach = (int32_t)(MODEL_LEAD_S * rate_hz);
    m->from_s = from_s;
    m->count = x->examined;
    for (int32_t j = 0; j < x->examined; j++) x->sums[j + 1] = x->sums[j] + pl_squared(x->common[j]);
    smooth(x, reach, x->trial_noise);
    for (int32_t j = 0; j < m->count; j++) {
        float gain = j < from ? 0 : 1 - fminf(1, x->noise[j] / (x->trial_noise[j] + 1e-30f));
        m->response[j].re = gain * x->common[j].re;
        m->response[j].im = gain * x->common[j].im;
    }
}

void pl_examine(pl_examiner *x, const pl_sounds *sounds, const pl_place *p, pl_arrival *arrival,
                pl_model *m) {
    double rate_hz = x->pass->responses->rate_hz;
    *arrival = (pl_arrival){.noise = arrival->noise};
    m->count = 0;
    int32_t repeats = sounds->count, middle = (int32_t)(EXAMINED_BEFORE_S * rate_hz);
    for (int32_t k = 0; k < repeats; k++) {
        double from = pl_pass_frame(x->pass, sounds->starts_s[k], p->delay_s - EXAMINED_BEFORE_S);
        pl_pass_copy(x->pass, sounds->sweep, from, x->examined, x->windows + k * x->examined);
    }
    arrival->verdict = PL_ARRIVAL_UNSTEADY;
    double *gains = m->gains;
    int32_t core = middle - (int32_t)(PL_PLACE_BEFORE_S * rate_hz);
    if (!find_gains(x, repeats, core, (int32_t)((PL_PLACE_BEFORE_S + PL_PLACE_AFTER_S) * rate_hz), gains))
        return;
    for (int32_t k = 0; k < repeats; k++) {
        for (int32_t j = 0; j < x->examined; j++) {
            x->windows[k * x->examined + j].re /= (float)gains[k];
            x->windows[k * x->examined + j].im /= (float)gains[k];
        }
    }
    combine(x, repeats);

    int32_t far = (int32_t)(FAR_SEARCH_S * rate_hz), near = (int32_t)(SEARCH_S * rate_hz), peak = -1;
    int32_t earliest = middle - (int32_t)(PEAK_BEFORE_S * rate_hz);
    for (int32_t j = earliest; j < middle + (int32_t)(PEAK_AFTER_S * rate_hz); j++) {
        if (sqrt(pl_squared(x->common[j])) < sure_size(x, j)) continue;
        if (peak < 0 || pl_squared(x->common[j]) > pl_squared(x->common[peak])) peak = j;
    }
    arrival->verdict = PL_ARRIVAL_NOISE;
    if (peak < 0) return;
    arrival->peak = sqrt(pl_squared(x->common[peak]));
    int32_t from = peak - far > 1 ? peak - far : 1;
    int32_t first = first_pulse(x, from, peak, peak, 1);
    arrival->level = level_from(x, sounds->sweep, first < 0 ? peak : first);
    keep_model(x, first < 0 ? peak : first, p->delay_s - EXAMINED_BEFORE_S, m);
    if (first < 0) return;
    int32_t searched = peak - near > 1 ? peak - near : 1;
    for (int32_t j = searched; j < first; j++)
        if (sure_size(x, j) > HIDDEN_SHARE * arrival->peak) return;
    arrival->verdict = PL_ARRIVAL_ECHO;
    int32_t clear = first - (int32_t)(CLEAR_S * rate_hz);
    if (first_pulse(x, from, clear, peak, DOUBTFUL_SHARE) >= 0) return;
    arrival->verdict = PL_ARRIVAL_UNSTEADY;
    arrival->spread_s = spread_s(x, repeats, first);
    if (arrival->spread_s > MAX_SPREAD_S) return;
    arrival->verdict = PL_ARRIVAL_HEARD;
    double sizes[3];
    for (int k = 0; k < 3; k++) sizes[k] = sqrt(pl_squared(x->common[first + k - 1]));
    double delay_s =
        p->delay_s + (first + pl_vertex(sizes[0], sizes[1], sizes[2])) / rate_hz - EXAMINED_BEFORE_S;
    arrival->arrival_s = delay_s / (1 + x->pass->rate_error);
}

bool pl_examiner_init(pl_examiner *x, const pl_pass *pass) {
    double rate_hz = pass->responses->rate_hz;
    *x = (pl_examiner){.pass = pass, .examined = (int32_t)((EXAMINED_BEFORE_S + EXAMINED_AFTER_S) * rate_hz)};
    assert(x->examined <= pass->responses->max_response);
    size_t examined = (size_t)x->examined;
    x->windows = calloc(PL_MAX_STARTS * examined, sizeof *x->windows);
    x->common = calloc(examined, sizeof *x->common);
    x->trial = calloc(examined, sizeof *x->trial);
    x->noise = calloc(examined, sizeof *x->noise);
    x->trial_noise = calloc(examined, sizeof *x->trial_noise);
    x->sharp = calloc(examined, sizeof *x->sharp);
    x->trial_sharp = calloc(examined, sizeof *x->trial_sharp);
    x->sums = calloc(examined + 1, sizeof *x->sums);
    return x->windows && x->common && x->trial && x->noise && x->trial_noise && x->sharp && x->trial_sharp &&
           x->sums;
}

void pl_examiner_free(pl_examiner *x) {
    free(x->windows);
    free(x->common);
    free(x->trial);
    free(x->noise);
    free(x->trial_noise);
    free(x->sharp);
    free(x->trial_sharp);
    free(x->sums);
}
