#include "pl_deck.h"

#include <assert.h>
#include <math.h>

/* PCM kept behind the cursor, so that a small jump back finds it: five times MAX_SERVO_ERROR_NS of
 * pl_engine.c. */
static const double HISTORY_S = 0.1;
/* PCM that a deck needs ahead before it sounds again after an underrun, so that it does not stutter. */
static const double RESTART_S = 0.05;
/* Largest distance of a start from its due time that still counts as in time, in output frames. The first
 * output frame after the due time is up to 1 late; the rest is room for rounding. */
static const double MAX_START_LATENESS_FRAMES = 1.5;

/* mix_rt makes at least one output frame per step. A kernel has at most PL_MAX_TAPS taps, and one output
 * frame is at most 1020 track frames long (rates from 1 kHz to 1 MHz, checked in _native.pyx; drift and bends
 * below 2 %). Of the margin, one frame is for the fraction of the first place and one for the frame behind
 * the last place; two are spare. */
enum { MAX_TRACK_FRAMES_PER_OUTPUT_FRAME = 1020, MIX_MARGIN_FRAMES = 4 };
_Static_assert(PL_SCRATCH >= PL_MAX_TAPS + MIX_MARGIN_FRAMES + MAX_TRACK_FRAMES_PER_OUTPUT_FRAME,
               "the scratch planes are too small");

static const double HALF_PI = 1.57079632679489661923;

void pl_deck_end_rt(pl_deck *d) {
    d->active = false;
    pl_store_release(&d->state, PL_DECK_FREE);
}

/* Which output frames of a block a deck fills, and which PCM that takes. Where begin == stop it fills
 * none. */
typedef struct {
    bool over;                /* the deck ended before this block: it can be freed */
    bool ends;                /* the deck ends within this block */
    int64_t begin, stop;      /* output frames of the block: [begin, stop) */
    double earliest_ns;       /* where the deck begins to sound, ns since its start */
    double first_ns, last_ns; /* of the output frames begin and stop - 1, ns since its start */
    int64_t want_frame;       /* track frame under output frame begin */
    int64_t last_frame;       /* track frame under output frame stop - 1 */
    int64_t needed_frame;     /* all PCM before this track frame is needed */
    int64_t write_frame;      /* PCM before this one is in the ring */
    int64_t end_frame;        /* the track's length, or PL_NO_END */
    bool ring_ahead;          /* the PCM begins later than needed; the timeline will get there */
} deck_span;

static deck_span deck_span_rt(pl_deck *d, const pl_deck_pass *pass, int64_t frames) {
    deck_span s = {
        .write_frame = pl_load_acquire(&d->ring.write_frame),
        .end_frame = pl_load_acquire(&d->ring.end_frame),
    };
    int64_t half_taps = d->kernel->taps / 2;
    double frame_ns = 1e9 / d->rate_hz;
    s.earliest_ns = d->seamless ? -(double)half_taps * frame_ns : 0;
    double latest_ns = d->stop_ns == PL_NO_END ? INFINITY : (double)(d->stop_ns - d->start_ns);
    if (d->crossfade_out_begin_ns != PL_NO_END)
        latest_ns = fmin(latest_ns, (double)(d->crossfade_out_begin_ns - d->start_ns) + d->crossfade_out_ns);
    if (s.end_frame != PL_NO_END)
        latest_ns = fmin(latest_ns, (double)(s.end_frame + half_taps - d->anchor_frame) * frame_ns);

    /* As doubles: both may be far outside of the block. */
    double begin = ceil((s.earliest_ns - pass->block_ns) / pass->step_ns);
    double stop = ceil((latest_ns - pass->block_ns) / pass->step_ns);
    s.over = stop <= 0 || latest_ns <= s.earliest_ns;
    s.ends = stop <= (double)frames;
    if (s.over || begin >= (double)frames) return s;
    s.begin = begin > 0 ? (int64_t)begin : 0;
    s.stop = stop < (double)frames ? (int64_t)stop : frames;
    if (s.begin >= s.stop) {
        s.stop = s.begin;
        return s;
    }

    s.first_ns = pass->block_ns + (double)s.begin * pass->step_ns;
    s.last_ns = pass->block_ns + (double)(s.stop - 1) * pass->step_ns;
    s.want_frame = d->anchor_frame + (int64_t)floor(s.first_ns / frame_ns);
    s.last_frame = d->anchor_frame + (int64_t)floor(s.last_ns / frame_ns);
    s.needed_frame = s.last_frame + half_taps + 1;
    if (s.needed_frame > s.end_frame) s.needed_frame = s.end_frame;
    int64_t oldest_needed = s.want_frame > d->anchor_frame ? s.want_frame : d->anchor_frame;
    s.ring_ahead = oldest_needed < pl_load_relaxed(&d->ring.read_frame);
    return s;
}

