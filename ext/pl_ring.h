/* A ring of PCM between the decode thread and the audio callback: interleaved stereo float, frames numbered
 * absolutely in the track.
 *
 * Single producer (decode thread), single consumer (audio callback), lock-free. The producer acquires a
 * contiguous span, fills it and commits it; the consumer copies frames and releases them. A generation stands
 * for one playing of one track from one place: after pl_ring_reset, commits of older generations are refused,
 * so a decoder that is still busy with the old place does no harm. Only the controller resets, and only while
 * the consumer does not use the ring (the deck is free). */
#ifndef PL_RING_H
#define PL_RING_H

#include "pl_atomic.h"

#define PL_NO_END INT64_MAX

typedef struct {
    float *samples;
    int64_t capacity; /* frames, a power of two */
    pl_atomic_u32 generation;
    pl_atomic_i64 write_frame; /* producer: frames before this one are there */
    pl_atomic_i64 read_frame;  /* consumer: frames before this one may be overwritten */
    pl_atomic_i64 end_frame;   /* producer: the track's length once it is known, else PL_NO_END */
} pl_ring;

/* `capacity`: frames, a power of two. False when memory is short. */
bool pl_ring_init(pl_ring *ring, int64_t capacity);
void pl_ring_free(pl_ring *ring);
/* Controller: empty the ring; the next frame to be written is `frame`. Returns the new generation. */
uint32_t pl_ring_reset(pl_ring *ring, int64_t frame);

/* Producer: set *span to room for the returned number of frames. 0 when the ring is full, -1 when
 * `generation` is not the present one. */
int64_t pl_ring_acquire(pl_ring *ring, uint32_t generation, float **span);
/* Producer: room in all, in frames, in one span or two. */
int64_t pl_ring_room(pl_ring *ring);
/* Producer: the first `frames` of the acquired span are filled. False when `generation` is not the present
 * one. */
bool pl_ring_commit(pl_ring *ring, uint32_t generation, int64_t frames);
/* Producer: the track ends after the frames committed. False when `generation` is not the present one. */
bool pl_ring_finish(pl_ring *ring, uint32_t generation);

/* Any thread: frames before this one have been committed. */
int64_t pl_ring_written(pl_ring *ring);

/* Consumer: copy frames [first, first + frames) into two planes; silence where the ring has no such frame. */
void pl_ring_copy_rt(pl_ring *ring, int64_t first, int64_t frames, float *left, float *right);
/* Consumer: frames before `frame` are no longer needed. */
void pl_ring_release_rt(pl_ring *ring, int64_t frame);

#endif
