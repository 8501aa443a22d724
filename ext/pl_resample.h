/* Windowed-sinc interpolation at any place between frames: the track's rate to the device's, fractions of a
 * frame and drift in one.
 *
 * A Kaiser window over 96 input frames (more where the rate falls, so that the cut-off stays below the
 * device's Nyquist frequency), tabulated at 512 phases, linear between them. Alias and image are at least 100
 * dB down outside a transition band of 3 kHz around the lower Nyquist frequency (Smith, "Digital audio
 * resampling", CCRMA, 1984-2020; Kaiser 1974 for the window). */
#ifndef PL_RESAMPLE_H
#define PL_RESAMPLE_H

#include <stdbool.h>

/* Linear interpolation between the phases errs by at most (pi / PL_PHASES)^2 / 24 = 1.6e-6 of the largest
 * tap: -116 dB. PL_MAX_TAPS is enough for a rate that falls to an eighth; below, the stop band begins
 * later. */
enum { PL_PHASES = 512, PL_MAX_TAPS = 768 };

typedef struct {
    int taps;     /* a multiple of 8; the output lies between inputs taps/2 - 1 and taps/2 */
    float *table; /* (PL_PHASES + 1) rows of taps */
} pl_kernel;

/* `from_hz`: the track's rate, `to_hz`: the device's. False when memory is short. */
bool pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz);
void pl_kernel_free(pl_kernel *kernel);

/* Write one stereo frame to `out`: at `fraction` (0 to 1) after input frame taps/2 - 1 of left and right. */
void pl_kernel_frame_rt(const pl_kernel *kernel, const float *left, const float *right, double fraction,
                        float *out);

#endif
