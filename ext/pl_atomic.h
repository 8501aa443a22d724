/* Atomics and the sequence lock. This is the only header that mentions memory order.
 *
 * C11 <stdatomic.h>: GCC, Clang, and MSVC 2022 with /std:c11 /experimental:c11atomics. */
#ifndef PL_ATOMIC_H
#define PL_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef _Atomic int64_t pl_atomic_i64;
typedef _Atomic uint64_t pl_atomic_u64;
typedef _Atomic uint32_t pl_atomic_u32;

#define pl_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define pl_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define pl_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define pl_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* Sequentially consistent: all threads see these accesses in the same order. */
#define pl_load_ordered(p) atomic_load_explicit((p), memory_order_seq_cst)
#define pl_store_ordered(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

static inline uint64_t pl_bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double pl_double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A sequence lock over one small struct: one writer, which never waits; any number of readers, which retry.
 * The struct is copied through 64-bit atomic words, so a word is never torn, and a mix of two writes is
 * detected (Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012). */

/* Largest struct, in words (PL_ASSERT_FITS_SEQLOCK checks each one), and tries of a reader. */
enum { PL_SEQLOCK_WORDS = 16, PL_SEQLOCK_MAX_TRIES = 64 };

typedef struct {
    pl_atomic_u32 sequence; /* odd while a write is in progress */
    pl_atomic_u64 words[PL_SEQLOCK_WORDS];
} pl_seqlock;

/* Compile-time check that a struct can be published: whole words, and not too many. */
#define PL_ASSERT_FITS_SEQLOCK(type)                                                                         \
    _Static_assert(sizeof(type) % sizeof(uint64_t) == 0, #type " is not made of whole words");               \
    _Static_assert(sizeof(type) <= PL_SEQLOCK_WORDS * sizeof(uint64_t), #type " is too large for a seqlock")

/* Publish the struct of `bytes` bytes at `value`. */
static inline void pl_seqlock_write(pl_seqlock *lock, const void *value, size_t bytes) {
    uint32_t sequence = pl_load_relaxed(&lock->sequence);
    pl_store_relaxed(&lock->sequence, sequence + 1);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
        uint64_t word;
        memcpy(&word, (const char *)value + i * sizeof word, sizeof word);
        pl_store_relaxed(&lock->words[i], word);
    }
    pl_store_release(&lock->sequence, sequence + 2);
}

/* Copy one coherent write to `value`. False, and `value` unchanged, after PL_SEQLOCK_MAX_TRIES tries: the
 * number is bounded, so the audio callback may call this. */
static inline bool pl_seqlock_read(pl_seqlock *lock, void *value, size_t bytes) {
    for (int tries = 0; tries < PL_SEQLOCK_MAX_TRIES; tries++) {
        uint64_t words[PL_SEQLOCK_WORDS];
        uint32_t sequence = pl_load_acquire(&lock->sequence);
        if (sequence & 1) continue;
        for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) words[i] = pl_load_relaxed(&lock->words[i]);
        atomic_thread_fence(memory_order_acquire);
        if (pl_load_relaxed(&lock->sequence) != sequence) continue;
        memcpy(value, words, bytes);
        return true;
    }
    return false;
}

#endif
