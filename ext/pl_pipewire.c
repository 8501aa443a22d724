#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_pipewire.h"

#if defined(__linux__)

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES = 2 * sizeof(float) };
/* SPA_IO_Position. */
enum { IO_POSITION = 7 };
/* Longest step of the pointer that is believed to be a burst, in units of the driver's clock (frames, in
 * practice). */
enum { MAX_BURST = 128 };
/* Furthest that the driver's delay may be from its average, in the same units. */
enum { MAX_OFF_AIM = 4 * MAX_BURST };
/* The driver's delay is averaged over this many cycles. */
enum { AVERAGE_CYCLES = 1000 };
/* Older reports are not used. */
static const int64_t MAX_AGE_NS = PL_NS_PER_S;

/* libpipewire's types, as far as they are used here: pw_time, spa_io_position, spa_chunk, spa_data,
 * spa_buffer and pw_buffer. */
typedef struct {
    int64_t now_ns;                /* CLOCK_MONOTONIC at which the rest was true */
    uint32_t rate_num, rate_denom; /* the unit of ticks and delay, in seconds */
    uint64_t ticks;
    int64_t delay;             /* from the stream's next frame to the loudspeaker, without `queued` */
    uint64_t queued, buffered; /* frames queued in the stream; frames held by its resampler */
    uint32_t queued_buffers, avail_buffers;
} stream_time;

/* The beginning of spa_io_position: the clock of the stream's driver. */
typedef struct {
    uint32_t flags, id;
    char name[64];
    uint64_t now_ns;               /* CLOCK_MONOTONIC for which the cycle was planned; it may begin later */
    uint32_t rate_num, rate_denom; /* the unit of the rest, in seconds */
    uint64_t position, duration;
    int64_t delay; /* to the loudspeaker, by the card's pointer when the cycle began */
} driver_clock;

typedef struct {
    uint32_t offset, size;
    int32_t stride, flags;
} chunk;

typedef struct {
    uint32_t type, flags;
    int64_t fd;
    uint32_t map_offset, max_size;
    void *data;
    chunk *chunk;
} data_block;

typedef struct {
    uint32_t metas, datas;
    void *meta;
    data_block *data;
} spa_buffer;

typedef struct {
    spa_buffer *buffer;
    void *user_data;
    uint64_t size, requested;
} stream_buffer;

typedef int (*time_fn)(void *stream, stream_time *time, size_t size);
typedef stream_buffer *(*dequeue_fn)(void *stream);
typedef int (*queue_fn)(void *stream, stream_buffer *buffer);

typedef struct {
    pl_account account;
    void *stream;
    pl_engine *engine;
    double frame_ns;
    pl_atomic_u64 clock;   /* the address of a driver_clock; 0 where there is none */
    pl_atomic_u32 reading; /* the audio thread is reading that driver_clock */
    int64_t stream_delay;  /* the stream's, in the newest cycle */
    int64_t delay;         /* the driver's, in the newest cycle */
    double aim;            /* its average over `cycles` */
    int cycles;
    int64_t burst;    /* the greatest common divisor of its changes; 0 before the first */
    bool has_pointer; /* there was a delay: a driver without a card has none */
    time_fn time;
    dequeue_fn dequeue;
    queue_fn queue;
} pipewire_account;

/* PipeWire's delay of the stream is smooth, but it follows the card's pointer, which moves in bursts, only
 * slowly: it is off by up to a burst, for minutes. The pointer itself is in the driver's clock, as the frames
 * that lay between what the driver writes and the loudspeaker when it woke for this cycle. The newest burst
 * of them may have left meanwhile. On average they are as many as the driver aims at, and the stream's delay
 * assumes that number.
 *
 * Sets `above_ns`: by how much there were more than the driver aims at. Sets `burst_ns`: the length of a
 * burst, 0 while that is not known. False when the clock is not that of this cycle. */
