/* A deck: what the audio callback plays of one track, from one place.
 *
 * It has a ring of PCM and a timeline, which gives for each session time the frame of the track that must
 * leave the loudspeaker then:
 *     track frame = anchor_frame + (session time - start_ns) * rate_hz / 1e9,
 * from start_ns to stop_ns or to the track's end. The engine (pl_engine.h) says at which session times the
 * output frames of a block are heard. The deck finds the PCM for them, resamples it and fades it.
 *
 * Two tracks cross-fade in two decks: one fades out by cos(x * pi / 2), one in by sin(x * pi / 2). There
 * x goes from 0 to 1 in the same session time: the sum of their powers is constant. */
#ifndef PL_DECK_H
#define PL_DECK_H

#include "pl_resample.h"
#include "pl_ring.h"

/* Length of the fades at starts, stops and jumps: short enough to go unnoticed, long enough not to click. */
#define PL_FADE_NS 5e6

enum {
    PL_SCRATCH = 4096
}; /* track frames that one step of mixing copies; pl_deck.c asserts the least size */

/* Memory for one step of mixing: one for all decks, because they play one after the other. */
typedef struct {
    float left[PL_SCRATCH], right[PL_SCRATCH];
} pl_scratch;

typedef enum { PL_DECK_FREE, PL_DECK_ARMED } pl_deck_state;

typedef struct {
    pl_ring ring;
    pl_atomic_u32 state;      /* pl_deck_state: the controller arms, the callback frees */
    pl_atomic_i64 want_frame; /* callback: the track frame that the timeline asks for now */
    /* callback */
    bool active;  /* the callback has accepted the deck and has not freed it */
    bool starved; /* waits for PCM: before the first sound, or after an underrun */
    bool has_sounded;
    bool seamless;           /* continues another deck: starts without a fade, half a kernel early */
    const pl_kernel *kernel; /* from the track's rate to the device's */
    double rate_hz;          /* of the track */
    int64_t anchor_frame;
    int64_t start_ns, stop_ns;      /* session time; stop_ns is PL_NO_END for none */
    double crossfade_in_ns;         /* length of the fade-in from start_ns; 0 for none */
    int64_t crossfade_out_begin_ns; /* session time; PL_NO_END for no fade-out. The deck ends after it */
    double crossfade_out_ns;        /* length of the fade-out */
    double fade_in_ns;              /* ns after start_ns where the fade-in begins; -INFINITY for no fade */
} pl_deck;

/* How one callback passes over a deck. Times are ns of session time since the deck's start. */
typedef struct {
    double block_ns;             /* of the block's first output frame */
    double step_ns;              /* from one output frame to the next */
    double gain_begin, gain_end; /* cross-fade of a jump: 1 to 0, or 0 to 1; both 1 without a jump */
    double run_out_ns;           /* where the PCM runs out; INFINITY where it does not */
    double run_out_fade_ns;      /* length of the fade before that */
} pl_deck_pass;

/* The deck has ended or was cancelled: the controller may use it again. */
void pl_deck_end_rt(pl_deck *deck);
/* One deck through one callback: add its sound to `out`, a block of `frames`, and change its state.
 * `underruns` counts it if its PCM runs out. Returns whether it sounded. */
bool pl_deck_play_rt(pl_deck *deck, const pl_deck_pass *pass, pl_scratch *scratch, int64_t frames, float *out,
                     int64_t *underruns);
/* The old side of a jump: add the deck's sound at the place that is left, without a change of its state. */
void pl_deck_leave_rt(pl_deck *deck, const pl_deck_pass *pass, pl_scratch *scratch, int64_t frames,
                      float *out);

#endif
