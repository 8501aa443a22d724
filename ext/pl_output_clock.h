/* The output clock of one stream: at which local time a frame leaves the loudspeaker.
 *
 * It is fed with moments: by some account, frame F of the stream leaves at local time T. Coordinates: x is the nominal time of a frame, in ns
 * since the stream began; y is T minus x, in ns since the stream's base. The card's clock is the line y(x).
 *
 *   PL_NOISE_LATE   a moment may be late, never early: a callback, a cycle time. The line is the lower envelope of a minute
 *                   (pl_envelope.h), or since the clock last changed its speed (pl_bend.h).
 *   PL_NOISE_BURST  two bounds by a pointer that moves in bursts: a frame leaves before one of them and no more than a burst before the other.
 *                   Neither errs, so the line is the middle of the strip between both (pl_fit_strip_rt). How long a burst is shows in how the
 *                   pointer moves, or in what it takes to keep the bounds of the last seconds apart. A bound tells less, the older it
 *                   is: a clock's rate drifts. Where the bounds want more than that, the clock has changed its speed, and the oldest
 *                   of them are forgotten.
 *   PL_NOISE_BOTH   a moment may be early or late: an account that a server smooths, or stamps at another moment than it reads. The line is
 *                   a robust regression through the medians of short buckets.
 *
 * A stream that loses or gains frames against its line (an underrun, another sink) is a slip: the line begins anew there, with the card's
 * rate known so far. Functions ending in _rt are called in the audio callback: they allocate, lock, log and wait for nothing. */
#ifndef PL_OUTPUT_CLOCK_H
#define PL_OUTPUT_CLOCK_H

#include <stdint.h>

#include "pl_bend.h"

typedef enum { PL_NOISE_LATE, PL_NOISE_BURST, PL_NOISE_BOTH } pl_noise;

enum { PL_BUCKET_MOMENTS = 32, PL_LATENESSES = 3 };

typedef struct {
    double frame;         /* counted from the first frame of the stream; in general a fraction */
    int64_t leaves_ns;    /* local time at which it leaves; PL_NOISE_BURST: at the latest */
    int64_t after_ns;     /* PL_NOISE_BURST: it leaves later than one burst before this local time */
    double burst_ns;      /* PL_NOISE_BURST: the shortest step of the pointer so far; 0 while none was seen */
    bool anew;            /* PL_NOISE_BURST: the stream had stopped; its line begins anew here */
} pl_moment;

typedef struct {
    pl_noise noise;
    double frame_ns;      /* nominal duration of a frame */
    int64_t base_ns;      /* local time of y = 0, x = 0 */
    bool open;            /* there has been a moment: a line exists */
    double began_x;       /* where it began */
    pl_hull late;         /* PL_NOISE_BOTH: the medians, one a bucket */
    pl_hull after;        /* PL_NOISE_BURST: the other bounds, negated */
    pl_hull recent_late, recent_after;   /* PL_NOISE_BURST: both of the last seconds */
    double burst_ns;
    double overlap_ns;    /* PL_NOISE_BURST: by how much more the bounds of the last seconds want */
    pl_bend bend;
    double bucket_x, bucket_y[PL_BUCKET_MOMENTS];
    int bucket_count;
    double off_ns;        /* by how much the last median was off the line; 0 when it was not */
    pl_fit fit;
    bool fitted;
    pl_slope_prior prior;
    struct { int64_t since_ns; double least_ns; } lateness[PL_LATENESSES];   /* PL_NOISE_LATE: since when all are so late, and the least late */
    int64_t off_since_ns; /* PL_NOISE_BURST: since when all contradict the line; 0 while they do not */
    int64_t slips;
} pl_output_clock;

/* A stream of this rate begins. */
void pl_output_clock_init(pl_output_clock *clock, pl_noise noise, double rate);
/* Take in a moment that became known at local time `now_ns`, in a callback for `frames` frames. True when the line slipped. */
bool pl_output_clock_add_rt(pl_output_clock *clock, const pl_moment *moment, int64_t now_ns, int64_t frames);
/* Forget the line, not the rate: the first callbacks of a stream may be of no use. */
void pl_output_clock_clear_rt(pl_output_clock *clock);

/* Local time at which the frame of nominal time x leaves, in ns since base_ns. Valid once `open`. */
double pl_output_clock_at_rt(const pl_output_clock *clock, double x);
/* One standard deviation of that, in ns; 1e6 while it is unknown. */
double pl_output_clock_deviation_rt(const pl_output_clock *clock, double x);
/* By how much a frame of the card is longer than the nominal one, in local time; 0 while it is unknown. */
double pl_output_clock_slope_rt(const pl_output_clock *clock);

#endif
