#include "pl_song.h"
#include "pl_engine.h"
#include "pl_fft.h"
#include "pl_sample.h"
#include "pl_vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- constants ---- */

/* What is used of the sound. Higher tones of songs are weak. */
static const double RATE_HZ = 16000, LOW_HZ = 300, HIGH_HZ = 7500;
/* At the ends of the band. */
static const double LOW_EDGE_HZ = 100, HIGH_EDGE_HZ = 400;
/* Half of the resampling filter, in frames of the lower rate, and its phases between two frames. */
enum { HALF = 16, PHASES = 256 };
/* Rates that are tried: sound cards are off by at most 100 ppm. */
static const double MAX_RATE_ERROR = 120e-6;
enum { RATES = 13 };
/* The first and the last turn change the rate by at most this. */
static const double MAX_RATE_CHANGE = 25e-6;
/* The power of a sound is smoothed over this to both sides. */
static const double SMOOTH_HZ = 150;
/* Share of the smoothed power of the song that is added to it where the place is searched. */
static const double SEARCH_REGULARISATION = 0.3;
/* The power of a pulse that is the reach away from where most machines are counts less by this share: music
 * that repeats itself exactly has equal pulses at each repetition. */
static const double FAR_SHARE = 0.7;
/* Share of the song's power that is added where the response is computed. */
static const double REGULARISATION = 0.01;
/* The response that is computed, before and after the place of the largest pulse. */
static const double BEFORE_S = 0.06, AFTER_S = 0.25;
/* Where the strongest pulse is searched, after that place, and the first one, before the strongest. */
static const double STRONGEST_S = 0.06, FIRST_S = 0.045;
static const double FIRST_SHARE = 0.25, SURE_NOISES = 4.5;
/* The noise is the mean over this time to both sides. */
static const double NOISE_S = 0.002;
/* A pulse is narrower than this. */
static const double CLEAR_S = 0.0005;
/* Frames by which the halves of a turn may differ. */
enum { COMMON = 3 };
/* The time before the direct sound in which a pulse is searched. */
static const double DOUBT_S = 0.03;

typedef struct {
    int32_t size; /* of the transforms of a turn */
    int32_t *places;
    float *cosines, *sines;
    float *re, *im;             /* of a transform */
    float *heard_re, *heard_im; /* spectrum of the recording of a turn */
    float *song_re, *song_im;   /* spectrum of the song of a turn, or of half of it */
    float *whitening;           /* of power */
    float *power;               /* smoothed */
    double *sums;               /* running */
    float *envelopes[3];        /* of the responses: of the whole turn and its halves */
    double *normal, *right, *solution, *predictor, *work; /* of the equations */
    int32_t unknowns;
} solver;

/* ---- sampling rates ---- */

/* A filter that keeps what is below half of RATE_HZ and of the rate of its input. Row p is for an output
 * frame that is p / PHASES frames after an input frame. */
typedef struct {
    int32_t reach, taps; /* input frames to both sides, and floats of a row: a multiple of PL_LANES */
    float *rows;         /* (PHASES + 1, taps) */
} filter;

static bool init_filter(filter *f, double rate_hz) {
    double narrow = fmin(1, RATE_HZ / rate_hz); /* output frames per input frame, at most 1 */
    f->reach = (int32_t)ceil(HALF / narrow);
    f->taps = (2 * f->reach + PL_LANES - 1) / PL_LANES * PL_LANES;
    f->rows = malloc(sizeof *f->rows * (PHASES + 1) * (size_t)f->taps);
    if (!f->rows) return false;
    float *tap = f->rows;
    for (int32_t phase = 0; phase <= PHASES; phase++) {
        for (int32_t i = 0; i < f->taps; i++) {
            double x = (i + 1 - f->reach - (double)phase / PHASES) * narrow;
            double sinc = x == 0 ? 1 : sin(PI * x) / (PI * x);
            *tap++ = fabs(x) < HALF ? (float)(narrow * sinc * (0.5 + 0.5 * cos(PI * x / HALF))) : 0;
        }
    }
    return true;
}

/* Fill `to` with `count` frames at RATE_HZ from `from_s` on, of samples at `rate_hz`, which is nearly that
 * of the filter. What is outside of the samples counts as 0. */
