#include "pl_resample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;
/* Shape of the Kaiser window: a stop band of 101 dB by Kaiser's formula, beta = 0.1102 * (dB - 8.7). */
static const double KAISER_BETA = 10.2;
/* The transition band is made as wide as this attenuation needs: a little wider than the window's own. */
static const double TRANSITION_DB = 105;
/* BASE_TAPS: taps where the rate does not fall. LANES: independent sums, which a compiler can turn into
 * vectors. */
enum { BASE_TAPS = 96, LANES = 8 };
_Static_assert(BASE_TAPS % LANES == 0 && PL_MAX_TAPS % LANES == 0, "whole vectors");

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

bool pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz) {
    double narrower = fmin(1.0, to_hz / from_hz);
    int taps = (int)ceil(BASE_TAPS / narrower / LANES) * LANES;
    if (taps > PL_MAX_TAPS) taps = PL_MAX_TAPS;
    kernel->taps = taps;
    kernel->table = malloc(sizeof(float) * (PL_PHASES + 1) * (size_t)taps);
    if (!kernel->table) return false;
    /* Width of the transition band, of the input rate: Kaiser's formula. */
    double transition = (TRANSITION_DB - 8) / (2.285 * 2 * PI * (taps - 1));
    double half = taps / 2.0, cutoff = 0.5 * narrower - 0.25 * transition;
    for (int phase = 0; phase <= PL_PHASES; phase++) {
        float *row = kernel->table + (size_t)phase * (size_t)taps;
        double sum = 0, fraction = (double)phase / PL_PHASES;
        for (int k = 0; k < taps; k++) {
            double v = windowed_sinc(k - (half - 1) - fraction, cutoff, half);
            row[k] = (float)v;
            sum += v;
        }
        for (int k = 0; k < taps; k++) row[k] = (float)(row[k] / sum); /* the same gain at every phase */
    }
    return true;
}

void pl_kernel_free(pl_kernel *kernel) {
    free(kernel->table);
    kernel->table = NULL;
}

void pl_kernel_frame_rt(const pl_kernel *kernel, const float *left, const float *right, double fraction,
                        float *out) {
    assert(fraction >= 0 && fraction < 1);
    double place = fraction * PL_PHASES;
    int phase = (int)place;
    float between = (float)(place - phase);
    int taps = kernel->taps;
    const float *a = kernel->table + (long)phase * taps, *b = a + taps;
    float l[LANES] = {0}, r[LANES] = {0};
    for (int k = 0; k < taps; k += LANES) {
        for (int j = 0; j < LANES; j++) {
            float c = a[k + j] + between * (b[k + j] - a[k + j]);
            l[j] += c * left[k + j];
            r[j] += c * right[k + j];
        }
    }
    out[0] = ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7]));
    out[1] = ((r[0] + r[4]) + (r[1] + r[5])) + ((r[2] + r[6]) + (r[3] + r[7]));
}
