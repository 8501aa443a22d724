/* A sound card without a loudspeaker: it plays into the void, and defines when a frame leaves.
 *
 * It asks for a block of PL_NULL_BLOCK_FRAMES every PL_NULL_BLOCK_NS, and the block leaves this much later.
 * Each block is asked for at its exact time, even if the thread wakes late. So the thread may sleep over
 * several blocks, and serve them at once: what starts in one of them starts at the right frame. */
#ifndef PL_NULL_H
#define PL_NULL_H

#include "pl_engine.h"

enum { PL_NULL_RATE_HZ = 48000, PL_NULL_BLOCK_FRAMES = 960 };
#define PL_NULL_BLOCK_NS (20 * PL_NS_PER_MS)

typedef struct {
    pl_engine *engine;
    pl_atomic_u32 stop;
} pl_null;

/* The card's thread: play until `stop` is set. `stop_fd`: a socket that becomes readable then. */
void pl_null_run(pl_null *card, intptr_t stop_fd);

#endif