/* What the PCM in the ring allows in this span. */
typedef enum {
    DECK_WAITS, /* starved, and still not enough */
    DECK_PLAYS,
    DECK_RUNS_DRY, /* was playing, and there is not enough to go on after this block */
} deck_supply;

/* A playing deck needs PCM for one fade more than the block, so that it can always fade out. A starved deck
 * that has sounded before needs RESTART_S more, so that it does not stutter. */
static deck_supply deck_supply_rt(const pl_deck *d, const deck_span *s) {
    double ahead_frames = PL_FADE_NS * 1e-9 * d->rate_hz;
    if (d->starved) ahead_frames = d->has_sounded ? RESTART_S * d->rate_hz : 0;
    bool enough = s->write_frame >= s->needed_frame + (int64_t)ahead_frames || s->write_frame >= s->end_frame;
    if (enough && !s->ring_ahead) return DECK_PLAYS;
    return d->starved ? DECK_WAITS : DECK_RUNS_DRY;
}

/* A starved deck begins to sound in this span. It fades in where it begins in the middle of music: late,
 * again after an underrun, or from a place inside the track that does not continue another deck. */
static void deck_start_rt(pl_deck *d, const pl_deck_pass *pass, const deck_span *s) {
    double late_ns = fabs(s->first_ns - s->earliest_ns);
    bool in_time = s->begin > 0 || late_ns < MAX_START_LATENESS_FRAMES * pass->step_ns;
    if (!in_time || d->has_sounded) {
        d->fade_in_ns = s->first_ns;
    } else if (d->anchor_frame > 0 && !d->seamless) {
        d->fade_in_ns = 0;
    } else {
        d->fade_in_ns = -INFINITY;
    }
    d->starved = false;
    d->has_sounded = true;
}

/* Where a deck stops and cross-fades out, in ns since its start; INFINITY for never. */
typedef struct {
    double stop_ns, crossfade_out_ns;
} deck_ends;

static deck_ends deck_ends_rt(const pl_deck *d) {
    int64_t stop_ns = d->stop_ns, out_ns = d->crossfade_out_begin_ns;
    return (deck_ends){
        .stop_ns = stop_ns == PL_NO_END ? INFINITY : (double)(stop_ns - d->start_ns),
        .crossfade_out_ns = out_ns == PL_NO_END ? INFINITY : (double)(out_ns - d->start_ns),
    };
}

/* The gain of output frame number `at` of a block of `frames`, `ns` after the deck's start: the least of the
 * fades in, at the stop and where the PCM runs out, times the cross-fades with other tracks and of a jump. */
static inline double gain_rt(const pl_deck *d, const pl_deck_pass *pass, const deck_ends *ends, double ns,
                             int64_t at, int64_t frames) {
    double gain = 1;
    if (ns < d->fade_in_ns + PL_FADE_NS) gain = fmax(0, (ns - d->fade_in_ns) / PL_FADE_NS);
    if (ns > ends->stop_ns - PL_FADE_NS) gain = fmin(gain, fmax(0, (ends->stop_ns - ns) / PL_FADE_NS));
    if (ns > pass->run_out_ns - pass->run_out_fade_ns)
        gain = fmin(gain, fmax(0, (pass->run_out_ns - ns) / pass->run_out_fade_ns));
    if (d->crossfade_in_ns > 0 && ns < d->crossfade_in_ns)
        gain *= sin(HALF_PI * fmax(0, ns / d->crossfade_in_ns));
    if (ns > ends->crossfade_out_ns)
        gain *= cos(HALF_PI * fmin(1, (ns - ends->crossfade_out_ns) / d->crossfade_out_ns));
    if (pass->gain_begin != pass->gain_end || pass->gain_begin != 1) {
        double through = fmin(1, (double)at / fmin((double)frames, PL_FADE_NS / pass->step_ns));
        gain *= pass->gain_begin + (pass->gain_end - pass->gain_begin) * through;
    }
    return gain;
}

/* Is the gain 1 from `from_ns` to `to_ns` after the deck's start? */
static bool is_even_rt(const pl_deck *d, const pl_deck_pass *pass, const deck_ends *ends, double from_ns,
                       double to_ns) {
    return from_ns >= d->fade_in_ns + PL_FADE_NS && from_ns >= d->crossfade_in_ns &&
           to_ns <= ends->stop_ns - PL_FADE_NS && to_ns <= ends->crossfade_out_ns &&
           to_ns <= pass->run_out_ns - pass->run_out_fade_ns && pass->gain_begin == 1 && pass->gain_end == 1;
}