static void resample(const filter *f, const float *samples, int64_t samples_count, double rate_hz,
                     double from_s, int32_t count, float *to) {
    for (int32_t j = 0; j < count; j++) {
        double at = (from_s + j / RATE_HZ) * rate_hz, whole = floor(at);
        if (whole < -f->reach || whole > (double)samples_count + f->reach) {
            to[j] = 0;
            continue;
        }
        int64_t first = (int64_t)whole + 1 - f->reach;
        int32_t phase = (int32_t)((at - whole) * PHASES);
        const float *row = f->rows + (size_t)phase * (size_t)f->taps, *next = row + f->taps;
        pl_vector sum = pl_vector_all(0), sum_next = sum;
        for (int32_t i = 0; i < f->taps; i += PL_LANES) {
            pl_vector x;
            if (first + i >= 0 && first + i + PL_LANES <= samples_count) {
                x = pl_vector_load(samples + first + i);
            } else {
                float some[PL_LANES];
                for (int lane = 0; lane < PL_LANES; lane++) {
                    int64_t place = first + i + lane;
                    some[lane] = place >= 0 && place < samples_count ? samples[place] : 0;
                }
                x = pl_vector_load(some);
            }
            sum = pl_vector_add_product(sum, pl_vector_load(row + i), x);
            sum_next = pl_vector_add_product(sum_next, pl_vector_load(next + i), x);
        }
        double share = (at - whole) * PHASES - phase;
        to[j] = (float)((1 - share) * pl_vector_sum(sum) + share * pl_vector_sum(sum_next));
    }
}

/* Samples of which the filter can take each, of frames of `stride` floats: left * first + right * second. */
static void mix(const float *samples, int64_t count, int stride, float left, float right, float *to) {
    for (int64_t i = 0; i < count; i++, samples += stride)
        to[i] = left * pl_sane_sample(samples[0]) + (right != 0 ? right * pl_sane_sample(samples[1]) : 0);
}

/* ---- transforms ---- */

static void transform(const solver *s, const float *samples, int32_t count, float *re, float *im) {
    memset(im, 0, sizeof *im * (size_t)s->size);
    for (int32_t k = 0; k < s->size; k++) re[s->places[k]] = k < count ? samples[k] : 0;
    pl_fft(s->cosines, s->sines, s->size, re, im);
}

/* Multiply two spectra, one of them conjugate, by a weight for each bin, and transform back to s->re: at [k]
 * for a lag of k frames. `analytic`: to the complex envelope, s->re + i s->im. */
static void correlate(solver *s, const float *ar, const float *ai, const float *br, const float *bi,
                      const float *weights, bool analytic) {
    for (int32_t k = 0; k < s->size; k++) {
        int32_t bin = k <= s->size / 2 ? k : s->size - k, at = s->places[k];
        float weight = analytic && k > s->size / 2 ? 0 : weights[bin];
        s->re[at] = weight * (ar[k] * br[k] + ai[k] * bi[k]);
        s->im[at] = weight * (ai[k] * br[k] - ar[k] * bi[k]);
    }
    pl_fft(s->cosines, s->sines, s->size, s->im, s->re); /* the inverse, without the factor */
}

static void smooth_power(solver *s, const float *re, const float *im) {
    int32_t bins = s->size / 2 + 1, reach = (int32_t)(SMOOTH_HZ / RATE_HZ * s->size);
    s->sums[0] = 0;
    for (int32_t k = 0; k < bins; k++) s->sums[k + 1] = s->sums[k] + re[k] * re[k] + im[k] * im[k];
    for (int32_t k = 0; k < bins; k++) {
        int32_t first = k > reach ? k - reach : 0, end = k + reach + 1 < bins ? k + reach + 1 : bins;
        s->power[k] = (float)((s->sums[end] - s->sums[first]) / (end - first));
    }
}

