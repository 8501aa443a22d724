/* SipHash-2-4, a keyed hash of short messages with 64 bits of output: Aumasson, Bernstein, "SipHash: a fast
 * short-input PRF", INDOCRYPT 2012. It serves as a message authentication code (MAC): an attacker without the
 * key can only guess the hash of a message, and one guess in 2^64 is right.
 *
 * Constant time: the instructions and the memory that are used depend on the length of the message only.
 * Nothing is allocated. Any thread. */
#ifndef PL_SIPHASH_H
#define PL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { PL_SIPHASH_KEY_BYTES = 16 };

typedef struct {
    uint8_t bytes[PL_SIPHASH_KEY_BYTES];
} pl_siphash_key;

/* The hash of `size` bytes. Compare it as one number: comparing byte by byte would tell by its duration how
 * many bytes are right. */
uint64_t pl_siphash(const pl_siphash_key *key, const uint8_t *message, size_t size);

#endif
