/* The engine: what the audio callback does.
 *
 * Decks (pl_deck.h) play the tracks. One cursor, in session time, leads all decks. It is the session time at
 * which the next output frame is meant to be heard. Each callback computes the session time at which that
 * frame will really leave the loudspeaker (the target), from the output clock of the sound card and from the
 * clock map. It then bends the speed of the cursor by at most 500 ppm to remove the difference (see
 * servo_rt). So
 *   - a start is exact to a fraction of a frame, and two tracks join without a gap;
 *   - after an underrun or a suspended machine the sound is in phase again, because the position is computed
 *     from the timeline each time and never counted.
 *
 * Threads:
 *   callback     the sound system's thread: owns the fields below "callback" and all armed decks
 *   controller   one thread: owns free decks, posts commands through a ring, reads the status
 *   decoder      one thread: writes the PCM rings
 * While the device is stopped, the controller may call everything. Functions ending in _rt run in the
 * callback: they do not allocate, free, lock, log or wait (see ext/README.md). */
#ifndef PL_ENGINE_H
#define PL_ENGINE_H

#include "pl_account.h"
#include "pl_clock.h"
#include "pl_deck.h"
#include "pl_output_clock.h"
#include "pl_priority.h"

enum {
    PL_DECKS = 4,     /* the current track, the next one, and two that still fade out */
    PL_COMMANDS = 64, /* in the command ring; a power of two, for its indices wrap */
    PL_QUIETS = 2,    /* spans of silence at a time */
    PL_QUIET_FADE_NS = 200000000,
    PL_KERNELS = 12, /* resampling kernels kept: the nine sampling rates of MP3, and three more */
};

typedef enum {
    PL_ARM,           /* a deck starts at start_ns */
    PL_STOP_AT,       /* all decks stop at stop_ns */
    PL_CANCEL,        /* one deck stops now */
    PL_CROSSFADE_OUT, /* one deck fades out from start_ns on, for crossfade_ns, and ends */
    PL_QUIET,         /* silence in `quiet` */
} pl_command_kind;

/* Which channels of the tracks the two outputs play. */
typedef enum {
    PL_STEREO,
    PL_LEFT,  /* both outputs the left channel */
    PL_RIGHT, /* both outputs the right channel */
    PL_MONO,  /* both outputs half the sum of the channels */
    PL_ROLES, /* their number */
} pl_role;

/* Session time in which nothing sounds. At both ends a fade of PL_QUIET_FADE_NS is part of it. */
typedef struct {
    int64_t begin_ns, end_ns;
} pl_quiet;

typedef struct {
    pl_command_kind kind;
    int deck;
    bool seamless;
    const pl_kernel *kernel;
    double rate_hz;
    int64_t anchor_frame, start_ns, stop_ns, crossfade_ns;
    pl_quiet quiet[PL_QUIETS];
} pl_command;

typedef struct {
    int64_t device_frames;     /* frames requested since the stream began */
    int64_t lead_ns;           /* from a callback to when its first frame leaves the loudspeaker */
    double dac_uncertainty_ns; /* of that moment: one standard deviation */
    double card_ppm;           /* by how much a frame of the card is longer than the nominal one */
    double phase_error_ns;     /* cursor minus target at the newest callback */
    double correction_ppm;     /* by how much an output frame is longer in session time than nominal */
    int64_t underruns;         /* of decks: PCM was missing */
    int64_t jumps;             /* of the cursor, where the error was too large for the servo */
    int64_t slips;             /* of the output clock: its line was restarted */
    int64_t cursor_ns;         /* session time of the next frame */
    double volume;
    int64_t dac_ns; /* local time at which the next frame leaves the loudspeaker */
    bool audible;   /* a deck sounded in the newest callback */
    bool following; /* the cursor follows the session clock */
} pl_engine_status;

/* A moment of session time, to a fraction of a nanosecond: ns + fraction, 0 <= fraction < 1. */
typedef struct {
    int64_t ns;
    double fraction;
} pl_instant;

