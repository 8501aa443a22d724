/* What the window shows of a track: its spectrum over time, and its peaks.
 *
 * A hop is about 46 ms. Each hop gets PL_BANDS levels from one Hann window over the mean of both channels,
 * which is centred on the hop and about twice as long. The bands are equally wide in pitch and reach from 40
 * Hz to 16 kHz, or to 0.45 of a low sampling rate. A level is 255 for a full-scale sine in the middle of the
 * band, 0 at 60 dB less, and linear in decibels between.
 *
 * The transform (pl_fft.h) is over the even samples as real and the odd ones as imaginary parts. Nothing is
 * allocated. Samples that are not numbers count as silence. */
#ifndef PL_SPECTRUM_H
#define PL_SPECTRUM_H

#include <stdint.h>

/* Bands of a row of levels. Most frames in a window: twice the longest hop. */
enum { PL_BANDS = 24, PL_SPECTRUM_SIZE = 16384 };

typedef struct {
    int32_t hop;          /* frames from one hop to the next */
    int32_t size;         /* frames in a window, a power of two */
    int32_t filled;       /* frames in the next window so far */
    int64_t frames, hops; /* read and written so far */
    struct {
        int32_t first, count; /* bins of the spectrum */
    } bands[PL_BANDS];
    float weights[PL_SPECTRUM_SIZE / 2 + 2 * PL_BANDS]; /* of the bins, band after band */
    float window[PL_SPECTRUM_SIZE], samples[PL_SPECTRUM_SIZE];
    float cosines[PL_SPECTRUM_SIZE], sines[PL_SPECTRUM_SIZE]; /* of pl_fft */
    uint16_t reversed[PL_SPECTRUM_SIZE / 2];                  /* numbers with their bits in reverse order */
    float re[PL_SPECTRUM_SIZE / 2], im[PL_SPECTRUM_SIZE / 2], power[PL_SPECTRUM_SIZE / 2];
} pl_spectrum;

/* `rate_hz` from 8000 to 48000. */
void pl_spectrum_init(pl_spectrum *spectrum, double rate_hz);
/* Read the next frames of interleaved stereo. Writes PL_BANDS levels for each hop whose window is full now,
 * and returns the number of these hops: at most frames / hop + 1. */
int64_t pl_spectrum_feed(pl_spectrum *spectrum, const float *stereo, int64_t frames, uint8_t *levels);
/* Hops that are still due if the track ends here, so that there is one for each `hop` frames begun. */
int64_t pl_spectrum_due(const pl_spectrum *spectrum);
/* The track ends here: write the levels of the hops that are still due. */
void pl_spectrum_finish(pl_spectrum *spectrum, uint8_t *levels);

/* The largest absolute sample of interleaved stereo; 0 where there is none. */
float pl_peak(const float *stereo, int64_t frames);

#endif
