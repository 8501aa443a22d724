/* Windowed-sinc interpolation at any place between frames: the track's rate to the device's, fractions of a
 * frame and drift in one.
 *
 * A Kaiser window over 96 input frames (more where the rate falls, so that the cut-off stays below the
 * device's Nyquist frequency), tabulated at 512 phases, linear between them. Alias and image are at least 100
 * dB down outside a transition band of 3 kHz around the lower Nyquist frequency (Smith, "Digital audio
 * resampling", CCRMA, 1984-2020; Kaiser 1974 for the window). */
#ifndef PL_RESAMPLE_H
#define PL_RESAMPLE_H

#include <assert.h>
#include <stdbool.h>

#include "pl_vector.h"

/* Linear interpolation between the phases errs by at most (pi / PL_PHASES)^2 / 24 = 1.6e-6 of the largest
 * tap: -116 dB. PL_MAX_TAPS is enough for a rate that falls to an eighth; below, the stop band begins
 * later. */
enum { PL_PHASES = 512, PL_MAX_TAPS = 768 };

/* Two sums of each channel at once: one would wait for its own last addition. */
enum { PL_TAPS_AT_ONCE = 2 * PL_LANES };

typedef struct {
    int taps; /* a multiple of PL_TAPS_AT_ONCE; the output lies between inputs taps/2 - 1 and taps/2 */
    pl_vector *table; /* PL_PHASES + 1 rows of taps / PL_LANES */
} pl_kernel;

/* `from_hz`: the track's rate, `to_hz`: the device's. False when memory is short. */
bool pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz);
void pl_kernel_free(pl_kernel *kernel);

/* Write one stereo frame to `out`: at `fraction` (0 to 1) after input frame taps/2 - 1 of left and right. */
static inline void pl_kernel_frame_rt(const pl_kernel *kernel, const float *left, const float *right,
                                      double fraction, float *out) {
    assert(fraction >= 0 && fraction < 1);
    double place = fraction * PL_PHASES;
    int phase = (int)place, taps = kernel->taps;
    const pl_vector *row = kernel->table + (long)phase * (taps / PL_LANES), *next = row + taps / PL_LANES;
    pl_vector share = pl_vector_all((float)(place - phase)), zero = pl_vector_all(0);
    pl_vector l[2] = {zero, zero}, r[2] = {zero, zero};
    for (int k = 0; k < taps; k += PL_TAPS_AT_ONCE, row += 2, next += 2) {
        for (int i = 0, at = k; i < 2; i++, at += PL_LANES) {
            pl_vector taps_now = pl_vector_add_product(row[i], share, pl_vector_subtract(next[i], row[i]));
            l[i] = pl_vector_add_product(l[i], taps_now, pl_vector_load(left + at));
            r[i] = pl_vector_add_product(r[i], taps_now, pl_vector_load(right + at));
        }
    }
    out[0] = pl_vector_sum(pl_vector_add(l[0], l[1]));
    out[1] = pl_vector_sum(pl_vector_add(r[0], r[1]));
}

#endif
