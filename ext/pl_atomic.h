/* Atomics and the sequence lock: the only header that speaks of memory order.
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

/* In one order that all threads agree on. */
#define pl_load_ordered(p) atomic_load_explicit((p), memory_order_seq_cst)
#define pl_store_ordered(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

static inline uint64_t pl_bits_of_double(double v) { uint64_t b; memcpy(&b, &v, sizeof b); return b; }
static inline double pl_double_of_bits(uint64_t b) { double v; memcpy(&v, &b, sizeof v); return v; }

/* A sequence lock over a few 64-bit words: one writer, which never waits; any number of readers, which retry.
 * The words are atomics themselves, so a torn read is impossible and a mixed one is noticed (Boehm, "Can seqlocks get along
 * with programming language memory models?", MSPC 2012). */
enum { PL_SEQLOCK_WORDS = 40 };
typedef struct { pl_atomic_u32 sequence; pl_atomic_u64 words[PL_SEQLOCK_WORDS]; } pl_seqlock;

static inline void pl_seqlock_write(pl_seqlock *lock, const uint64_t *words, int count) {
    uint32_t s = pl_load_relaxed(&lock->sequence);
    pl_store_relaxed(&lock->sequence, s + 1);
    atomic_thread_fence(memory_order_release);
    for (int i = 0; i < count; i++) pl_store_relaxed(&lock->words[i], words[i]);
    pl_store_release(&lock->sequence, s + 2);
}

/* True when `words` holds one coherent write; gives up after a bounded number of tries, so the audio callback may call it. */
static inline bool pl_seqlock_read(pl_seqlock *lock, uint64_t *words, int count) {
    for (int tries = 0; tries < 64; tries++) {
        uint32_t s = pl_load_acquire(&lock->sequence);
        if (s & 1) continue;
        for (int i = 0; i < count; i++) words[i] = pl_load_relaxed(&lock->words[i]);
        atomic_thread_fence(memory_order_acquire);
        if (pl_load_relaxed(&lock->sequence) == s) return true;
    }
    return false;
}

#endif
