#include "pl_null.h"

#include "pl_datagram.h"
#include "pl_priority.h"

/* How often the thread wakes while nothing plays, and while something does. */
static const int64_t SILENT_NS = 12 * PL_NULL_BLOCK_NS, PLAYING_NS = 2 * PL_NULL_BLOCK_NS;
/* A thread that is later than this goes on from now: the machine was suspended. */
static const int64_t MAX_LATE_NS = PL_NS_PER_S;

void pl_null_run(pl_null *card, intptr_t stop_fd) {
    pl_engine *e = card->engine;
    float block[2 * PL_NULL_BLOCK_FRAMES];
    pl_store_relaxed(&e->thread, pl_thread_handle_rt());
    int64_t due_ns = pl_now_ns_rt();
    while (!pl_load_relaxed(&card->stop)) {
        int64_t now_ns = pl_now_ns_rt();
        if (now_ns - due_ns > MAX_LATE_NS) due_ns = now_ns;
        for (; due_ns <= now_ns; due_ns += PL_NULL_BLOCK_NS)
            pl_engine_serve_at_rt(e, block, PL_NULL_BLOCK_FRAMES, due_ns);
        int64_t nap_ns = pl_load_relaxed(&e->clock->silent) ? SILENT_NS : PLAYING_NS;
        int64_t wake_ns = due_ns + nap_ns - PL_NULL_BLOCK_NS;
        /* Rounded up, so that the wait does not end too early. */
        pl_datagram_nap(stop_fd, (int)((wake_ns - now_ns + PL_NS_PER_MS - 1) / PL_NS_PER_MS));
    }
}
