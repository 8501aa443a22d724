#include "pl_sound_range.h"

#include <math.h>

static const float SILENCE = 0.001f; /* -60 dBFS */

static int is_sound(const float *frame) { return fabsf(frame[0]) >= SILENCE || fabsf(frame[1]) >= SILENCE; }

void pl_sound_range_init(pl_sound_range *range) { *range = (pl_sound_range){.begin = -1}; }

void pl_sound_range_feed(pl_sound_range *range, const float *stereo, int64_t frames) {
    int64_t first = 0, last = frames - 1;
    while (last >= 0 && !is_sound(stereo + 2 * last)) last--;
    if (last >= 0) {
        range->end = range->frames + last + 1;
        if (range->begin < 0) {
            while (!is_sound(stereo + 2 * first)) first++;
            range->begin = range->frames + first;
        }
    }
    range->frames += frames;
}
