#include "pl_mix.h"

#include <assert.h>

#include "pl_sample.h"

#define H 0.70710678f /* 1 / sqrt(2) */

/* For each number of channels, how much of each channel goes to the left and to the right. */
static const float WEIGHTS[PL_MAX_MIXED_CHANNELS][PL_MAX_MIXED_CHANNELS][2] = {
    {{1, 1}},
    {{1, 0}, {0, 1}},
    {{1, 0}, {0, 1}, {H, H}},
    {{1, 0}, {0, 1}, {H, 0}, {0, H}},
    {{1, 0}, {0, 1}, {H, H}, {H, 0}, {0, H}},
    {{1, 0}, {0, 1}, {H, H}, {0, 0}, {H, 0}, {0, H}},
    {{1, 0}, {0, 1}, {H, H}, {0, 0}, {H / 2, H / 2}, {H, 0}, {0, H}},
    {{1, 0}, {0, 1}, {H, H}, {0, 0}, {H, 0}, {0, H}, {H, 0}, {0, H}},
};

void pl_mix_down(const float *from, int32_t channels, int64_t frames, float *stereo) {
    assert(1 <= channels && channels <= PL_MAX_MIXED_CHANNELS);
    float weights[PL_MAX_MIXED_CHANNELS][2], sum = 0;
    for (int32_t k = 0; k < channels; k++) sum += WEIGHTS[channels - 1][k][0];
    for (int32_t k = 0; k < channels; k++)
        for (int side = 0; side < 2; side++) weights[k][side] = WEIGHTS[channels - 1][k][side] / sum;
    for (int64_t j = 0; j < frames; j++, from += channels, stereo += 2) {
        float left = 0, right = 0;
        for (int32_t k = 0; k < channels; k++) {
            float x = pl_sane_sample(from[k]);
            left += weights[k][0] * x;
            right += weights[k][1] * x;
        }
        stereo[0] = left;
        stereo[1] = right;
    }
}

void pl_amplify(float *stereo, int64_t frames, double gain, double step) {
    for (int64_t j = 0; j < frames; j++) {
        float factor = (float)(gain + (double)j * step);
        stereo[2 * j] *= factor;
        stereo[2 * j + 1] *= factor;
    }
}
