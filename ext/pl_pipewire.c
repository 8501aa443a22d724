#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_pipewire.h"

#if defined(__linux__)

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES = 2 * sizeof(float), IO_POSITION = 7, MAX_BURST = 128, AVERAGE_CYCLES = 1000 };

/* libpipewire's own, as far as they are used here: pw_time, pw_buffer, spa_buffer, spa_data and spa_chunk. */
typedef struct {
    int64_t now_ns;                     /* CLOCK_MONOTONIC at which the rest was true */
    uint32_t rate_num, rate_denom;      /* the unit of ticks and delay, in seconds */
    uint64_t ticks;
    int64_t delay;                      /* from the next frame of the stream to the loudspeaker, what is queued here left out */
    uint64_t queued, buffered;          /* frames queued in the stream; frames that its resampler holds */
    uint32_t queued_buffers, avail_buffers;
} stream_time;
typedef struct {                        /* the beginning of spa_io_position: the clock of the stream's driver */
    uint32_t flags, id;
    char name[64];
    uint64_t now_ns;                    /* CLOCK_MONOTONIC for which the cycle was planned: it begins then or later */
    uint32_t rate_num, rate_denom;      /* the unit of all that follows, in seconds */
    uint64_t position, duration;
    int64_t delay;                      /* between what the driver writes next and the loudspeaker, by its card's pointer, when the cycle began */
} driver_clock;
typedef struct { uint32_t offset, size; int32_t stride, flags; } chunk;
typedef struct { uint32_t type, flags; int64_t fd; uint32_t map_offset, max_size; void *data; chunk *chunk; } data_block;
typedef struct { uint32_t metas, datas; void *meta; data_block *data; } spa_buffer;
typedef struct { spa_buffer *buffer; void *user_data; uint64_t size, requested; } stream_buffer;

typedef struct {
    pl_account account;
    void *stream;
    pl_engine *engine;
    double frame_ns;
    pl_atomic_u64 clock;                /* the address of a driver_clock; 0 where there is none */
    pl_atomic_u32 reading;              /* the audio thread looks at it */
    int64_t told_delay;                 /* the stream's, in the newest cycle */
    int64_t delay;                      /* the driver's, in the newest cycle, and its average over `cycles` */
    double aim;
    int cycles;
    int64_t burst;                      /* what all its changes have in common; 0 before there were any */
    bool has_pointer;                   /* a driver without a card keeps time by itself, and tells no delay */
    int (*time)(void *stream, stream_time *time, size_t size);
    stream_buffer *(*dequeue)(void *stream);
    int (*queue)(void *stream, stream_buffer *buffer);
} pipewire_account;

/* What PipeWire tells of the stream is smooth, but it follows the card's pointer, which moves in bursts, only by and by: it is off by up to a
 * burst, for minutes. The pointer itself is in the driver's clock: the frames that lay between what the driver writes and the
 * loudspeaker when it woke for this cycle, of which the newest burst may be gone by now. On average they are as many as the driver aims at,
 * and what is told of the stream assumes just so many.
 * Tells by how many ns there were more, and how long a burst is, 0 while that is not known; false when the clock is not this cycle's. */
static bool above_aim_rt(pipewire_account *p, const stream_time *told, double *above_ns, double *burst_ns) {
    pl_store_ordered(&p->reading, 1);
    const driver_clock *clock = (const driver_clock *)(uintptr_t)pl_load_ordered(&p->clock);
    bool there = clock && clock->now_ns == (uint64_t)told->now_ns && clock->rate_denom;
    double unit_ns = there ? 1e9 * clock->rate_num / clock->rate_denom : 0;
    int64_t delay = there ? clock->delay : 0;
    pl_store_ordered(&p->reading, 0);
    if (!there) return false;
    if (delay) p->has_pointer = true;
    int64_t step = llabs(delay - p->delay);
    if (p->cycles && step < MAX_BURST) p->burst = pl_common_step(step, p->burst);
    p->delay = delay;
    p->cycles = p->cycles < AVERAGE_CYCLES ? p->cycles + 1 : AVERAGE_CYCLES;
    p->aim += ((double)delay - p->aim) / (double)p->cycles;
    /* Filters behind the stream delay it further, and the card's part of it is then known on average only. */
    double aim = fabs((double)told->delay - p->aim) < MAX_BURST ? (double)told->delay : p->aim;
    *above_ns = ((double)delay - aim) * unit_ns;
    *burst_ns = p->has_pointer ? (double)p->burst * unit_ns : unit_ns;
    return fabs((double)delay - aim) < 4 * MAX_BURST;
}

/* In the process callback all that is written before `frame` is ahead of it: in the graph, the stream's queue, its resampler. */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    pipewire_account *p = (pipewire_account *)account;
    stream_time told;
    memset(&told, 0, sizeof told);
    if (p->time(p->stream, &told, sizeof told) < 0 || !told.rate_denom || told.now_ns <= 0 || now_ns - told.now_ns > 1000000000LL) return false;
    bool changed = told.delay != p->told_delay;   /* a new stream, or a new quantum: the driver's delay belongs to the old one yet */
    p->told_delay = told.delay;
    double delay_ns = (double)told.delay * 1e9 * told.rate_num / told.rate_denom, above_ns;
    if (changed || !above_aim_rt(p, &told, &above_ns, &moment->burst_ns)) return false;
    int64_t before_ns = (int64_t)(delay_ns + above_ns + (double)(told.queued + told.buffered) * p->frame_ns);
    moment->frame = (double)frame;
    moment->leaves_ns = now_ns + before_ns;          /* the driver looked at the pointer no later than now */
    moment->after_ns = told.now_ns + before_ns;      /* and no earlier than the cycle was due */
    return true;
}

void pl_pipewire_io_changed(void *account, uint32_t id, void *area, uint32_t size) {
    pipewire_account *p = account;
    if (id != IO_POSITION) return;
    pl_store_ordered(&p->clock, (uint64_t)(uintptr_t)(size >= sizeof(driver_clock) ? area : NULL));
    while (pl_load_ordered(&p->reading)) sched_yield();   /* the old area may be unmapped once this returns */
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

void pl_pipewire_io_changed(void *account, uint32_t id, void *area, uint32_t size) {
    (void)account;
    (void)id;
    (void)area;
    (void)size;
}

void pl_pipewire_process_rt(void *account) { (void)account; }

#endif
