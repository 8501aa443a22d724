/* A platform's account of one output stream: which frame of it leaves the loudspeaker at which local time.
 *
 * An account queries the sound system through the handle of the stream itself, in the audio callback, on the
 * thread that owns the handle. Its functions are taken from the library that the stream was opened with, when
 * the account is made. */
#ifndef PL_ACCOUNT_H
#define PL_ACCOUNT_H

#include "pl_atomic.h"
#include "pl_output_clock.h"

/* What an account is worth. */
typedef enum {
    PL_TIMING_UNKNOWN, /* known to be wrong */
    PL_TIMING_TOLD,    /* by documentation only: never compared with a recording */
    PL_TIMING_EXACT,   /* compared with recordings */
} pl_timing;

typedef struct pl_account pl_account;
struct pl_account {
    /* Called in the callback that requests the frames from `frame` on, at local time `now_ns`. Sets the
     * moment. False when there is no news. */
    bool (*query_rt)(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment);
    pl_noise noise;       /* of its moments */
    pl_atomic_u32 timing; /* a pl_timing; may change while the stream runs */
    pl_atomic_u32 silent; /* set by the engine while the account gives no moments */
    int64_t idle_ns;      /* set by the engine before a query: no deck has been in use for this long */
    /* The time from a callback until its first frame leaves may grow to this, in ns. 0: it stays as it is. */
    int64_t coming_lead_ns;
    /* From the account's moment of a frame to the moment at which it leaves the loudspeaker, in ns. May take
     * milliseconds. NULL: 0. */
    int64_t (*latency_ns)(pl_account *account);
    /* Release what the account holds of the platform. NULL where it holds nothing. */
    void (*end)(pl_account *account);
};

/* Each of these makes an account of a stream. NULL where the platform's library has none, or memory is
 * short. */

/* JACK, by the client that the stream belongs to: the moment at which a frame is requested. The port's
 * latency comes on top. */
pl_account *pl_account_jack(void *client);
/* ALSA, hardware and plugins alike, by a snd_pcm_t that plays at this rate. */
pl_account *pl_account_alsa(void *pcm, double rate_hz);
/* PulseAudio, by a pa_stream whose callbacks run on the thread of its main loop, and whose buffer is
 * PL_PULSE_BUFFER_NS long. The account makes it longer while no deck is in use. */
#define PL_PULSE_BUFFER_NS (80 * PL_NS_PER_MS)
pl_account *pl_account_pulse(void *stream);
/* WASAPI, by the IAudioClient of a stream of this rate. */
pl_account *pl_account_wasapi(void *client, double rate_hz);
/* CoreAudio, by the output unit that plays. The unit calls the account as long as it exists, so the account
 * must outlive it. */
pl_account *pl_account_coreaudio(void *unit);

/* Call it after the last callback, on the thread that made the account; more than once is allowed. */
void pl_account_end(pl_account *account);
/* Call it after pl_account_end, or when the platform went away without it. NULL is allowed. */
void pl_account_free(pl_account *account);

/* The greatest common divisor of two numbers that are not negative: a pointer that moves in bursts makes
 * steps of whole bursts. */
static inline int64_t pl_common_step(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The function of a library that is loaded already, or can be loaded; NULL where it is missing. */
void *pl_account_function(const char *library, const char *name);

#endif
