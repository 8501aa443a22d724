#include "pl_sweep.h"
#include "pl_fft.h"
#include "pl_sample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
/* Share of the largest power of the sweep that is added where it has less, so that noise is not amplified. */
static const double REGULARISATION = 1e-4;
/* Where the window has less, a response says nothing, or nothing of a level. */
static const float MIN_WINDOW = 1e-3f, MIN_LEVEL_WINDOW = 1e-2f;
/* Full scale, less what a driver may take away. */
static const float FULL_SCALE = 0.99f;
/* Least length of a transform in sweeps, so that half of a block is new. */
enum { SWEEPS_PER_BLOCK = 5, RINGS_PER_BLOCK = 8 };

/* A block of the overlap-save method, and what the transforms need. */
typedef struct pl_sweep_block {
    int32_t size, ring, step; /* frames of a block, before the first one that is used, and used */
    int32_t centre;           /* bin that becomes zero */
    int32_t *places;
    float *cosines, *sines;
    float *spectrum_re, *spectrum_im, *re, *im;
    float *sweep_re[PL_SWEEPS], *sweep_im[PL_SWEEPS]; /* spectra */
    float *inverse_re[PL_SWEEPS], *inverse_im[PL_SWEEPS];
    float *window; /* over the band, in bins */
    double window_sum, window_squares;
} block;

/* The spectrum of `frames` real samples, the rest of the block being silence. */
static void transform(const block *b, const float *samples, int64_t first, int64_t count, float *re,
                      float *im) {
    memset(im, 0, sizeof *im * (size_t)b->size);
    for (int32_t k = 0; k < b->size; k++) {
        int64_t at = first + k;
        re[b->places[k]] = at >= 0 && at < count ? pl_sane_sample(samples[at]) : 0;
    }
    pl_fft(b->cosines, b->sines, b->size, re, im);
}

/* The spectral inverse of a sweep within a Hann window over the band. */
static void invert(block *b, int sweep, const float *samples, int32_t frames, double low, double high) {
    float *re = b->inverse_re[sweep], *im = b->inverse_im[sweep];
    transform(b, samples, 0, frames, re, im);
    memcpy(b->sweep_re[sweep], re, sizeof *re * (size_t)b->size);
    memcpy(b->sweep_im[sweep], im, sizeof *im * (size_t)b->size);
    double largest = 0, sum = 0, squares = 0;
    for (int32_t k = 0; k < b->size / 2; k++) largest = fmax(largest, re[k] * re[k] + im[k] * im[k]);
    for (int32_t k = 0; k < b->size; k++) {
        double window = 0.5 - 0.5 * cos(2 * PI * (k - low) / (high - low));
        if (k <= low || k >= high) window = 0;
        double gain = window / (re[k] * re[k] + im[k] * im[k] + REGULARISATION * largest + 1e-30);
        re[k] = (float)(re[k] * gain);
        im[k] = (float)(-im[k] * gain);
        b->window[k] = (float)window;
        sum += window;
        squares += window * window;
    }
    for (int32_t k = 0; k < b->size; k++) {
        re[k] = (float)(re[k] / sum);
        im[k] = (float)(im[k] / sum);
    }
    b->window_sum = sum;
    b->window_squares = squares;
}

/* Write the responses to one sweep for the frames from `first` on; the spectrum is that of the frames from
 * `first - ring` on. */
static void respond(block *b, int sweep, int64_t first, pl_responses *to) {
    for (int32_t k = 0; k < b->size; k++) {
        int32_t from = (k + b->centre) & (b->size - 1), at = b->places[k];
        float xr = b->spectrum_re[from], xi = b->spectrum_im[from];
        float hr = b->inverse_re[sweep][from], hi = b->inverse_im[sweep][from];
        b->re[at] = xr * hr - xi * hi;
        b->im[at] = xr * hi + xi * hr;
    }
    pl_fft(b->cosines, b->sines, b->size, b->im, b->re); /* the inverse */
    double angle = -2 * PI * (double)(b->centre * (first - b->ring) % b->size) / b->size;
    float c = (float)cos(angle), s = (float)sin(angle);
    for (int32_t k = 0; k < b->step && first + k < to->count; k++) {
        float re = b->re[b->ring + k], im = b->im[b->ring + k];
        to->frames[sweep][first + k] = (pl_complex){.re = re * c - im * s, .im = re * s + im * c};
    }
}

static void free_block(block *b) {
    free(b->places);
    free(b->cosines);
}

/* All arrays of floats are parts of one. If there is not enough memory, the block must be freed, too. */
static bool init_block(block *b, int32_t sweep_frames) {
    enum { ARRAYS = 7 + 4 * PL_SWEEPS };
    b->size = 2;
    while (b->size < SWEEPS_PER_BLOCK * sweep_frames) b->size *= 2;
    b->ring = b->size / RINGS_PER_BLOCK;
    b->step = b->size - sweep_frames - 2 * b->ring;
    b->places = malloc(sizeof *b->places * (size_t)b->size);
    b->cosines = calloc((size_t)b->size * ARRAYS, sizeof *b->cosines);
    if (!b->places || !b->cosines) return false;
    float **arrays[ARRAYS - 1] = {&b->sines, &b->spectrum_re, &b->spectrum_im, &b->re, &b->im, &b->window};
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        arrays[6 + 4 * sweep] = &b->inverse_re[sweep];
        arrays[7 + 4 * sweep] = &b->inverse_im[sweep];
        arrays[8 + 4 * sweep] = &b->sweep_re[sweep];
        arrays[9 + 4 * sweep] = &b->sweep_im[sweep];
    }
    for (int k = 0; k < ARRAYS - 1; k++) *arrays[k] = b->cosines + (size_t)b->size * (size_t)(k + 1);
    pl_fft_tables(b->cosines, b->sines, b->size);
    for (int32_t k = 0; k < b->size; k++) b->places[k] = pl_fft_place(k, b->size);
    return true;
}

