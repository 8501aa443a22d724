#include "pl_resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
/* Shape of the Kaiser window: a stop band of 101 dB by Kaiser's formula, beta = 0.1102 * (dB - 8.7). */
static const double KAISER_BETA = 10.2;
/* The transition band is made as wide as this attenuation needs: a little wider than the window's own. */
static const double TRANSITION_DB = 105;
/* Taps where the rate does not fall. */
enum { BASE_TAPS = 96 };
_Static_assert(BASE_TAPS % PL_TAPS_AT_ONCE == 0 && PL_MAX_TAPS % PL_TAPS_AT_ONCE == 0, "whole vectors");

/* The modified Bessel function of the first kind, order 0, by its power series. */
static double bessel_i0(double x) {
    double sum = 1, term = 1;
    for (int k = 1; k < 64 && term > sum * 1e-18; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* The windowed sinc at `t` input frames from its centre. `cutoff`: of the input rate. `half`: of the taps. */
static double windowed_sinc(double t, double cutoff, double half) {
    double u = t / half;
    if (fabs(u) >= 1) return 0;
    double sinc = t == 0 ? 2 * cutoff : sin(2 * PI * cutoff * t) / (PI * t);
    return sinc * bessel_i0(KAISER_BETA * sqrt(1 - u * u)) / bessel_i0(KAISER_BETA);
}

/* The taps at one phase. The gain is the same at every phase. */
static void compute_taps(float *row, int taps, double fraction, double cutoff) {
    double sum = 0, half = taps / 2.0;
    for (int k = 0; k < taps; k++) {
        double v = windowed_sinc(k - (half - 1) - fraction, cutoff, half);
        row[k] = (float)v;
        sum += v;
    }
    for (int k = 0; k < taps; k++) row[k] = (float)(row[k] / sum);
}

bool pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz) {
    double narrower = fmin(1.0, to_hz / from_hz);
    int taps = (int)ceil(BASE_TAPS / narrower / PL_TAPS_AT_ONCE) * PL_TAPS_AT_ONCE;
    if (taps > PL_MAX_TAPS) taps = PL_MAX_TAPS;
    int vectors = taps / PL_LANES;
    kernel->taps = taps;
    kernel->table = malloc(sizeof *kernel->table * (PL_PHASES + 1) * (size_t)vectors);
    if (!kernel->table) return false;
    /* Width of the transition band, of the input rate: Kaiser's formula. */
    double transition = (TRANSITION_DB - 8) / (2.285 * 2 * PI * (taps - 1));
    double cutoff = 0.5 * narrower - 0.25 * transition;
    float row[PL_MAX_TAPS];
    for (int phase = 0; phase <= PL_PHASES; phase++) {
        compute_taps(row, taps, (double)phase / PL_PHASES, cutoff);
        memcpy(kernel->table + (size_t)phase * (size_t)vectors, row, sizeof *row * (size_t)taps);
    }
    return true;
}

void pl_kernel_free(pl_kernel *kernel) {
    free(kernel->table);
    kernel->table = NULL;
}
