#include "pl_fft.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

void pl_fft_tables(float *cosines, float *sines, int32_t size) {
    for (int32_t half = 1; half < size; half *= 2) {
        for (int32_t j = 0; j < half; j++) {
            cosines[half + j] = (float)cos(PI * j / half);
            sines[half + j] = (float)sin(PI * j / half);
        }
    }
}

int32_t pl_fft_place(int32_t k, int32_t count) {
    int32_t place = 0;
    for (; count > 1; count /= 2) {
        place = 2 * place + k % 2;
        k /= 2;
    }
    return place;
}

void pl_fft(const float *cosines, const float *sines, int32_t count, float *restrict re, float *restrict im) {
    for (int32_t half = 1; half < count; half *= 2) {
        const float *c = cosines + half, *d = sines + half;
        for (int32_t begin = 0; begin < count; begin += 2 * half) {
            float *restrict ar = re + begin, *restrict ai = im + begin;
            float *restrict br = ar + half, *restrict bi = ai + half;
            for (int32_t j = 0; j < half; j++) {
                float r = c[j] * br[j] + d[j] * bi[j], i = c[j] * bi[j] - d[j] * br[j];
                br[j] = ar[j] - r;
                bi[j] = ai[j] - i;
                ar[j] += r;
                ai[j] += i;
            }
        }
    }
}
