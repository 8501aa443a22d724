/* From a recording of sweeps to the response of the room: deconvolution by the sweep.
 *
 * The response is that within a band, as a complex envelope: its absolute value at a frame says how much
 * of a sweep began to arrive there, 1 for a sweep that arrives as it was made, without a room. A sound
 * that takes one path to the microphone is a pulse about 2 / (high_hz - low_hz) wide, with side lobes
 * below -31 dB (a Hann window over the band). After A. Farina, "Simultaneous measurement of impulse
 * response and distortion with a swept-sine technique", 108th AES Convention, 2000; with the spectral
 * inverse of the sweep in place of its reversal in time. */
#ifndef PL_SWEEP_H
#define PL_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    float re, im;
} pl_complex;

enum { PL_SWEEPS = 2 }; /* that are searched in one recording: downward and upward */

typedef struct pl_sweep_block pl_sweep_block;

typedef struct {
    pl_complex *frames[PL_SWEEPS]; /* for each sweep and frame, turned back by `turns` of a circle a frame */
    int64_t count;
    double rate_hz, turns;
    int64_t clipped; /* frames of the recording at full scale */
    /* Of pl_responses_cross: where its result begins, and the most frames of a response and of the result. */
    int32_t cross_lead, max_response, cross_count;
    pl_sweep_block *block;
} pl_responses;

/* Compute the responses to the sweeps, `sweep_frames` long, in a mono recording; low_hz < high_hz are within
 * what both contain. Samples that are not numbers count as silence. False if there is not enough memory;
 * otherwise pl_responses_free must be called. */
bool pl_responses_init(pl_responses *responses, const float *recording, int64_t count, double rate_hz,
                       const float *const sweeps[PL_SWEEPS], int32_t sweep_frames, double low_hz,
                       double high_hz);
void pl_responses_free(pl_responses *responses);
/* The amplitude of a sweep that has this response, with all its echoes: 1 for the sweep as made. All octaves
 * of the band count alike, as in the sweep. `noise_energy` is the sum of the squares of the noise in the
 * response, which is left out as if it was pink. `count` is at most `max_response`. */
double pl_responses_level(const pl_responses *responses, int sweep, const pl_complex *response, int32_t count,
                          double noise_energy);
/* A sound that has this response to its own sweep, `sweep`: its response to the other one, as `cross_count`
 * frames from `cross_lead` frames earlier on. `count` is at most `max_response`. */
void pl_responses_cross(const pl_responses *responses, int sweep, const pl_complex *response, int32_t count,
                        pl_complex *other);

#endif
