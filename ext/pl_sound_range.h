/* Where the sound of a stereo track begins and ends.
 *
 * A frame is silent if both channels are below -60 dBFS. That is 44 dB below music at -16 LUFS, beside
 * which it is not heard. Dither, and most noise of tapes, is below -60 dBFS: with a lower limit it would
 * count as music. With a higher one the ends of notes that fade would be cut. A single frame of sound is
 * enough, because an attack has no minimum length. */
#ifndef PL_SOUND_RANGE_H
#define PL_SOUND_RANGE_H

#include <stdint.h>

typedef struct {
    int64_t frames; /* read so far */
    int64_t begin;  /* of the first frame of sound; -1: none yet */
    int64_t end;    /* behind the last frame of sound */
} pl_sound_range;

void pl_sound_range_init(pl_sound_range *range);
/* Read the next frames of interleaved stereo. Samples that are not numbers are silent. */
void pl_sound_range_feed(pl_sound_range *range, const float *stereo, int64_t frames);

#endif
