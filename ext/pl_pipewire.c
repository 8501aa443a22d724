#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_pipewire.h"

#if defined(__linux__)

#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES = 2 * sizeof(float) };

/* libpipewire's own, as far as they are used here: pw_time, pw_buffer, spa_buffer, spa_data and spa_chunk. */
typedef struct {
    int64_t now_ns;                     /* CLOCK_MONOTONIC at which the rest was true */
    uint32_t rate_num, rate_denom;      /* the unit of ticks and delay, in seconds */
    uint64_t ticks;
    int64_t delay;                      /* from the next frame of the stream to the loudspeaker, what is queued here left out */
    uint64_t queued, buffered;          /* frames queued in the stream; frames that its resampler holds */
    uint32_t queued_buffers, avail_buffers;
} stream_time;
typedef struct { uint32_t offset, size; int32_t stride, flags; } chunk;
typedef struct { uint32_t type, flags; int64_t fd; uint32_t map_offset, max_size; void *data; chunk *chunk; } data_block;
typedef struct { uint32_t metas, datas; void *meta; data_block *data; } spa_buffer;
typedef struct { spa_buffer *buffer; void *user_data; uint64_t size, requested; } stream_buffer;

typedef struct {
    pl_account account;
    void *stream;
    pl_engine *engine;
    double frame_ns;
    int (*time)(void *stream, stream_time *time, size_t size);
    stream_buffer *(*dequeue)(void *stream);
    int (*queue)(void *stream, stream_buffer *buffer);
} pipewire_account;

/* In the process callback all that is written before `frame` is ahead of it: in the graph, the stream's queue, its resampler. */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    pipewire_account *p = (pipewire_account *)account;
    stream_time told;
    memset(&told, 0, sizeof told);
    if (p->time(p->stream, &told, sizeof told) < 0 || !told.rate_denom || told.now_ns <= 0 || now_ns - told.now_ns > 1000000000LL) return false;
    double delay_ns = (double)told.delay * 1e9 * told.rate_num / told.rate_denom;
    moment->frame = (double)frame;
    moment->leaves_ns = told.now_ns + (int64_t)(delay_ns + (double)(told.queued + told.buffered) * p->frame_ns);
    return true;
}

void pl_pipewire_process_rt(void *account) {
    pipewire_account *p = account;
    stream_buffer *b = p->dequeue(p->stream);
    if (!b) return;
    data_block *d = &b->buffer->data[0];
    uint64_t frames = d->max_size / FRAME_BYTES;
    if (b->requested && b->requested < frames) frames = b->requested;
    if (!d->data) frames = 0;
    if (frames) pl_engine_serve_rt(p->engine, d->data, (int64_t)frames);
    d->chunk->offset = 0;
    d->chunk->stride = FRAME_BYTES;
    d->chunk->size = (uint32_t)frames * FRAME_BYTES;
    b->size = frames;
    p->queue(p->stream, b);
}

pl_account *pl_pipewire_account(void *stream, double rate, pl_engine *engine) {
    static const char LIBRARY[] = "libpipewire-0.3.so.0";
    pipewire_account *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->account.ask_rt = ask_rt;
    p->account.noise = PL_NOISE_BURST;
    p->account.timing = PL_TIMING_EXACT;
    p->stream = stream;
    p->engine = engine;
    p->frame_ns = 1e9 / rate;
    p->time = (int (*)(void *, stream_time *, size_t))pl_account_function(LIBRARY, "pw_stream_get_time_n");
    p->dequeue = (stream_buffer *(*)(void *))pl_account_function(LIBRARY, "pw_stream_dequeue_buffer");
    p->queue = (int (*)(void *, stream_buffer *))pl_account_function(LIBRARY, "pw_stream_queue_buffer");
    if (p->time && p->dequeue && p->queue) return &p->account;
    free(p);
    return NULL;
}

#else

pl_account *pl_pipewire_account(void *stream, double rate, pl_engine *engine) {
    (void)stream;
    (void)rate;
    (void)engine;
    return NULL;
}

void pl_pipewire_process_rt(void *account) { (void)account; }

#endif
