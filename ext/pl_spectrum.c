#include "pl_spectrum.h"
#include "pl_fft.h"
#include "pl_sample.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
/* Range of the bands: the lowest and the highest frequency, and the highest one as a fraction of the rate. */
static const double MIN_HZ = 40, MAX_HZ = 16000, MAX_OF_RATE = 0.45;
/* One row of levels lasts this long: 2048 frames at 44.1 kHz. A hop is not longer than half a window. */
static const double HOP_S = 2048 / 44100.0;
/* A window has the smallest power of two of frames that is at least this many hops. With sqrt(2) it has 1.4
 * to 2.8 hops. */
static const double MIN_WINDOW_HOPS = 1.41;
/* Level 0, relative to a full-scale sine. */
static const float FLOOR_DB = -60;
/* Compute the power of the windowed samples at each bin but the first. The even and odd samples are
 * transformed as one complex sequence, and separated after it. */
static void measure(pl_spectrum *s) {
    int half = s->size / 2;
    for (int k = 0; k < half; k++) {
        int at = s->reversed[k];
        s->re[at] = s->samples[2 * k] * s->window[2 * k];
        s->im[at] = s->samples[2 * k + 1] * s->window[2 * k + 1];
    }
    pl_fft(s->cosines, s->sines, half, s->re, s->im);
    const float *c = s->cosines + half, *d = s->sines + half;
    for (int k = 1; k < half; k++) {
        float even_r = s->re[k] + s->re[half - k], even_i = s->im[k] - s->im[half - k];
        float odd_r = s->im[k] + s->im[half - k], odd_i = s->re[half - k] - s->re[k];
        float r = even_r + c[k] * odd_r + d[k] * odd_i, i = even_i + c[k] * odd_i - d[k] * odd_r;
        s->power[k] = r * r + i * i;
    }
}

static float band_power(const pl_spectrum *s, int band, const float *weights) {
    float sum = 0;
    for (int k = 0; k < s->bands[band].count; k++) sum += weights[k] * s->power[s->bands[band].first + k];
    return sum;
}

static void write_levels(pl_spectrum *s, uint8_t *levels) {
    measure(s);
    const float *weights = s->weights;
    for (int b = 0; b < PL_BANDS; b++) {
        float level = (1 - 10 * log10f(band_power(s, b, weights) + 1e-20f) / FLOOR_DB) * 255;
        levels[b] = (uint8_t)(fminf(255, fmaxf(0, level)) + 0.5f);
        weights += s->bands[b].count;
    }
}

void pl_spectrum_init(pl_spectrum *s, double rate_hz) {
    memset(s, 0, sizeof *s);
    s->hop = (int32_t)fmin(PL_SPECTRUM_SIZE / 2, rint(HOP_S * rate_hz));
    s->size = 2;
    while (s->size < PL_SPECTRUM_SIZE && s->size < MIN_WINDOW_HOPS * s->hop) s->size *= 2;
    for (int k = 0; k < s->size; k++) s->window[k] = (float)(0.5 - 0.5 * cos(2 * PI * k / s->size));
    pl_fft_tables(s->cosines, s->sines, s->size);
    for (int k = 0; k < s->size / 2; k++) s->reversed[k] = (uint16_t)pl_fft_place(k, s->size / 2);

    /* A bin reaches half a bin to both sides; a band has its share of each. The weights are scaled by what a
     * full-scale sine in the middle of the band gives. */
    double max_hz = fmin(MAX_HZ, MAX_OF_RATE * rate_hz), ratio = pow(max_hz / MIN_HZ, 1.0 / PL_BANDS);
    float *weights = s->weights;
    for (int b = 0; b < PL_BANDS; b++) {
        double low = MIN_HZ * pow(ratio, b) * s->size / rate_hz;
        double high = low * ratio, middle = low * sqrt(ratio);
        int first = (int)floor(low + 0.5), count = (int)floor(high + 0.5) - first + 1;
        s->bands[b].first = first;
        s->bands[b].count = count;
        for (int k = 0; k < count; k++)
            weights[k] = (float)(fmin(high, first + k + 0.5) - fmax(low, first + k - 0.5));
        for (int k = 0; k < s->size; k++) s->samples[k] = (float)sin(2 * PI * middle * k / s->size);
        measure(s);
        float full = band_power(s, b, weights);
        for (int k = 0; k < count; k++) weights[k] /= full;
        weights += count;
    }
    memset(s->samples, 0, sizeof s->samples);
    s->filled = (s->size - s->hop) / 2; /* the first hop is the middle of its window */
}

/* Add one sample. True when the window was full and levels were written. */
static bool add(pl_spectrum *s, float sample, uint8_t *levels) {
    assert(s->filled >= 0 && s->filled < s->size);
    s->samples[s->filled++] = sample;
    if (s->filled < s->size) return false;
    write_levels(s, levels);
    s->filled -= s->hop;
    s->hops++;
    memmove(s->samples, s->samples + s->hop, sizeof *s->samples * (size_t)s->filled);
    return true;
}

int64_t pl_spectrum_feed(pl_spectrum *s, const float *stereo, int64_t frames, uint8_t *levels) {
    int64_t before = s->hops;
    s->frames += frames;
    for (int64_t k = 0; k < frames; k++) {
        float mean = 0.5f * (pl_sane_sample(stereo[2 * k]) + pl_sane_sample(stereo[2 * k + 1]));
        if (add(s, mean, levels)) levels += PL_BANDS;
    }
    return s->hops - before;
}

int64_t pl_spectrum_due(const pl_spectrum *s) { return (s->frames + s->hop - 1) / s->hop - s->hops; }

void pl_spectrum_finish(pl_spectrum *s, uint8_t *levels) {
    while (pl_spectrum_due(s) > 0)
        if (add(s, 0, levels)) levels += PL_BANDS;
}

float pl_peak(const float *stereo, int64_t frames) {
    enum { LANES = 8 }; /* independent maxima, which a compiler can turn into vectors */
    float largest[LANES] = {0};
    int64_t samples = 2 * frames, k = 0;
    for (; k + LANES <= samples; k += LANES) {
        for (int j = 0; j < LANES; j++) {
            float x = fabsf(stereo[k + j]);
            largest[j] = x > largest[j] ? x : largest[j]; /* NaN is never larger */
        }
    }
    for (; k < samples; k++) largest[0] = fabsf(stereo[k]) > largest[0] ? fabsf(stereo[k]) : largest[0];
    for (int j = 1; j < LANES; j++) largest[0] = largest[j] > largest[0] ? largest[j] : largest[0];
    return largest[0];
}
