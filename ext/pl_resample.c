#include "pl_resample.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;
static const double BETA = 10.2;              /* Kaiser: stop band about 105 dB down */
enum { BASE_TAPS = 96 };

static double bessel_i0(double x) {
    double sum = 1, term = 1;
    for (int k = 1; k < 64 && term > sum * 1e-18; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

bool pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz) {
    double narrower = fmin(1.0, to_hz / from_hz);
    int taps = (int)ceil(BASE_TAPS / narrower / 8) * 8;
    if (taps > PL_MAX_TAPS) taps = PL_MAX_TAPS;
    kernel->taps = taps;
    kernel->table = malloc(sizeof(float) * (PL_PHASES + 1) * (size_t)taps);
    if (!kernel->table) return false;
    double half = taps / 2.0, transition = (105.0 - 8) / (2.285 * 2 * PI * (taps - 1));   /* of the input rate; Kaiser's formula */
    double cutoff = 0.5 * narrower - 0.25 * transition;
    for (int phase = 0; phase <= PL_PHASES; phase++) {
        float *row = kernel->table + (size_t)phase * (size_t)taps;
        double sum = 0, fraction = (double)phase / PL_PHASES;
        for (int k = 0; k < taps; k++) {
            double t = k - (half - 1) - fraction, u = t / half;
            double sinc = t == 0 ? 2 * cutoff : sin(2 * PI * cutoff * t) / (PI * t);
            double v = fabs(u) < 1 ? sinc * bessel_i0(BETA * sqrt(1 - u * u)) / bessel_i0(BETA) : 0;
            row[k] = (float)v;
            sum += v;
        }
        for (int k = 0; k < taps; k++) row[k] = (float)(row[k] / sum);   /* the same gain at every phase */
    }
    return true;
}

void pl_kernel_free(pl_kernel *kernel) {
    free(kernel->table);
    kernel->table = NULL;
}

void pl_kernel_frame_rt(const pl_kernel *kernel, const float *left, const float *right, double fraction, float *out) {
    double place = fraction * PL_PHASES;
    int phase = (int)place;
    float between = (float)(place - phase);
    int taps = kernel->taps;
    const float *a = kernel->table + (long)phase * taps, *b = a + taps;
    float l[8] = {0}, r[8] = {0};   /* eight lanes each: compilers make vectors of them without being told to reorder sums */
    for (int k = 0; k < taps; k += 8)
        for (int j = 0; j < 8; j++) {
            float c = a[k + j] + between * (b[k + j] - a[k + j]);
            l[j] += c * left[k + j];
            r[j] += c * right[k + j];
        }
    out[0] = ((l[0] + l[4]) + (l[1] + l[5])) + ((l[2] + l[6]) + (l[3] + l[7]));
    out[1] = ((r[0] + r[4]) + (r[1] + r[5])) + ((r[2] + r[6]) + (r[3] + r[7]));
}
