/* When a song arrives at a microphone from each machine, while the machines play it in turns.
 *
 * 1. The recording and the song are brought to one low sampling rate.
 * 2. The clock. At each of a few rates of the microphone's clock, the recording of each turn is deconvolved
 *    by the song. The right rate gives the largest pulses. The turns of the first machine, at both ends,
 *    then give the rate exactly.
 * 3. The response of a turn is that which explains the recording of the turn best (least squares;
 *    N. Levinson, "The Wiener RMS error criterion in filter design and prediction", Journal of Mathematics
 *    and Physics 25, 1946). Unlike a correlation it has no echoes of the song's own beats and tones. All
 *    frequencies of the recording count equally.
 * 4. The first pulse is the direct sound: at least FIRST_SHARE of the strongest one, and SURE_NOISES times
 *    the noise, which is what the halves of the turn do not have in common.
 *
 * All times are in seconds. */
#ifndef PL_SONG_H
#define PL_SONG_H

#include <stdbool.h>
#include <stdint.h>

/* A turn: one machine plays alone. */
typedef struct {
    int32_t role;          /* which channels it plays, a pl_role */
    double begin_s, end_s; /* after the first frame of the song, including the fades at both ends */
} pl_turn;

typedef struct {
    double delay_s;  /* from the turn to its direct sound at the microphone */
    double spread_s; /* between the halves of the turn */
    /* As shares of the direct sound; 1 if there is no sound. */
    double noise;
    double before; /* the largest pulse before it */
} pl_song_arrival;

/* `recording` is mono and begins `begin_s` after the song, which is interleaved stereo. A machine plays up to
 * `reach_s` earlier or later than its turn; the fades take `fade_s`. Each turn takes between 8 fades and
 * 10 s. The first and the last turn are of the same machine. `rate_error` is how much faster the clock of
 * the microphone runs. False if there is not enough memory. */
bool pl_song_find(const float *recording, int64_t count, double rate_hz, double begin_s, const float *song,
                  int64_t song_count, double song_rate_hz, const pl_turn *turns, int32_t turn_count,
                  double fade_s, double reach_s, pl_song_arrival *arrivals, double *rate_error);

#endif
