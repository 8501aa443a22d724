/* The discrete Fourier transform of Cooley and Tukey of radix 2 ("An algorithm for the machine calculation of
 * complex Fourier series", Mathematics of Computation 19, 1965). Counts are powers of two. Nothing is
 * allocated. */
#ifndef PL_FFT_H
#define PL_FFT_H

#include <stdint.h>

/* Fill the tables for transforms of up to `size` points, `size` floats each. At [half + j] they have the
 * cosine and the sine of pi * j / half, for half = 1, 2, 4 ... size / 2. */
void pl_fft_tables(float *cosines, float *sines, int32_t size);
/* Where pl_fft reads the number `k` of `count`: its bits in reverse order. */
int32_t pl_fft_place(int32_t k, int32_t count);
/* Replace re + i im, in the order of pl_fft_place, by its spectrum. With re and im exchanged it is the
 * inverse transform, times `count`. */
void pl_fft(const float *cosines, const float *sines, int32_t count, float *restrict re, float *restrict im);

#endif