static double edge(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

/* The whitening of the recording: its band with all frequencies equally loud. */
static void whiten(solver *s) {
    smooth_power(s, s->heard_re, s->heard_im);
    float largest = 0;
    for (int32_t k = 0; k <= s->size / 2; k++) largest = s->power[k] > largest ? s->power[k] : largest;
    for (int32_t k = 0; k <= s->size / 2; k++) {
        double hz = k * RATE_HZ / s->size;
        double band = edge((hz - LOW_HZ) / LOW_EDGE_HZ) * edge((HIGH_HZ - hz) / HIGH_EDGE_HZ);
        s->whitening[k] = (float)(band * band / (s->power[k] + 1e-9 * largest + 1e-30));
    }
}

/* ---- one turn ---- */

/* A turn as it was played and recorded, at RATE_HZ. */
typedef struct {
    float *song, *heard;
    int32_t song_count, heard_count, lead; /* the recording begins `lead` frames before the song */
    int32_t lag;                           /* of the largest pulse, in frames after the song */
} sound;

enum { ANYWHERE = INT32_MIN };

/* Find the largest pulse, preferably near the lag `around`. Returns its power. */
static double find_pulse(solver *s, sound *t, int32_t around) {
    transform(s, t->heard, t->heard_count, s->heard_re, s->heard_im);
    transform(s, t->song, t->song_count, s->song_re, s->song_im);
    whiten(s);
    smooth_power(s, s->song_re, s->song_im);
    float *weights = s->envelopes[0]; /* free until the response is computed */
    double largest = 0, energy = 0;
    for (int32_t k = 0; k <= s->size / 2; k++) largest = fmax(largest, s->power[k]);
    for (int32_t k = 0; k <= s->size / 2; k++) {
        double power = s->song_re[k] * s->song_re[k] + s->song_im[k] * s->song_im[k];
        double heard = s->heard_re[k] * s->heard_re[k] + s->heard_im[k] * s->heard_im[k];
        double hz = k * RATE_HZ / s->size;
        weights[k] = 0;
        if (hz > LOW_HZ && hz < HIGH_HZ)
            weights[k] = (float)(1 / (power + SEARCH_REGULARISATION * s->power[k] + 1e-9 * largest + 1e-30));
        energy += heard * weights[k] * weights[k] * power;
    }
    correlate(s, s->heard_re, s->heard_im, s->song_re, s->song_im, weights, true);
    double best = 0;
    t->lag = 0;
    for (int32_t k = 0; k < t->heard_count - t->song_count && k < s->size; k++) {
        double squared = (double)s->re[k] * s->re[k] + (double)s->im[k] * s->im[k];
        if (around != ANYWHERE)
            squared *= 1 - FAR_SHARE * fmin(1, fabs((double)k - t->lead - around) / t->lead);
        if (squared > best) {
            best = squared;
            t->lag = k - t->lead;
        }
    }
    return energy > 0 ? best / energy : 0;
}

/* Solve the equations of a symmetric Toeplitz matrix, after Levinson. */
static void solve(solver *s) {
    const double *r = s->normal;
    double *f = s->predictor, *g = s->work, *x = s->solution;
    double error = r[0];
    memset(x, 0, sizeof *x * (size_t)s->unknowns);
    if (!(error > 0)) return;
    f[0] = 1;
    x[0] = s->right[0] / error;
    for (int32_t n = 1; n < s->unknowns; n++) {
        double sum = 0, ahead = 0;
        for (int32_t k = 0; k < n; k++) {
            sum += f[k] * r[n - k];
            ahead += x[k] * r[n - k];
        }
        double reflection = -sum / error;
        f[n] = 0;
        for (int32_t k = 0; k <= n; k++) g[k] = f[k] + reflection * f[n - k];
        memcpy(f, g, sizeof *f * (size_t)(n + 1));
        error *= 1 - reflection * reflection;
        if (!(error > 0)) return;
        double change = (s->right[n] - ahead) / error;
        for (int32_t k = 0; k <= n; k++) x[k] += change * f[n - k];
    }
}

/* The envelope of the response to a part of the song, `first` to `end`: from BEFORE_S before `lag` on. */
static void respond(solver *s, const sound *t, int32_t first, int32_t end, int32_t lag, float *envelope) {
    memset(s->im, 0, sizeof *s->im * (size_t)s->size);
    for (int32_t k = 0; k < s->size; k++) s->song_re[s->places[k]] = k >= first && k < end ? t->song[k] : 0;
    memset(s->song_im, 0, sizeof *s->song_im * (size_t)s->size);
    pl_fft(s->cosines, s->sines, s->size, s->song_re, s->song_im);
    correlate(s, s->song_re, s->song_im, s->song_re, s->song_im, s->whitening, false);
    for (int32_t k = 0; k < s->unknowns; k++) s->normal[k] = s->re[k];
    s->normal[0] *= 1 + REGULARISATION;
    correlate(s, s->heard_re, s->heard_im, s->song_re, s->song_im, s->whitening, false);
    int32_t from = lag + t->lead - (int32_t)(BEFORE_S * RATE_HZ);
    for (int32_t k = 0; k < s->unknowns; k++) s->right[k] = s->re[(from + k + s->size) % s->size];
    solve(s);
    memset(s->im, 0, sizeof *s->im * (size_t)s->size);
    for (int32_t k = 0; k < s->size; k++) s->re[s->places[k]] = k < s->unknowns ? (float)s->solution[k] : 0;
    pl_fft(s->cosines, s->sines, s->size, s->re, s->im);
    for (int32_t k = 0; k < s->size; k++) {
        double hz = k * RATE_HZ / s->size;
        double window = 0.5 - 0.5 * cos(2 * PI * edge((hz - LOW_HZ) / (HIGH_HZ - LOW_HZ)));
        if (k > s->size / 2) window = 0;
        s->song_re[s->places[k]] = (float)(s->re[k] * window);
        s->song_im[s->places[k]] = (float)(s->im[k] * window);
    }
    pl_fft(s->cosines, s->sines, s->size, s->song_im, s->song_re);
    for (int32_t k = 0; k < s->unknowns; k++)
        envelope[k] = sqrtf(s->song_re[k] * s->song_re[k] + s->song_im[k] * s->song_im[k]) / (float)s->size;
}

/* Vertex of the parabola through three values around frame k. */
static double vertex(const float *envelope, int32_t k) {
    double bend = envelope[k - 1] - 2.0 * envelope[k] + envelope[k + 1];
    return bend < 0 ? k + 0.5 * (envelope[k - 1] - envelope[k + 1]) / bend : k;
}

/* The frame of the largest value from `first` to `last`. */
static int32_t largest(const float *values, int32_t first, int32_t last) {
    int32_t best = first;
    for (int32_t k = first; k <= last; k++) best = values[k] > values[best] ? k : best;
    return best;
}

/* What both halves of the turn have: a pulse that only one of them has is noise. */
static void keep_common(solver *s) {
    float *whole = s->envelopes[0];
    for (int32_t k = COMMON; k < s->unknowns - COMMON; k++) {
        for (int half = 1; half <= 2; half++) {
            const float *other = s->envelopes[half];
            whole[k] = fminf(whole[k], other[largest(other, k - COMMON, k + COMMON)]);
        }
    }
}

/* Find the direct sound in the responses, and compare it in the halves. */
static pl_song_arrival examine(solver *s, int32_t lag) {
    const float *whole = s->envelopes[0];
    int32_t before = (int32_t)(BEFORE_S * RATE_HZ), reach = (int32_t)(NOISE_S * RATE_HZ);
    int32_t strongest = largest(whole, reach + 1, before + (int32_t)(STRONGEST_S * RATE_HZ));
    double peak = whole[strongest];
    keep_common(s);
    pl_song_arrival absent = {.noise = 1, .before = 1};
    if (!(peak > 0)) return absent;
    for (int32_t k = 0; k < s->unknowns; k++) {
        double difference = (s->envelopes[1][k] - s->envelopes[2][k]) / 2;
        s->sums[k + 1] = (k ? s->sums[k] : 0) + difference * difference;
    }
    s->sums[0] = 0;
    float *noise = s->power;
    for (int32_t k = 0; k < s->unknowns; k++) {
        int32_t first = k > reach ? k - reach : 0, end = k + reach < s->unknowns ? k + reach : s->unknowns;
        noise[k] = (float)sqrt((s->sums[end] - s->sums[first]) / (end - first));
    }
    int32_t direct = strongest - (int32_t)(FIRST_S * RATE_HZ);
    if (direct <= reach) direct = reach + 1;
    for (; direct < strongest; direct++) {
        bool top = whole[direct] >= whole[direct - 1] && whole[direct] >= whole[direct + 1];
        if (top && whole[direct] >= FIRST_SHARE * peak && whole[direct] >= SURE_NOISES * noise[direct]) break;
    }
    int32_t clear = (int32_t)(CLEAR_S * RATE_HZ);
    double halves[2];
    for (int k = 0; k < 2; k++)
        halves[k] = vertex(s->envelopes[k + 1], largest(s->envelopes[k + 1], direct - clear, direct + clear));
    int32_t doubt = direct - (int32_t)(DOUBT_S * RATE_HZ);
    if (doubt < 0) doubt = 0;
    return (pl_song_arrival){
        .delay_s = (lag - before + vertex(whole, direct)) / RATE_HZ,
        .spread_s = fabs(halves[0] - halves[1]) / RATE_HZ,
        .noise = whole[direct] > 0 ? noise[direct] / whole[direct] : 1,
        .before = whole[direct] > 0 ? whole[largest(whole, doubt, direct - clear)] / whole[direct] : 1,
    };
}

/* ---- the whole ---- */

typedef struct {
    const float *samples; /* mono */
    int64_t count;
    double rate_hz;
    filter filter;
} source;

/* Resample a turn of the recording, which begins at `begin_s`, for a clock that runs faster by
 * `rate_error`. */
static void hear(const source *recording, double begin_s, const pl_turn *turn, double rate_error, sound *t) {
    double from_s = turn->begin_s - (double)t->lead / RATE_HZ;
    /* The time of the recording, by the clock of the microphone, is 0 at its first frame. */
    resample(&recording->filter, recording->samples, recording->count, recording->rate_hz * (1 + rate_error),
             from_s - begin_s, t->heard_count, t->heard);
}

static const float SHARES[PL_ROLES][2] = {{0.5F, 0.5F}, {1, 0}, {0, 1}, {0.5F, 0.5F}};

static void play(const source *song, const pl_turn *turn, double fade_s, sound *t) {
    resample(&song->filter, song->samples, song->count, song->rate_hz, turn->begin_s, t->song_count, t->song);
    double length_s = turn->end_s - turn->begin_s;
    for (int32_t j = 0; j < t->song_count; j++) {
        double at_s = j / RATE_HZ, in = fmin(at_s, length_s - at_s) / fade_s;
        t->song[j] *= (float)(0.5 - 0.5 * cos(PI * edge(in)));
    }
}

static bool init_solver(solver *s, int32_t frames) {
    enum { FLOATS = 10 };
    s->size = 2;
    while (s->size < frames) s->size *= 2;
    size_t size = (size_t)s->size;
    s->unknowns = (int32_t)((BEFORE_S + AFTER_S) * RATE_HZ);
    s->places = malloc(sizeof *s->places * size);
    s->cosines = calloc(size * FLOATS + 3 * (size + 1), sizeof(float));
    s->sums = calloc(size + 2 + 5 * (size_t)s->unknowns, sizeof(double));
    if (!s->places || !s->cosines || !s->sums) return false;
    float **floats[] = {&s->sines,   &s->re,      &s->im,        &s->heard_re, &s->heard_im,
                        &s->song_re, &s->song_im, &s->whitening, &s->power};
    for (int k = 0; k < FLOATS - 1; k++) *floats[k] = s->cosines + size * (size_t)(k + 1);
    for (int k = 0; k < 3; k++) s->envelopes[k] = s->cosines + size * FLOATS + (size + 1) * (size_t)k;
    double **doubles[] = {&s->normal, &s->right, &s->solution, &s->predictor, &s->work};
    for (int k = 0; k < 5; k++) *doubles[k] = s->sums + size + 2 + (size_t)s->unknowns * (size_t)k;
    pl_fft_tables(s->cosines, s->sines, s->size);
    for (int32_t k = 0; k < s->size; k++) s->places[k] = pl_fft_place(k, s->size);
    return true;
}

static void free_solver(solver *s) {
    free(s->places);
    free(s->cosines);
    free(s->sums);
}

/* The responses of a turn, and its direct sound. */
static pl_song_arrival arrive(solver *s, sound *t, int32_t around) {
    find_pulse(s, t, around);
    int32_t lag = t->lag;
    int32_t half = t->song_count / 2;
    respond(s, t, 0, half, lag, s->envelopes[1]);
    respond(s, t, half, t->song_count, lag, s->envelopes[2]);
    respond(s, t, 0, t->song_count, lag, s->envelopes[0]);
    return examine(s, lag);
}

/* The rate at which the pulses of all turns are largest. */
static double find_rate(solver *s, const source *recording, double begin_s, const pl_turn *turns,
                        int32_t turn_count, sound *sounds) {
    double best = -1, found = 0;
    for (int32_t k = 0; k < RATES; k++) {
        double rate = MAX_RATE_ERROR * (2.0 * k / (RATES - 1) - 1), sum = 0;
        for (int32_t i = 0; i < turn_count; i++) {
            hear(recording, begin_s, &turns[i], rate, &sounds[i]);
            sum += find_pulse(s, &sounds[i], ANYWHERE);
        }
        if (sum > best) {
            best = sum;
            found = rate;
        }
    }
    return found;
}

static int32_t median_lag(const sound *sounds, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        int32_t before = 0, behind = 0;
        for (int32_t k = 0; k < count; k++) {
            before += sounds[k].lag < sounds[i].lag;
            behind += sounds[k].lag > sounds[i].lag;
        }
        if (2 * before <= count && 2 * behind <= count) return sounds[i].lag;
    }
    return 0;
}