typedef struct {
    pl_deck decks[PL_DECKS];
    pl_clock_map *clock; /* local to session time; written by the clock thread */
    double device_rate_hz;
    pl_kernel kernels[PL_KERNELS];      /* controller */
    double kernel_rates_hz[PL_KERNELS]; /* controller: the track rate of each kernel */
    int kernel_count;                   /* controller */
    int next_evicted;                   /* controller: the kernel to replace first */
    int deck_kernels[PL_DECKS];         /* controller: the kernel with which each deck was last armed */
    pl_command commands[PL_COMMANDS];
    pl_atomic_u32 command_head;      /* controller: the next one written */
    pl_atomic_u32 command_tail;      /* callback: the next one read */
    pl_atomic_i64 output_latency_ns; /* controller: what the output clock does not know of */
    pl_atomic_u64 volume_target;     /* controller: bits of a double */
    pl_atomic_u32 role_target;       /* controller: a pl_role */
    pl_seqlock status;               /* callback writes a pl_engine_status */
    pl_atomic_u64 thread;            /* callback: handle of the newest calling thread; 0 for none */
    pl_account *account;             /* changed while the device is stopped; NULL: the callbacks */
    /* callback */
    pl_clock_map_value map; /* the newest map that was read */
    pl_output_clock output;
    int64_t device_frames;
    int64_t lead_ns;
    int64_t silent_frames; /* requested since the account last gave a moment */
    bool slipped;          /* the output clock slipped since the cursor was last compared */
    bool cursor_valid;
    pl_instant cursor;
    double volume;
    pl_role role;
    pl_quiet quiet[PL_QUIETS];
    double quiet_gain; /* of the newest frame */
    bool audible;
    int64_t underruns, jumps;
    double phase_error_ns;
    pl_scratch scratch;
} pl_engine;

/* `ring_frames`: capacity of each deck's ring, a power of two. False when memory is short. */
bool pl_engine_init(pl_engine *engine, pl_clock_map *clock, int64_t ring_frames);
void pl_engine_free(pl_engine *engine);

/* Controller, device stopped: a stream of this rate is about to begin. `account` tells when its frames leave
 * and must outlive the stream. NULL: a callback's first frame leaves at the callback plus the output latency.
 * All decks become free. */
void pl_engine_stream(pl_engine *engine, double device_rate_hz, pl_account *account);

/* Controller: the number of a free deck, or -1. */
int pl_engine_free_deck(pl_engine *engine);
/* Controller: hand a deck, whose ring was reset, to the callback. `seamless`: it continues another deck to
 * the sample, which plays to its end; otherwise the other decks stop where this one starts. It fades in from
 * its start for `crossfade_ns` (0: it does not). False when the command ring is full or no kernel can be
 * made. */
bool pl_engine_arm(pl_engine *engine, int deck, double track_rate_hz, int64_t anchor_frame, int64_t start_ns,
                   int64_t stop_ns, bool seamless, int64_t crossfade_ns);
/* Controller: this deck fades out from `begin_ns` on, for `crossfade_ns` > 0, and ends. PL_NO_END: it does
 * not. A fade-out that has begun goes on; one that comes late begins now and is shorter. False when the
 * command ring is full. */
bool pl_engine_crossfade_out(pl_engine *engine, int deck, int64_t begin_ns, int64_t crossfade_ns);
/* Controller: all decks stop at this session time. False when the command ring is full. */
bool pl_engine_stop_at(pl_engine *engine, int64_t stop_ns);
/* Controller: this deck stops now, with a short fade. False when the command ring is full. */
bool pl_engine_cancel(pl_engine *engine, int deck);
/* Controller: 0 to 1, ramped over the next callback. */
void pl_engine_set_volume(pl_engine *engine, double volume);
/* Controller: ramped over the next callback. */
void pl_engine_set_role(pl_engine *engine, pl_role role);
/* Controller: be silent in these spans and in no others; the track plays on. A gain that would change at once
 * is ramped. False when the command ring is full. */
bool pl_engine_set_quiet(pl_engine *engine, const pl_quiet quiet[PL_QUIETS]);
/* Any thread: a coherent status. False when it could not be read; try again. */
bool pl_engine_read_status(pl_engine *engine, pl_engine_status *status);
/* Any thread, while the stream is open: the system's number of the thread that calls back; 0 before the first
 * call. */
int64_t pl_engine_thread_id(pl_engine *engine);

/* Fill `out` (interleaved stereo) for a callback that came at local time `now_ns`. While the account gives no
 * moment, the newest line of the output clock is extended; there is silence until there is one. An account
 * that gives nothing for seconds is marked silent, and the callbacks take its place until it gives a moment
 * again. */
void pl_engine_serve_at_rt(pl_engine *engine, float *out, int64_t frames, int64_t now_ns);
/* The same for a callback that came now. */
void pl_engine_serve_rt(pl_engine *engine, float *out, int64_t frames);
/* miniaudio's data callback. The address of the engine is the device's user pointer, which lies
 * `pl_engine_user_offset` bytes into the device. */
void pl_engine_callback_rt(void *device, void *out, const void *in, uint32_t frames);
extern size_t pl_engine_user_offset;

#endif
