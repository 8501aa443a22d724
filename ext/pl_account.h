/* A platform's account of one output stream: which frame of it leaves the loudspeaker at which local time.
 *
 * Each account asks through the handle of the stream itself, in the audio callback, on the thread that owns the handle. Its functions are
 * taken from the library that the stream was opened with, when the account is made. */
#ifndef PL_ACCOUNT_H
#define PL_ACCOUNT_H

#include "pl_atomic.h"
#include "pl_output_clock.h"

/* What an account is worth: told of the stream itself; told second-hand; or known to be wrong. */
typedef enum { PL_TIMING_UNKNOWN, PL_TIMING_TOLD, PL_TIMING_EXACT } pl_timing;

typedef struct pl_account pl_account;
struct pl_account {
    /* In the callback that asks for the frames from `frame` on, at local time `now_ns`. False when nothing is told now. */
    bool (*ask_rt)(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment);
    pl_noise noise;
    pl_atomic_u32 timing;          /* a pl_timing; may change while the stream runs */
    pl_atomic_u32 silent;          /* set by the engine while it does without the account, because that tells nothing */
    /* From the moment that is told to the moment at which the frame leaves the loudspeaker, in ns; may take milliseconds. NULL: nothing. */
    int64_t (*latency_ns)(pl_account *account);
    /* Let go of what the account holds of the platform; NULL where it holds nothing. */
    void (*end)(pl_account *account);
};

/* Each makes an account of a stream, or returns NULL where the platform's library has none. */

/* JACK, by the client that the stream belongs to: the moment at which a frame is asked for. What comes behind it is the port's latency. */
pl_account *pl_account_jack(void *client);
/* ALSA, hardware and plugins alike, by a snd_pcm_t. */
pl_account *pl_account_alsa(void *pcm, double rate);
/* PulseAudio, by a pa_stream whose callbacks run on the thread of its main loop. */
pl_account *pl_account_pulse(void *stream);

/* WASAPI, by the IAudioClient of a stream of this rate. */
pl_account *pl_account_wasapi(void *client, double rate);
/* CoreAudio, by the output unit that plays. It calls the account as long as it exists: the account must outlive it. */
pl_account *pl_account_coreaudio(void *unit);

/* No callback asks any more. On the thread that made the account; more than once is allowed. */
void pl_account_end(pl_account *account);
/* The account has ended, or its platform went away without it. */
void pl_account_free(pl_account *account);

/* The greatest common divisor of two numbers, not negative: a pointer that moves in bursts makes steps of whole bursts. */
static inline int64_t pl_common_step(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The function of a library that is loaded already, or can be; NULL where it is missing. */
void *pl_account_function(const char *library, const char *name);

#endif