bool pl_song_find(const float *recording, int64_t count, double rate_hz, double begin_s, const float *song,
                  int64_t song_count, double song_rate_hz, const pl_turn *turns, int32_t turn_count,
                  double fade_s, double reach_s, pl_song_arrival *arrivals, double *rate_error) {
    solver s = {0};
    source heard = {.count = count, .rate_hz = rate_hz},
           played = {.count = song_count, .rate_hz = song_rate_hz};
    sound *sounds = calloc((size_t)turn_count, sizeof *sounds);
    double longest_s = 0;
    for (int32_t i = 0; i < turn_count; i++) longest_s = fmax(longest_s, turns[i].end_s - turns[i].begin_s);
    int32_t lead = (int32_t)(reach_s * RATE_HZ), most = (int32_t)(longest_s * RATE_HZ) + 1;
    int32_t most_heard = most + 2 * lead;
    float *samples = malloc(sizeof *samples * (size_t)turn_count * (size_t)(most + most_heard)),
          *mono = malloc(sizeof *mono * (size_t)(count + song_count + 1));
    bool good = sounds && samples && mono && init_solver(&s, most_heard + most) &&
                init_filter(&heard.filter, rate_hz) && init_filter(&played.filter, song_rate_hz);
    if (good) {
        mix(recording, count, 1, 1, 0, mono);
        heard.samples = mono;
        played.samples = mono + count;
        for (int32_t i = 0; i < turn_count; i++) {
            sounds[i].song = samples + (size_t)i * (size_t)(most + most_heard);
            sounds[i].heard = sounds[i].song + most;
            sounds[i].song_count = (int32_t)((turns[i].end_s - turns[i].begin_s) * RATE_HZ);
            sounds[i].heard_count = sounds[i].song_count + 2 * lead;
            sounds[i].lead = lead;
            const float *share = SHARES[turns[i].role];
            mix(song, song_count, 2, share[0], share[1], mono + count);
            play(&played, &turns[i], fade_s, &sounds[i]);
        }
        double rate = find_rate(&s, &heard, begin_s, turns, turn_count, sounds);
        for (int32_t i = 0; i < turn_count; i++) {
            hear(&heard, begin_s, &turns[i], rate, &sounds[i]);
            find_pulse(&s, &sounds[i], ANYWHERE);
        }
        const int32_t last = turn_count - 1, around = median_lag(sounds, turn_count);
        for (int32_t i = 0; i <= last; i += last > 0 ? last : 1) {
            hear(&heard, begin_s, &turns[i], rate, &sounds[i]);
            arrivals[i] = arrive(&s, &sounds[i], around);
        }
        if (last > 0) {
            double change =
                (arrivals[last].delay_s - arrivals[0].delay_s) / (turns[last].begin_s - turns[0].begin_s);
            if (fabs(change) <= MAX_RATE_CHANGE) rate += change;
        }
        for (int32_t i = 0; i < turn_count; i++) {
            hear(&heard, begin_s, &turns[i], rate, &sounds[i]);
            arrivals[i] = arrive(&s, &sounds[i], around);
        }
        *rate_error = rate;
    }
    free(samples);
    free_solver(&s);
    free(sounds);
    free(mono);
    free(heard.filter.rows);
    free(played.filter.rows);
    return good;
}