bool pl_responses_init(pl_responses *responses, const float *recording, int64_t count, double rate_hz,
                       const float *const sweeps[PL_SWEEPS], int32_t sweep_frames, double low_hz,
                       double high_hz) {
    assert(sweep_frames > 0 && 0 < low_hz && low_hz < high_hz && high_hz < rate_hz / 2);
    block *b = calloc(1, sizeof *b);
    *responses = (pl_responses){.count = count, .rate_hz = rate_hz, .block = b};
    bool good = b && init_block(b, sweep_frames);
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) {
        responses->frames[sweep] = calloc((size_t)count + 1, sizeof(pl_complex));
        good = good && responses->frames[sweep];
    }
    if (!good) {
        pl_responses_free(responses);
        return false;
    }
    for (int64_t k = 0; k < count; k++)
        responses->clipped += fabsf(pl_sane_sample(recording[k])) >= FULL_SCALE;
    double bins_per_hz = b->size / rate_hz;
    b->centre = (int32_t)rint((low_hz + high_hz) / 2 * bins_per_hz);
    responses->turns = (double)b->centre / b->size;
    /* What one sweep leaves of the other one reaches a sweep and a ring to both sides. */
    responses->cross_lead = sweep_frames + b->ring / 2;
    responses->max_response = b->size - 2 * responses->cross_lead;
    responses->cross_count = b->size;
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++)
        invert(b, sweep, sweeps[sweep], sweep_frames, low_hz * bins_per_hz, high_hz * bins_per_hz);
    for (int64_t first = 0; first < count; first += b->step) {
        transform(b, recording, first - b->ring, count, b->spectrum_re, b->spectrum_im);
        for (int sweep = 0; sweep < PL_SWEEPS; sweep++) respond(b, sweep, first, responses);
    }
    return true;
}

void pl_responses_free(pl_responses *responses) {
    for (int sweep = 0; sweep < PL_SWEEPS; sweep++) free(responses->frames[sweep]);
    if (responses->block) free_block(responses->block);
    free(responses->block);
    *responses = (pl_responses){0};
}

/* Write the spectrum of a response into the block. */
static void transform_response(block *b, const pl_complex *response, int32_t count) {
    for (int32_t k = 0; k < b->size; k++) {
        int32_t at = b->places[k];
        b->spectrum_re[at] = k < count ? response[k].re : 0;
        b->spectrum_im[at] = k < count ? response[k].im : 0;
    }
    pl_fft(b->cosines, b->sines, b->size, b->spectrum_re, b->spectrum_im);
}

double pl_responses_level(const pl_responses *responses, int sweep, const pl_complex *response, int32_t count,
                          double noise_energy) {
    assert(count <= responses->max_response);
    block *b = responses->block;
    double heard = 0, played = 0, noise = noise_energy * b->size / b->window_squares;
    transform_response(b, response, count);
    for (int32_t k = 0; k < b->size; k++) {
        int32_t bin = (k + b->centre) & (b->size - 1);
        double window = b->window[bin];
        if (window < (double)MIN_LEVEL_WINDOW) continue;
        double re = b->spectrum_re[k], im = b->spectrum_im[k];
        double sr = b->sweep_re[sweep][bin], si = b->sweep_im[sweep][bin], power = sr * sr + si * si;
        heard += power * ((re * re + im * im) / (window * window) - noise);
        played += power;
    }
    return b->window_sum * sqrt(fmax(0, heard) / played);
}

void pl_responses_cross(const pl_responses *responses, int sweep, const pl_complex *response, int32_t count,
                        pl_complex *other) {
    assert(count <= responses->max_response);
    block *b = responses->block;
    int to = 1 - sweep;
    transform_response(b, response, count);
    for (int32_t k = 0; k < b->size; k++) {
        int32_t bin = (k + b->centre) & (b->size - 1), at = b->places[k];
        float gain = b->window[bin] > MIN_WINDOW ? (float)(b->window_sum / b->size) / b->window[bin] : 0;
        float sr = b->sweep_re[sweep][bin], si = b->sweep_im[sweep][bin];
        float hr = gain * b->inverse_re[to][bin], hi = gain * b->inverse_im[to][bin];
        float cr = sr * hr - si * hi, ci = sr * hi + si * hr;
        b->re[at] = b->spectrum_re[k] * cr - b->spectrum_im[k] * ci;
        b->im[at] = b->spectrum_re[k] * ci + b->spectrum_im[k] * cr;
    }
    pl_fft(b->cosines, b->sines, b->size, b->im, b->re); /* the inverse */
    double angle = -2 * PI * fmod(responses->turns * responses->cross_lead, 1);
    float c = (float)cos(angle), d = (float)sin(angle); /* turns as if the window began at 0 */
    for (int32_t k = 0; k < b->size; k++) {
        int32_t at = (k - responses->cross_lead) & (b->size - 1);
        other[k] = (pl_complex){.re = c * b->re[at] - d * b->im[at], .im = d * b->re[at] + c * b->im[at]};
    }
}
