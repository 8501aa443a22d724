/* The output clock of one stream: the local time at which each frame leaves the loudspeaker.
 *
 * Input: moments. A moment is one statement of an account (pl_account.h): frame F of the stream leaves at
 * local time T.
 *
 * Model: the card's clock is a straight line. With x = F * frame_ns, the nominal time of frame F since the
 * stream began,
 *     T(F) = base_ns + x + y(x)    and    y(x) = y(0) + slope * x.
 * y is the deviation from the nominal time. The slope is the rate error of the card: it is 20e-6 for a card
 * whose frames are 20 ppm longer than nominal. The line is estimated from the moments of the last minutes.
 * The method depends on the noise of the moments:
 *
 *   PL_NOISE_LATE    T is the true time plus a delay >= 0. Examples: the time of a callback, the time at
 *                    which a cycle of JACK began. The line is the lower envelope of the points (x, y) of the
 *                    last minute (pl_envelope.h). If the card has changed its speed, the older points are
 *                    removed (pl_bend.h).
 *   PL_NOISE_BURST   The card reports its position in steps, for example of 32 frames. Such a step is called
 *                    a burst. A reading of the position gives two exact bounds:
 *                        after_ns - burst < true time < leaves_ns.
 *                    The line is the middle of the strip between all upper and all lower bounds
 *                    (pl_fit_strip_rt). The account gives the length of a burst: all steps are multiples of
 *                    it. On a card whose steps have no common divisor, burst_ns is too short, and no line
 *                    fits between the bounds. The strip is then widened by overlap_ns, which is measured on
 *                    the bounds of the last seconds. The rate of a card drifts, so
 *                    each bound is loosened by the square of its age. If all bounds need more width than
 *                    those of the last seconds, the card has changed its speed, and the oldest bounds are
 *                    removed.
 *   PL_NOISE_BOTH    T is the true time plus an error of either sign. Examples: a delay that a server has
 *                    smoothed, a time stamp that was not taken together with the position. The moments of
 *                    each 200 ms are replaced by their median. The line is a robust regression through the
 *                    medians (pl_fit_robust_rt).
 *
 * Slip: the stream loses or gains frames against its line. Examples: an underrun, a move to another sink. All
 * later moments then lie off the line by the same amount. The line is restarted there. The rate known so far
 * becomes the prior of the new line. */
#ifndef PL_OUTPUT_CLOCK_H
#define PL_OUTPUT_CLOCK_H

#include <stdint.h>

#include "pl_bend.h"

typedef enum { PL_NOISE_LATE, PL_NOISE_BURST, PL_NOISE_BOTH } pl_noise;

/* Most moments in a bucket of PL_NOISE_BOTH: 32 in 200 ms is one callback each 6 ms. With shorter callbacks a
 * bucket is closed earlier. PL_LATENESS_RULES: see LATENESS_RULES. */
enum { PL_BUCKET_MOMENTS = 32, PL_LATENESS_RULES = 3 };

typedef struct {
    double frame;      /* counted from the first frame of the stream; in general a fraction */
    int64_t leaves_ns; /* local time at which it leaves; PL_NOISE_BURST: at the latest */
    int64_t after_ns;  /* PL_NOISE_BURST: it leaves later than one burst before this local time */
    double burst_ns;   /* PL_NOISE_BURST: divides all steps of the pointer so far; 0 before the first one */
    bool restarted;    /* PL_NOISE_BURST: the stream had stopped; the line is restarted here */
} pl_moment;

typedef struct {
    pl_noise noise;
    double frame_ns; /* nominal duration of a frame */
    int64_t base_ns; /* local time of x = 0, y = 0: of frame 0, by the first moment */
    bool open;       /* there has been a moment: a line exists */
    double began_x;  /* where the line begins */
    pl_hull late;    /* LATE: moments; BURST: upper bounds; BOTH: medians of buckets */
    pl_fit fit;
    bool fitted;
    pl_slope_prior prior;
    pl_bend bend; /* LATE */
    int64_t slips;
    /* PL_NOISE_LATE, for each of LATENESS_RULES: since when all moments are that late, and the least
     * lateness */
    struct {
        int64_t since_ns; /* 0 while they are not */
        double least_ns;
    } lateness[PL_LATENESS_RULES];
    /* PL_NOISE_BURST */
    pl_hull after;        /* the lower bounds, negated */
    pl_hull recent_late;  /* the upper bounds of the last seconds */
    pl_hull recent_after; /* the lower bounds of the last seconds, negated */
    double burst_ns;      /* as in the newest moment */
    double overlap_ns;    /* width that the strip of the recent bounds needs beyond a burst; >= 0 */
    int64_t off_since_ns; /* since when all moments contradict the line; 0: the last one agreed */
    /* PL_NOISE_BOTH: the bucket being filled */
    double bucket_x, bucket_y[PL_BUCKET_MOMENTS];
    int bucket_count;
    double off_ns; /* distance of the last median from the line; 0 unless it was off */
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
