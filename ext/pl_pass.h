/* The responses to the sweeps of one calibration pass, and where its sounds are in them. */
#ifndef PL_PASS_H
#define PL_PASS_H

#include <stdint.h>

#include "pl_sweep.h"

enum { PL_MAX_STARTS = 9 };

/* The sweeps of one machine. */
typedef struct {
    int32_t sweep, count; /* which sweep; 2 to PL_MAX_STARTS starts, ascending */
    double starts_s[PL_MAX_STARTS];
} pl_sounds;

typedef struct {
    pl_responses *responses; /* without the machines that were taken out */
    double begin_s;          /* of the pass, after the begin of the recording */
    double reach_s;          /* largest difference between a start and its sound */
    double rate_error;       /* how much faster the clock of the microphone runs, as far as it is known */
} pl_pass;

/* Where the sound that starts at `start_s` is, if it is `delay_s` late; in frames. */
double pl_pass_frame(const pl_pass *p, double start_s, double delay_s);
/* Copy `count` frames of the responses from a fraction of a frame on, by cubic interpolation, and turn
 * them so that equal sounds are equal. */
void pl_pass_copy(const pl_pass *p, int sweep, double from, int32_t count, pl_complex *to);
/* Add `gain` times a window to the responses to a sweep, from a fraction of a frame on. The inverse of
 * pl_pass_copy. */
void pl_pass_add(const pl_pass *p, int sweep, double from, const pl_complex *window, int32_t count,
                 double gain);

static inline double pl_squared(pl_complex z) { return (double)z.re * z.re + (double)z.im * z.im; }
/* The sum of a * conj(b) over every `step`-th of `count` frames. */
void pl_correlate(const pl_complex *a, const pl_complex *b, int32_t count, int32_t step, double *re,
                  double *im);
double pl_energy(const pl_complex *a, int32_t count, int32_t step);
/* Vertex of the parabola through three values at -1, 0 and 1. */
double pl_vertex(double before, double at, double after);

#endif
