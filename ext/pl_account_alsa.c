#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_account.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "pl_clock.h"

#if defined(__linux__)

/* alsa-lib's SND_PCM_STATE_RUNNING. */
enum { STATE_RUNNING = 3 };
/* The delay is read between two readings of the clock. If these lie further apart than MAX_READING_NS, it is
 * read again, up to MAX_TRIES times. What remains makes the bounds of the moment wider. */
enum { MAX_TRIES = 3 };
static const int64_t MAX_READING_NS = 50000;
/* Longest burst that is believed: that of a Raspberry Pi's own output. */
static const double MAX_BURST_NS = 10e6;
/* A pointer with longer bursts is coarse. */
static const double MIN_COARSE_BURST_NS = 2e6;
/* After as many steps of whole bursts, an odd step means that the stream was restarted. */
enum { MIN_EVEN_STEPS = 16 };

typedef struct {
    pl_account account;
    void *pcm;
    double frame_ns;
    int64_t position;     /* the newest one of the card's pointer, in frames */
    int64_t burst_frames; /* the greatest common divisor of its steps; 0 before the first step */
    int even_steps;       /* the newest ones that were whole bursts, in a row; at most MIN_EVEN_STEPS */
    bool started;         /* there was a position since the stream last began */
    uint32_t random;
    int (*state)(void *pcm);
    int (*delay)(void *pcm, long *frames);
} alsa_account;

/* A coarse pointer is read at a random time of its burst. Each callback comes at the same place of a burst,
 * and this place drifts by some ppm only. Without the wait, the bounds would show for minutes only one place
 * of the burst, but not where it ends. Most of the buffer still plays meanwhile. ext/README.md allows this
 * wait, as the only one. */
static void wait_for_any_place_rt(alsa_account *alsa, double burst_ns) {
    alsa->random = alsa->random * 1664525u + 1013904223u; /* the generator of Knuth and Lewis */
    struct timespec wait = {.tv_nsec = (long)(burst_ns * (alsa->random >> 8) / (1 << 24))};
    nanosleep(&wait, NULL);
}

static double burst_ns_rt(const alsa_account *alsa) {
    return fmin((double)alsa->burst_frames * alsa->frame_ns, MAX_BURST_NS);
}

/* Store the new position of the card's pointer. True when the stream was restarted meanwhile. After an
 * underrun, miniaudio restarts it before the next callback can see that. But a coarse pointer then starts
 * elsewhere, so one odd step after many even ones shows it. A fine pointer does not need this: its new line
 * contradicts the old one. */
static bool move_rt(alsa_account *alsa, int64_t position) {
    int64_t step = llabs(position - alsa->position), common = pl_common_step(step, alsa->burst_frames);
    bool even = common == alsa->burst_frames;
    bool steady = alsa->even_steps >= MIN_EVEN_STEPS && burst_ns_rt(alsa) > MIN_COARSE_BURST_NS;
    bool restarted = !alsa->started || (steady && !even);
    alsa->even_steps = even && !restarted ? alsa->even_steps + (alsa->even_steps < MIN_EVEN_STEPS) : 0;
    if (!restarted) alsa->burst_frames = common;
    alsa->position = position;
    alsa->started = true;
    return restarted;
}

/* snd_pcm_delay gives the number of frames that lay before the next one to be written when the card's pointer
 * last moved. It is called between two readings of the clock: the frame at the pointer left before the later
 * reading, and no more than a burst before the earlier one. snd_pcm_status would give a time stamp, but
 * plugins leave the delay out of it (alsa-lib 1.2.8). */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    alsa_account *alsa = (alsa_account *)account;
    if (alsa->state(alsa->pcm) != STATE_RUNNING) {
        alsa->started = false;
        return false;
    }
    if (burst_ns_rt(alsa) > MIN_COARSE_BURST_NS) wait_for_any_place_rt(alsa, burst_ns_rt(alsa));
    int64_t before_ns = now_ns, after_ns = now_ns;
    long delay_frames = 0;
    for (int i = 0; i < MAX_TRIES; i++) {
        before_ns = pl_now_ns_rt();
        if (alsa->delay(alsa->pcm, &delay_frames) < 0) return false;
        after_ns = pl_now_ns_rt();
        if (after_ns - before_ns < MAX_READING_NS) break;
    }
    moment->restarted = move_rt(alsa, frame - delay_frames);
    moment->frame = (double)alsa->position;
    moment->leaves_ns = after_ns;
    moment->after_ns = before_ns;
    moment->burst_ns = burst_ns_rt(alsa);
    return true;
}

pl_account *pl_account_alsa(void *pcm, double rate_hz) {
    static const char *const LIBRARIES[] = {"libasound.so.2", "libasound.so"};
    alsa_account *alsa = calloc(1, sizeof *alsa);
    if (!alsa) return NULL;
    alsa->account.query_rt = query_rt;
    alsa->account.noise = PL_NOISE_BURST;
    alsa->account.timing = PL_TIMING_EXACT;
    alsa->pcm = pcm;
    alsa->frame_ns = 1e9 / rate_hz;
    for (int i = 0; i < 2 && !(alsa->state && alsa->delay); i++) {
        alsa->state = (int (*)(void *))pl_account_function(LIBRARIES[i], "snd_pcm_state");
        alsa->delay = (int (*)(void *, long *))pl_account_function(LIBRARIES[i], "snd_pcm_delay");
    }
    if (alsa->state && alsa->delay) return &alsa->account;
    free(alsa);
    return NULL;
}

#else

pl_account *pl_account_alsa(void *pcm, double rate_hz) {
    (void)pcm;
    (void)rate_hz;
    return NULL;
}

#endif
