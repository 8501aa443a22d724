/* The engine: what the audio callback does.
 *
 * It follows lines. A deck holds one track being played from one place: a ring of PCM and the line
 *     track frame = anchor_frame + (reference time - start_ns) * rate / 1e9,   sounding from start_ns to stop_ns or to the track's end.
 * One cursor in reference time leads all decks: at every callback it is compared with where the clock of the sound card and the session
 * clock say the loudspeaker is, and its speed is bent by at most 500 ppm to meet it. So a start is exact to a fraction of a frame, two
 * tracks join without a seam, and whatever was lost (an underrun, a sleeping machine) comes back in phase by itself: the
 * position is always computed from the line, never counted on.
 *
 * Threads. The callback owns everything below "callback" and all decks that are armed. The controller (one thread) owns free decks,
 * posts commands through a ring and reads the status. The decode thread writes the PCM rings. With the device stopped the controller may
 * call anything. Functions ending in _rt are called in the callback: they allocate, free, lock, log and wait for nothing. */
#ifndef PL_ENGINE_H
#define PL_ENGINE_H

#include "pl_account.h"
#include "pl_clock.h"
#include "pl_output_clock.h"
#include "pl_priority.h"
#include "pl_resample.h"
#include "pl_ring.h"

enum { PL_DECKS = 4, PL_COMMANDS = 64, PL_KERNELS = 12, PL_SCRATCH = 4096 };

typedef enum { PL_DECK_FREE, PL_DECK_ARMED } pl_deck_state;

typedef struct {
    pl_ring ring;
    pl_atomic_u32 state;            /* the hand-over: the controller arms, the callback frees */
    pl_atomic_i64 want_frame;       /* what the line names now */
    /* callback */
    bool active, starved, has_sounded, seamless;
    const pl_kernel *kernel;
    double rate;
    int64_t anchor_frame, start_ns, stop_ns;
    double fade_from;               /* ns after start_ns where the fade-in begins; far in the past for none */
} pl_deck;

typedef enum { PL_ARM, PL_STOP_AT, PL_CANCEL } pl_command_kind;
typedef struct {
    pl_command_kind kind;
    int deck;
    bool seamless;
    const pl_kernel *kernel;
    double rate;
    int64_t anchor_frame, start_ns, stop_ns;
} pl_command;

typedef struct {
    int64_t device_frames;          /* frames asked for since the stream began */
    int64_t lead_ns;                /* from a callback to the moment at which its first frame leaves the loudspeaker */
    double dac_uncertainty_ns, card_ppm;
    double phase_error_ns, correction_ppm;
    int64_t underruns, jumps, slips;
    int64_t cursor_ns;              /* reference time of the next frame */
    bool audible, following;        /* sound leaves now; the session clock is known */
    double volume;
    int64_t dac_ns;                 /* local time at which the next frame leaves the loudspeaker */
} pl_engine_status;

typedef struct {
    pl_deck decks[PL_DECKS];
    pl_clock_map *clock;
    double device_rate;
    pl_kernel kernels[PL_KERNELS];
    double kernel_from[PL_KERNELS];
    int kernel_count;
    pl_command commands[PL_COMMANDS];
    pl_atomic_u32 command_head, command_tail;
    pl_atomic_i64 output_latency_ns;
    pl_atomic_u64 volume_target;    /* bits of a double */
    pl_seqlock status;
    pl_atomic_u64 thread;           /* the handle of the thread that called back last; 0 before that */
    pl_account *account;            /* set while the device is stopped; NULL: the callbacks are the account */
    /* callback */
    pl_clock_map_value line;
    pl_output_clock output;
    int64_t device_frames, lead_ns, untold_frames;
    bool slipped;
    bool cursor_valid;
    int64_t cursor_ns;
    double cursor_fraction;
    double volume;
    bool audible;
    int64_t underruns, jumps;
    double phase_error_ns;
    float left[PL_SCRATCH], right[PL_SCRATCH];
} pl_engine;

/* False when memory is short. `ring_frames` a power of two. */
bool pl_engine_init(pl_engine *engine, pl_clock_map *clock, int64_t ring_frames);
void pl_engine_free(pl_engine *engine);
/* Controller, device stopped: a stream at this rate is about to begin, told of by `account`, which must outlive the stream (NULL: its
 * callbacks tell of it, each an output latency before its first frame leaves). All decks become free. */
void pl_engine_stream(pl_engine *engine, double device_rate, pl_account *account);

/* Controller: the kernel for a track rate (kept while the device's rate stays: MP3 knows nine); NULL when there is no room. */
const pl_kernel *pl_engine_kernel(pl_engine *engine, double track_rate);
/* Controller: a free deck or -1. */
int pl_engine_free_deck(pl_engine *engine);
/* Controller: hand a deck, whose ring was reset, to the callback. `seamless`: it continues another deck to the sample, which plays to its end;
 * otherwise the others fall silent where this one starts. False when the command ring is full. */
bool pl_engine_arm(pl_engine *engine, int deck, double track_rate, int64_t anchor_frame, int64_t start_ns, int64_t stop_ns, bool seamless);
/* Controller: all decks fall silent at this reference time. */
bool pl_engine_stop_at(pl_engine *engine, int64_t stop_ns);
/* Controller: this deck falls silent now, with a short fade. */
bool pl_engine_cancel(pl_engine *engine, int deck);

/* Controller: 0 to 1, ramped over the next callback. */
void pl_engine_set_volume(pl_engine *engine, double volume);

/* Fill `out` (interleaved stereo) for a callback that came at `now_ns`. While the account tells nothing the line known so far goes on; there is
 * silence until there is one. An account that tells nothing for seconds is marked silent, and the callbacks serve until it tells again. */
void pl_engine_serve_at_rt(pl_engine *engine, float *out, int64_t frames, int64_t now_ns);
/* The same now. */
void pl_engine_serve_rt(pl_engine *engine, float *out, int64_t frames);
/* Any thread, while the stream is open: the system's number of the thread that calls back; 0 while none has. */
int64_t pl_engine_thread_id(pl_engine *engine);
/* miniaudio's data callback; the engine is the device's user pointer, found `pl_engine_user_offset` bytes into the device. */
void pl_engine_callback_rt(void *device, void *out, const void *in, uint32_t frames);
extern size_t pl_engine_user_offset;

bool pl_engine_read_status(pl_engine *engine, pl_engine_status *status);

#endif
