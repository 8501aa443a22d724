#include "pl_ring.h"

#include <assert.h>
#include <stdlib.h>

bool pl_ring_init(pl_ring *r, int64_t capacity) {
    assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
    memset(r, 0, sizeof *r);
    r->capacity = capacity;
    r->samples = calloc((size_t)capacity * 2, sizeof *r->samples);
    pl_store_relaxed(&r->end_frame, PL_NO_END);
    return r->samples != NULL;
}

void pl_ring_free(pl_ring *r) {
    free(r->samples);
    r->samples = NULL;
}

uint32_t pl_ring_reset(pl_ring *r, int64_t frame) {
    pl_store_relaxed(&r->write_frame, frame);
    pl_store_relaxed(&r->read_frame, frame);
    pl_store_relaxed(&r->end_frame, PL_NO_END);
    uint32_t generation = pl_load_relaxed(&r->generation) + 1;
    pl_store_release(&r->generation, generation);
    return generation;
}

int64_t pl_ring_room(pl_ring *r) {
    int64_t room = pl_load_acquire(&r->read_frame) + r->capacity - pl_load_relaxed(&r->write_frame);
    if (room < 0) return 0;
    return room < r->capacity ? room : r->capacity; /* the consumer may be ahead of an empty ring */
}

int64_t pl_ring_acquire(pl_ring *r, uint32_t generation, float **span) {
    if (pl_load_acquire(&r->generation) != generation) return -1;
    int64_t place = pl_load_relaxed(&r->write_frame) & (r->capacity - 1);
    int64_t to_wrap = r->capacity - place, room = pl_ring_room(r);
    *span = r->samples + place * 2;
    return room < to_wrap ? room : to_wrap;
}

bool pl_ring_commit(pl_ring *r, uint32_t generation, int64_t frames) {
    if (pl_load_acquire(&r->generation) != generation) return false;
    assert(frames >= 0 && frames <= pl_ring_room(r));
    pl_store_release(&r->write_frame, pl_load_relaxed(&r->write_frame) + frames);
    return true;
}

bool pl_ring_finish(pl_ring *r, uint32_t generation) {
    if (pl_load_acquire(&r->generation) != generation) return false;
    pl_store_release(&r->end_frame, pl_load_relaxed(&r->write_frame));
    return true;
}

int64_t pl_ring_written(pl_ring *r) { return pl_load_acquire(&r->write_frame); }

void pl_ring_copy_rt(pl_ring *r, int64_t first, int64_t frames, float *left, float *right) {
    int64_t write = pl_load_acquire(&r->write_frame), read = pl_load_relaxed(&r->read_frame);
    int64_t oldest = write - r->capacity > read ? write - r->capacity : read;
    for (int64_t i = 0; i < frames; i++) {
        int64_t frame = first + i;
        if (frame < oldest || frame >= write) {
            left[i] = right[i] = 0;
            continue;
        }
        const float *s = r->samples + (frame & (r->capacity - 1)) * 2;
        left[i] = s[0];
        right[i] = s[1];
    }
}

void pl_ring_release_rt(pl_ring *r, int64_t frame) {
    if (frame > pl_load_relaxed(&r->read_frame)) pl_store_release(&r->read_frame, frame);
}
