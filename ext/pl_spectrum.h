/* How a track looks: its loudest samples, and how loud its low and high tones are as time goes by.
 *
 * A hop is about 46 ms. Each gets PL_BANDS levels out of one Hann window, which is centred on the hop and about twice as long, of the mean
 * of both channels. The bands are equally wide in pitch and reach from 40 Hz to 16 kHz, or to 0.45 of a low rate. A level is 255 for a
 * full-scale sine in the middle of the band, 0 at 60 dB less, and linear in decibels between. The transform is Cooley and Tukey's of
 * radix 2 ("An algorithm for the machine calculation of complex Fourier series", Mathematics of Computation 19, 1965) over the even
 * samples as real and the odd ones as imaginary parts. Nothing is allocated; samples that are no numbers count as silence. */
#ifndef PL_SPECTRUM_H
#define PL_SPECTRUM_H

#include <stdint.h>

enum { PL_BANDS = 24, PL_SPECTRUM_SIZE = 4096 };

typedef struct {
    int32_t hop, size;                        /* frames from one hop to the next; frames in a window, a power of two */
    int32_t filled;                           /* of the next window */
    int64_t frames, hops;                     /* taken in and given out so far */
    struct { int32_t first, count; } bands[PL_BANDS];   /* bins of the spectrum; their weights follow each other */
    float weights[PL_SPECTRUM_SIZE / 2 + 2 * PL_BANDS];
    float window[PL_SPECTRUM_SIZE], samples[PL_SPECTRUM_SIZE];
    float cosines[PL_SPECTRUM_SIZE], sines[PL_SPECTRUM_SIZE];   /* of pi * j / half at half + j, for half = 1, 2, 4 ... size / 2 */
    uint16_t reversed[PL_SPECTRUM_SIZE / 2];
    float re[PL_SPECTRUM_SIZE / 2], im[PL_SPECTRUM_SIZE / 2], power[PL_SPECTRUM_SIZE / 2];
} pl_spectrum;

/* `rate_hz` from 8000 to 48000. */
void pl_spectrum_init(pl_spectrum *spectrum, double rate_hz);
/* Takes the next frames of interleaved stereo. Writes PL_BANDS levels for every hop whose window is full now, at most
 * frames / hop + 1 of them, and returns how many. */
int64_t pl_spectrum_feed(pl_spectrum *spectrum, const float *stereo, int64_t frames, uint8_t *levels);
/* The track ends here: the hops that are still due, so that there is one for every `hop` frames begun. */
int64_t pl_spectrum_due(const pl_spectrum *spectrum);
void pl_spectrum_finish(pl_spectrum *spectrum, uint8_t *levels);

/* The largest absolute sample of interleaved stereo. */
float pl_peak(const float *stereo, int64_t frames);

#endif
