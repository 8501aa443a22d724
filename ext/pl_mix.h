/* Work on whole buffers of samples.
 *
 * From one to eight channels to two, after ITU-R BS.775-4 ("Multichannel stereophonic sound system with
 * and without accompanying picture"), annex 4: the centre and each surround channel by 1 / sqrt(2) into the
 * side that it belongs to, the low-frequency channel left out. All is scaled so that nothing exceeds full
 * scale. */
#ifndef PL_MIX_H
#define PL_MIX_H

#include <stdint.h>

enum { PL_MAX_MIXED_CHANNELS = 8 };

/* `frames` frames of `channels` interleaved channels, in the order of FLAC and WAV files: front left, front
 * right, centre, low frequencies, back, side; 3: with centre, 4: with back, 5: with centre and back. Samples
 * that are not numbers become 0, and huge ones are limited. */
void pl_mix_down(const float *from, int32_t channels, int64_t frames, float *stereo);

/* Multiply `frames` frames of interleaved stereo by `gain`, which grows by `step` after each frame. */
void pl_amplify(float *stereo, int64_t frames, double gain, double step);

#endif
