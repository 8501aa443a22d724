/* The output clock of one stream: at which local time a frame leaves the loudspeaker.
 *
 * Its input are moments: by some account, frame F of the stream leaves at local time T. Coordinates: x is the
 * nominal time of a frame, in ns since the stream began; y is T minus x, in ns since the stream's base. The
 * card's clock is the line y(x).
 *
 *   PL_NOISE_LATE    A moment may be late, never early: a callback, a cycle time. The line is the lower
 *                    envelope of a minute (pl_envelope.h), or since the clock last changed its speed
 *                    (pl_bend.h).
 *   PL_NOISE_BURST   Two bounds by a pointer that moves in bursts: a frame leaves before one bound, and no
 *                    more than a burst before the other. Both are exact, so the line is the middle of the
 *                    strip between them (pl_fit_strip_rt). The length of a burst is known from the pointer's
 *                    steps, or from the width that it takes to keep the bounds of the last seconds apart. A
 *                    bound says less the older it is, because a clock's rate drifts. Where the bounds need
 *                    more width than that, the clock has changed its speed, and the oldest bounds are
 *                    removed.
 *   PL_NOISE_BOTH    A moment may be early or late: an account that a server smooths, or stamps at another
 *                    moment than it reads. The line is a robust regression through the medians of short
 *                    buckets.
 *
 * A stream that loses or gains frames against its line (an underrun, another sink) is a slip: the line is
 * restarted there, with the card's rate known so far. */
#ifndef PL_OUTPUT_CLOCK_H
#define PL_OUTPUT_CLOCK_H

#include <stdint.h>

#include "pl_bend.h"

typedef enum { PL_NOISE_LATE, PL_NOISE_BURST, PL_NOISE_BOTH } pl_noise;

enum { PL_BUCKET_MOMENTS = 32, PL_LATENESS_RULES = 3 };

typedef struct {
    double frame;        /* counted from the first frame of the stream; in general a fraction */
    int64_t leaves_ns;   /* local time at which it leaves; PL_NOISE_BURST: at the latest */
    int64_t after_ns;    /* PL_NOISE_BURST: it leaves later than one burst before this local time */
    double burst_ns;     /* PL_NOISE_BURST: the shortest step of the pointer so far; 0 before the first */
    bool restarted;      /* PL_NOISE_BURST: the stream had stopped; the line is restarted here */
} pl_moment;

typedef struct {
    pl_noise noise;
    double frame_ns;             /* nominal duration of a frame */
    int64_t base_ns;             /* local time of y = 0, x = 0 */
    bool open;                   /* there has been a moment: a line exists */
    double began_x;              /* where the line begins */
    pl_hull late;                /* LATE: moments; BURST: upper bounds; BOTH: medians of buckets */
    pl_fit fit;
    bool fitted;
    pl_slope_prior prior;
    pl_bend bend;                /* LATE */
    int64_t slips;
    /* PL_NOISE_LATE: for each rule (see LATENESS_RULES), since when all moments are that late, and the least
     * lateness */
    struct {
        int64_t since_ns;        /* 0 while they are not */
        double least_ns;
    } lateness[PL_LATENESS_RULES];
    /* PL_NOISE_BURST */
    pl_hull after;               /* the lower bounds, negated */
    pl_hull recent_late;         /* the upper bounds of the last seconds */
    pl_hull recent_after;        /* the lower bounds of the last seconds, negated */
    double burst_ns;             /* as in the newest moment */
    double overlap_ns;           /* by how much more than a burst the bounds of the last seconds need */
    int64_t off_since_ns;        /* since when all moments contradict the line; 0 while they do not */
    /* PL_NOISE_BOTH: the bucket being filled */
    double bucket_x, bucket_y[PL_BUCKET_MOMENTS];
    int bucket_count;
    double off_ns;               /* by how much the last median was off the line; 0 when it was not */
} pl_output_clock;

/* A stream of this rate begins. */
void pl_output_clock_init(pl_output_clock *clock, pl_noise noise, double rate_hz);
/* Add a moment that became known at local time `now_ns`, in a callback for `frames` frames. True when the
 * line slipped. */
bool pl_output_clock_add_rt(pl_output_clock *clock, const pl_moment *moment, int64_t now_ns, int64_t frames);
/* Remove the line, but keep the rate: the first callbacks of a stream may be of no use. */
void pl_output_clock_clear_rt(pl_output_clock *clock);

/* Local time at which the frame of nominal time x leaves, in ns since base_ns. Valid once `open`. */
double pl_output_clock_at_rt(const pl_output_clock *clock, double x);
/* One standard deviation of that, in ns; 1e6 while it is unknown. */
double pl_output_clock_deviation_rt(const pl_output_clock *clock, double x);
/* By how much a frame of the card is longer than the nominal one, in local time, a ratio; 0 while it is
 * unknown. */
double pl_output_clock_slope_rt(const pl_output_clock *clock);

#endif