/* Add output frames [begin, stop) of a block of `frames` to `out`. All PCM needed is in the ring. */
static void mix_rt(pl_deck *d, const pl_deck_pass *pass, pl_scratch *scratch, int64_t begin, int64_t stop,
                   int64_t frames, float *out) {
    const pl_kernel *kernel = d->kernel;
    double track_frames_per_ns = d->rate_hz * 1e-9;
    double step = pass->step_ns * track_frames_per_ns; /* track frames from one output frame to the next */
    int64_t max_count = (int64_t)((PL_SCRATCH - kernel->taps - MIX_MARGIN_FRAMES) / step);
    assert(max_count >= 1);
    deck_ends ends = deck_ends_rt(d);
    for (int64_t done = begin, count; done < stop; done += count) {
        count = stop - done < max_count ? stop - done : max_count;
        double from_ns = pass->block_ns + (double)done * pass->step_ns;
        double place = from_ns * track_frames_per_ns, whole = floor(place);
        int64_t first_frame = d->anchor_frame + (int64_t)whole - kernel->taps / 2 + 1;
        int64_t span_frames = (int64_t)(place - whole + (double)count * step) + kernel->taps + 1;
        assert(span_frames <= PL_SCRATCH);
        pl_ring_copy_rt(&d->ring, first_frame, span_frames, scratch->left, scratch->right);
        bool even = is_even_rt(d, pass, &ends, from_ns, from_ns + (double)count * pass->step_ns);
        for (int64_t j = 0; j < count; j++) {
            double position = place - whole + (double)j * step;
            int64_t i = (int64_t)position;
            float frame[2];
            pl_kernel_frame_rt(kernel, scratch->left + i, scratch->right + i, position - (double)i, frame);
            float gain = 1, *o = out + (done + j) * 2;
            if (!even)
                gain = (float)gain_rt(d, pass, &ends, from_ns + (double)j * pass->step_ns, done + j, frames);
            o[0] += gain * frame[0];
            o[1] += gain * frame[1];
        }
    }
}

/* The PCM is running out: play what is there, with a fade at its end. Returns whether anything sounded. */
static bool deck_run_dry_rt(pl_deck *d, const pl_deck_pass *pass, const deck_span *s, pl_scratch *scratch,
                            int64_t frames, float *out) {
    pl_deck_pass fading = *pass;
    int64_t last_usable = s->write_frame - d->kernel->taps / 2 - 1;
    fading.run_out_ns = fmin((double)(last_usable - d->anchor_frame) * (1e9 / d->rate_hz), s->last_ns);
    fading.run_out_fade_ns = fmin(PL_FADE_NS, fading.run_out_ns - s->first_ns);
    int64_t stop = (int64_t)floor((fading.run_out_ns - pass->block_ns) / pass->step_ns);
    if (s->ring_ahead || stop <= s->begin) return false;
    mix_rt(d, &fading, scratch, s->begin, stop, frames, out);
    return true;
}

/* Add what the deck sounds like in this span, without a change of its state. Returns whether it sounded. */
static bool deck_sound_rt(pl_deck *d, const pl_deck_pass *pass, const deck_span *s, deck_supply supply,
                          pl_scratch *scratch, int64_t frames, float *out) {
    if (supply == DECK_WAITS) return false;
    if (supply == DECK_RUNS_DRY) return deck_run_dry_rt(d, pass, s, scratch, frames, out);
    mix_rt(d, pass, scratch, s->begin, s->stop, frames, out);
    return true;
}

/* Give PCM back that is no longer needed: what lies more than HISTORY_S behind the cursor. A deck that waits
 * gives back no more than it has, so that the decoder goes on where it was. */
static void deck_release_rt(pl_deck *d, const deck_span *s, bool sounded) {
    int64_t keep_frame = s->last_frame - d->kernel->taps / 2 - (int64_t)(HISTORY_S * d->rate_hz);
    if (!sounded && keep_frame > s->write_frame) keep_frame = s->write_frame;
    pl_ring_release_rt(&d->ring, keep_frame);
}

bool pl_deck_play_rt(pl_deck *d, const pl_deck_pass *pass, pl_scratch *scratch, int64_t frames, float *out,
                     int64_t *underruns) {
    deck_span span = deck_span_rt(d, pass, frames);
    if (span.over) pl_deck_end_rt(d);
    if (span.begin == span.stop) return false;
    pl_store_relaxed(&d->want_frame, span.want_frame);
    deck_supply supply = deck_supply_rt(d, &span);
    if (supply == DECK_PLAYS && d->starved) deck_start_rt(d, pass, &span);
    bool sounded = deck_sound_rt(d, pass, &span, supply, scratch, frames, out);
    if (supply == DECK_RUNS_DRY) {
        d->starved = true;
        (*underruns)++;
    }
    deck_release_rt(d, &span, sounded);
    if (span.ends) pl_deck_end_rt(d);
    return sounded;
}

void pl_deck_leave_rt(pl_deck *d, const pl_deck_pass *pass, pl_scratch *scratch, int64_t frames, float *out) {
    deck_span span = deck_span_rt(d, pass, frames);
    if (span.begin == span.stop) return;
    deck_sound_rt(d, pass, &span, deck_supply_rt(d, &span), scratch, frames, out);
}