static bool above_aim_rt(pipewire_account *p, const stream_time *time, double *above_ns, double *burst_ns) {
    pl_store_ordered(&p->reading, 1);
    const driver_clock *clock = (const driver_clock *)(uintptr_t)pl_load_ordered(&p->clock);
    bool valid = clock && clock->now_ns == (uint64_t)time->now_ns && clock->rate_denom;
    double unit_ns = valid ? 1e9 * clock->rate_num / clock->rate_denom : 0;
    int64_t delay = valid ? clock->delay : 0;
    pl_store_ordered(&p->reading, 0);
    if (!valid) return false;
    if (delay) p->has_pointer = true;
    int64_t step = llabs(delay - p->delay);
    if (p->cycles && step < MAX_BURST) p->burst = pl_common_step(step, p->burst);
    p->delay = delay;
    p->cycles = p->cycles < AVERAGE_CYCLES ? p->cycles + 1 : AVERAGE_CYCLES;
    p->aim += ((double)delay - p->aim) / (double)p->cycles;
    /* Filters behind the stream delay it further, and the card's part of it is then known on average only. */
    double aim = fabs((double)time->delay - p->aim) < MAX_BURST ? (double)time->delay : p->aim;
    *above_ns = ((double)delay - aim) * unit_ns;
    *burst_ns = p->has_pointer ? (double)p->burst * unit_ns : unit_ns;
    return fabs((double)delay - aim) < MAX_OFF_AIM;
}

/* In the process callback, all frames written before `frame` are still ahead of it: in the graph, in the
 * stream's queue, in its resampler. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    pipewire_account *p = (pipewire_account *)account;
    stream_time time;
    memset(&time, 0, sizeof time);
    if (p->time(p->stream, &time, sizeof time) < 0) return false;
    if (!time.rate_denom || time.now_ns <= 0 || now_ns - time.now_ns > MAX_AGE_NS) return false;
    /* After a change (a new stream, a new quantum) the driver's delay still belongs to the old one. */
    bool changed = time.delay != p->stream_delay;
    p->stream_delay = time.delay;
    double delay_ns = (double)time.delay * 1e9 * time.rate_num / time.rate_denom, above_ns;
    if (changed || !above_aim_rt(p, &time, &above_ns, &moment->burst_ns)) return false;
    int64_t ahead_ns = (int64_t)(delay_ns + above_ns + (double)(time.queued + time.buffered) * p->frame_ns);
    moment->frame = (double)frame;
    moment->leaves_ns = now_ns + ahead_ns;     /* the driver read the pointer no later than now */
    moment->after_ns = time.now_ns + ahead_ns; /* and no earlier than the cycle was due */
    return true;
}

void pl_pipewire_io_changed(void *account, uint32_t id, void *area, uint32_t size) {
    pipewire_account *p = account;
    if (id != IO_POSITION) return;
    void *clock = size >= sizeof(driver_clock) ? area : NULL;
    pl_store_ordered(&p->clock, (uint64_t)(uintptr_t)clock);
    while (pl_load_ordered(&p->reading)) sched_yield(); /* the old area may be unmapped once this returns */
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

pl_account *pl_pipewire_account(void *stream, double rate_hz, pl_engine *engine) {
    static const char LIBRARY[] = "libpipewire-0.3.so.0";
    pipewire_account *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->account.query_rt = query_rt;
    p->account.noise = PL_NOISE_BURST;
    p->account.timing = PL_TIMING_EXACT;
    p->stream = stream;
    p->engine = engine;
    p->frame_ns = 1e9 / rate_hz;
    p->time = (time_fn)pl_account_function(LIBRARY, "pw_stream_get_time_n");
    p->dequeue = (dequeue_fn)pl_account_function(LIBRARY, "pw_stream_dequeue_buffer");
    p->queue = (queue_fn)pl_account_function(LIBRARY, "pw_stream_queue_buffer");
    if (p->time && p->dequeue && p->queue) return &p->account;
    free(p);
    return NULL;
}

#else

pl_account *pl_pipewire_account(void *stream, double rate_hz, pl_engine *engine) {
    (void)stream;
    (void)rate_hz;
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
