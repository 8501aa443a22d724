/* PCM between the decode thread and the audio callback: interleaved stereo float, frames counted absolutely in the track.
 *
 * Single producer (decode thread), single consumer (audio callback), lock-free. The producer acquires a contiguous span, fills it
 * and commits it; the consumer copies and releases. A generation belongs to one playing of one track from one place: after
 * pl_ring_reset the commits of older generations are refused, so a decoder that is still busy with the old place does no harm.
 * Only the controller resets, and only while the consumer does not use the ring (the deck is free). */
#ifndef PL_RING_H
#define PL_RING_H

#include "pl_atomic.h"

#define PL_NO_END INT64_MAX

typedef struct {
    float *samples;
    int64_t capacity;              /* frames, a power of two */
    pl_atomic_u32 generation;
    pl_atomic_i64 write_frame;     /* producer: frames before this one are there */
    pl_atomic_i64 read_frame;      /* consumer: frames before this one may be overwritten */
    pl_atomic_i64 end_frame;       /* producer: the track's length once it is known, else PL_NO_END */
} pl_ring;

bool pl_ring_init(pl_ring *ring, int64_t capacity);
void pl_ring_free(pl_ring *ring);
/* Empty, with the next frame to be written being `frame`; returns the new generation. */
uint32_t pl_ring_reset(pl_ring *ring, int64_t frame);

/* Producer: room for up to the returned number of frames at *span, 0 when full, -1 when `generation` has passed. */
int64_t pl_ring_acquire(pl_ring *ring, uint32_t generation, float **span);
/* Producer: how many frames would find room in all, in as many spans as it takes. */
int64_t pl_ring_room(pl_ring *ring);
/* Producer: `frames` of the acquired span are filled. False when `generation` has passed. */
bool pl_ring_commit(pl_ring *ring, uint32_t generation, int64_t frames);
/* Producer: no frame comes after those committed. */
bool pl_ring_finish(pl_ring *ring, uint32_t generation);

/* Anyone: frames before this one have been committed. */
int64_t pl_ring_written(pl_ring *ring);

/* Consumer: copy frames [first, first + frames) into two planes; silence outside [0, end) and where nothing is there. */
void pl_ring_copy_rt(pl_ring *ring, int64_t first, int64_t frames, float *left, float *right);
/* Consumer: frames before `frame` are no longer needed. */
void pl_ring_release_rt(pl_ring *ring, int64_t frame);

#endif
