/* Four floats at once, in registers that every processor of a kind has: SSE2 on x86-64, NEON on 64-bit ARM.
 * So the program need not look at the processor. GCC and Clang make one or two instructions of each function;
 * for other compilers the four floats are a struct.
 *
 * Each lane is computed as a float would be. So the result is the same on all machines, except where a
 * compiler fuses a product and a sum into one instruction. */
#ifndef PL_VECTOR_H
#define PL_VECTOR_H

#include <string.h>

enum { PL_LANES = 4 };

#if defined(__GNUC__)
typedef float pl_vector __attribute__((vector_size(16)));

static inline pl_vector pl_vector_add(pl_vector a, pl_vector b) { return a + b; }

static inline pl_vector pl_vector_subtract(pl_vector a, pl_vector b) { return a - b; }

/* sum + a * b. */
static inline pl_vector pl_vector_add_product(pl_vector sum, pl_vector a, pl_vector b) { return sum + a * b; }
#else
typedef struct {
    float lanes[PL_LANES];
} pl_vector;

static inline pl_vector pl_vector_add(pl_vector a, pl_vector b) {
    for (int i = 0; i < PL_LANES; i++) a.lanes[i] += b.lanes[i];
    return a;
}

static inline pl_vector pl_vector_subtract(pl_vector a, pl_vector b) {
    for (int i = 0; i < PL_LANES; i++) a.lanes[i] -= b.lanes[i];
    return a;
}

static inline pl_vector pl_vector_add_product(pl_vector sum, pl_vector a, pl_vector b) {
    for (int i = 0; i < PL_LANES; i++) sum.lanes[i] += a.lanes[i] * b.lanes[i];
    return sum;
}
#endif

/* Four floats from any address. */
static inline pl_vector pl_vector_load(const float *from) {
    pl_vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline pl_vector pl_vector_all(float x) { return pl_vector_load((float[PL_LANES]){x, x, x, x}); }

static inline float pl_vector_sum(pl_vector v) {
    float x[PL_LANES];
    memcpy(x, &v, sizeof x);
    return (x[0] + x[1]) + (x[2] + x[3]);
}

#endif
