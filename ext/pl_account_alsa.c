#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_account.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "pl_clock.h"

#if defined(__linux__)

enum { STATE_RUNNING = 3, TRIES = 3, STEADY = 16 };
static const int64_t QUICK_NS = 50000;
static const double MAX_BURST_NS = 10e6;   /* of a Raspberry Pi's own output */
static const double COARSE_NS = 2e6;

typedef struct {
    pl_account account;
    void *pcm;
    double frame_ns;
    int64_t position, burst_frames;   /* of the card's pointer: the newest one, and what all its steps have in common; 0 before there were any */
    int even_steps;   /* so many in a row have been whole bursts */
    bool asked;       /* since the stream last began */
    uint32_t random;
    int (*state)(void *pcm);
    int (*delay)(void *pcm, long *frames);
} alsa_account;

/* Callbacks come at one place of a coarse pointer's burst, which slides for minutes before it shows where a burst ends. So such a pointer is
 * asked at a random time of its burst, which leaves most of the buffer to play meanwhile: the law of the callback allows this here only. */
static void wait_for_any_place_rt(alsa_account *alsa, double burst_ns) {
    alsa->random = alsa->random * 1664525u + 1013904223u;   /* Knuth's and Lewis's generator */
    struct timespec wait = {0, (long)(burst_ns * (alsa->random >> 8) / (1 << 24))};
    nanosleep(&wait, NULL);
}

static double burst_ns_rt(const alsa_account *alsa) { return fmin((double)alsa->burst_frames * alsa->frame_ns, MAX_BURST_NS); }

/* Take in where the card's pointer is now. True when the stream has begun anew meanwhile. After an underrun miniaudio begins it anew before the
 * next callback can see that; but a coarse pointer then starts elsewhere, so one odd step after many even ones tells of it. A fine pointer
 * needs no such care: its line contradicts the old one. */
static bool move_rt(alsa_account *alsa, int64_t position) {
    int64_t step = llabs(position - alsa->position), common = pl_common_step(step, alsa->burst_frames);
    bool even = common == alsa->burst_frames, steady = alsa->even_steps >= STEADY && burst_ns_rt(alsa) > COARSE_NS;
    bool anew = !alsa->asked || (steady && !even);
    alsa->even_steps = even && !anew ? alsa->even_steps + (alsa->even_steps < STEADY) : 0;
    if (!anew) alsa->burst_frames = common;
    alsa->position = position;
    alsa->asked = true;
    return anew;
}

/* snd_pcm_delay says how many frames lie before the next one that is written, when the card's pointer last moved. It is asked between two
 * looks at the clock: the frame at the pointer left before the later one, and no more than a burst before the earlier one.
 * snd_pcm_status would bring a time stamp, but plugins leave the delay out of it (alsa-lib 1.2.8). */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    alsa_account *alsa = (alsa_account *)account;
    if (alsa->state(alsa->pcm) != STATE_RUNNING) {
        alsa->asked = false;
        return false;
    }
    if (burst_ns_rt(alsa) > COARSE_NS) wait_for_any_place_rt(alsa, burst_ns_rt(alsa));
    int64_t before_ns = now_ns, after_ns = now_ns;
    long delay_frames = 0;
    for (int i = 0; i < TRIES; i++) {
        before_ns = pl_now_ns_rt();
        if (alsa->delay(alsa->pcm, &delay_frames) < 0) return false;
        after_ns = pl_now_ns_rt();
        if (after_ns - before_ns < QUICK_NS) break;
    }
    moment->anew = move_rt(alsa, frame - delay_frames);
    moment->frame = (double)alsa->position;
    moment->leaves_ns = after_ns;
    moment->after_ns = before_ns;
    moment->burst_ns = burst_ns_rt(alsa);
    return true;
}

pl_account *pl_account_alsa(void *pcm, double rate) {
    static const char *const LIBRARIES[] = {"libasound.so.2", "libasound.so"};
    alsa_account *alsa = calloc(1, sizeof *alsa);
    if (!alsa) return NULL;
    alsa->account.ask_rt = ask_rt;
    alsa->account.noise = PL_NOISE_BURST;
    alsa->account.timing = PL_TIMING_EXACT;
    alsa->pcm = pcm;
    alsa->frame_ns = 1e9 / rate;
    for (int i = 0; i < 2 && !(alsa->state && alsa->delay); i++) {
        alsa->state = (int (*)(void *))pl_account_function(LIBRARIES[i], "snd_pcm_state");
        alsa->delay = (int (*)(void *, long *))pl_account_function(LIBRARIES[i], "snd_pcm_delay");
    }
    if (alsa->state && alsa->delay) return &alsa->account;
    free(alsa);
    return NULL;
}

#else

pl_account *pl_account_alsa(void *pcm, double rate) {
    (void)pcm;
    (void)rate;
    return NULL;
}

#endif
