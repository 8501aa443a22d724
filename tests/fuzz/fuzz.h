/* What the fuzz targets share: the input as a sequence of values, and checks. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* End the process, so that libFuzzer keeps the input. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (condition) break;                                                                                \
        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                            \
        abort();                                                                                             \
    } while (false)

/* The rest of an input. Behind its end all bytes are 0. */
typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input;

/* A number of `bytes` bytes, little endian. */
static inline uint64_t fuzz_number(fuzz_input *input, int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes && input->left; i++, input->at++, input->left--)
        number |= (uint64_t)*input->at << (8 * i);
    return number;
}

static inline uint64_t fuzz_below(fuzz_input *input, uint64_t limit) {
    return fuzz_number(input, limit > 256 ? 2 : 1) % limit;
}

/* Copy bytes. Returns how many there were. */
static inline size_t fuzz_bytes(fuzz_input *input, void *bytes, size_t size) {
    size_t taken = size < input->left ? size : input->left;
    memcpy(bytes, input->at, taken);
    input->at += taken;
    input->left -= taken;
    return taken;
}

/* `count` samples in memory of exactly their size, so that a read behind them is found. Behind the end of the
 * input all samples are 0. The caller frees them. */
static inline float *fuzz_samples(fuzz_input *input, size_t count) {
    float *samples = calloc(count ? count : 1, sizeof *samples);
    CHECK(samples != NULL);
    fuzz_bytes(input, samples, count * sizeof *samples);
    return samples;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
