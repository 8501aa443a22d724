/* Integrated loudness and true peak of a stereo track, after ITU-R BS.1770-4 ("Algorithms to measure audio
 * programme loudness and true-peak audio level"). Its loudness range, after EBU Tech 3342 ("Loudness range: a
 * measure to supplement EBU R 128 loudness normalization").
 *
 * Both channels are filtered by a high shelf and a high-pass ("K-weighting"), whose analogue prototypes are
 * transformed to the rate of the track (B. De Man, "Evaluation of implementations of the EBU R128 loudness
 * measurement", 145th AES Convention, 2018). The mean square of blocks of 400 ms, one every 100 ms, is their
 * loudness. Blocks below -70 LUFS are left out, then those more than 10 LU below the mean of the others.
 * For the range the blocks have 3 s, and the second gate is at 20 LU: it reaches from the 10th to the 95th
 * percentile of the loudness of the blocks that are left.
 * Blocks are counted in classes of 0.02 LU, so memory is constant. */
#ifndef PL_LOUDNESS_H
#define PL_LOUDNESS_H

#include <stdint.h>

enum {
    PL_LOUDNESS_CLASSES = 5000, /* from -70 to +30 LUFS */
    PL_BLOCK_STEPS = 4,         /* of 100 ms, as those of the range */
    PL_RANGE_STEPS = 30,
    PL_PEAK_TAPS = 12, /* for each phase of the interpolator */
    PL_PEAK_PHASES = 4,
};

typedef struct {
    double b[3], a[3], state[2][2]; /* of each channel */
} pl_biquad;

/* Blocks by their loudness. */
typedef struct {
    int64_t counts[PL_LOUDNESS_CLASSES];
    double squares[PL_LOUDNESS_CLASSES]; /* sums of the blocks' mean squares */
} pl_loudness_blocks;

typedef struct {
    double rate_hz;
    pl_biquad shelf, highpass;
    int64_t step_frames, frames; /* of the present 100 ms: how many there are, and how many are read */
    double square_sum, steps[PL_RANGE_STEPS]; /* sums of squares: of the present step, and of the last ones */
    int64_t step_count;
    pl_loudness_blocks blocks, range_blocks;
    int32_t phases; /* the rate of the interpolated signal, as a multiple */
    float taps[PL_PEAK_PHASES][PL_PEAK_TAPS];
    float history[2][2 * PL_PEAK_TAPS]; /* twice, so that the last samples are in one piece */
    int32_t place;
    float peak;
} pl_loudness;

void pl_loudness_init(pl_loudness *l, double rate_hz);
/* Read the next frames of interleaved stereo. Samples that are not numbers count as silence. */
void pl_loudness_feed(pl_loudness *l, const float *stereo, int64_t frames);
/* In LUFS; -INFINITY if no block is above -70 LUFS. */
double pl_loudness_integrated(const pl_loudness *l);
/* In LU; -1 if no block of 3 s is above -70 LUFS. */
double pl_loudness_range(const pl_loudness *l);
/* Largest absolute value of the interpolated signal, 1 for full scale. */
double pl_loudness_true_peak(const pl_loudness *l);

#endif
