/* Samples from files of any content. */
#ifndef PL_SAMPLE_H
#define PL_SAMPLE_H

/* Limit to far above full scale, and far from infinity. What is not a number becomes 0. */
static inline float pl_sane_sample(float x) {
    const float most = 16;
    if (x > most) return most;
    if (x < -most) return -most;
    return x == x ? x : 0;
}

#endif
