#include "pl_siphash.h"

/* The names and numbers are those of section 2 of the paper. */
enum { COMPRESSION_ROUNDS = 2, FINALIZATION_ROUNDS = 4, WORD_BYTES = 8 };

typedef struct {
    uint64_t v0, v1, v2, v3;
} state;

/* Up to 8 bytes as a number, little endian. */
static uint64_t word(const uint8_t *b, size_t bytes) {
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)b[i] << (8 * i);
    return v;
}

static uint64_t rotated(uint64_t v, int bits) { return v << bits | v >> (64 - bits); }

static void sip_round(state *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotated(s->v1, 13) ^ s->v0;
    s->v3 = rotated(s->v3, 16) ^ s->v2;
    s->v0 = rotated(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotated(s->v1, 17) ^ s->v2;
    s->v3 = rotated(s->v3, 21) ^ s->v0;
    s->v2 = rotated(s->v2, 32);
}

static void compress(state *s, uint64_t m) {
    s->v3 ^= m;
    for (int i = 0; i < COMPRESSION_ROUNDS; i++) sip_round(s);
    s->v0 ^= m;
}

uint64_t pl_siphash(const pl_siphash_key *key, const uint8_t *message, size_t size) {
    const uint64_t k0 = word(key->bytes, WORD_BYTES), k1 = word(key->bytes + WORD_BYTES, WORD_BYTES);
    state s = {
        .v0 = k0 ^ 0x736f6d6570736575ULL,
        .v1 = k1 ^ 0x646f72616e646f6dULL,
        .v2 = k0 ^ 0x6c7967656e657261ULL,
        .v3 = k1 ^ 0x7465646279746573ULL,
    };
    const size_t tail = size % WORD_BYTES, whole = size - tail;
    for (size_t at = 0; at < whole; at += WORD_BYTES) compress(&s, word(message + at, WORD_BYTES));
    compress(&s, word(message + whole, tail) | (uint64_t)(size & 0xff) << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < FINALIZATION_ROUNDS; i++) sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
