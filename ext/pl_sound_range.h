/* Where the sound of a stereo track begins and ends.
 *
 * A frame is silent if both channels are below -60 dBFS. Music at -16 LUFS covers what is 44 dB below it and more,
 * and the dither and the tape noise of records are mostly below -60 dBFS: louder thresholds would cut the end of
 * notes that fade, lower ones would take noise for music. A single frame is enough: an attack has no minimum length,
 * and a click is heard too. */
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
