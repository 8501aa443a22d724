#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_account.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "pl_clock.h"

#if defined(__linux__)

enum { STATE_RUNNING = 3, TRIES = 3 };
static const int64_t QUICK_NS = 50000;
static const double MOST_BURST_NS = 10e6;   /* of a Raspberry Pi's own output */
static const double COARSE_NS = 2e6;

typedef struct {
    pl_account account;
    void *pcm;
    double frame_ns;
    int64_t position, burst_frames;   /* of the card's pointer: the newest one, and what all its steps have in common; 0 before there were any */
    bool asked;
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

/* snd_pcm_delay says how many frames lie before the next one that is written, when the card's pointer last moved. It is asked between two
 * looks at the clock: the frame at the pointer left before the later one, and no more than a burst before the earlier one.
 * snd_pcm_status would bring a time stamp, but plugins leave the delay out of it (alsa-lib 1.2.8). */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    alsa_account *alsa = (alsa_account *)account;
    if (alsa->state(alsa->pcm) != STATE_RUNNING) return false;
    double burst_ns = fmin((double)alsa->burst_frames * alsa->frame_ns, MOST_BURST_NS);
    if (burst_ns > COARSE_NS) wait_for_any_place_rt(alsa, burst_ns);
    int64_t before_ns = now_ns, after_ns = now_ns;
    long delay_frames = 0;
    for (int i = 0; i < TRIES; i++) {
        before_ns = pl_now_ns_rt();
        if (alsa->delay(alsa->pcm, &delay_frames) < 0) return false;
        after_ns = pl_now_ns_rt();
        if (after_ns - before_ns < QUICK_NS) break;
    }
    int64_t position = frame - delay_frames, step = llabs(position - alsa->position);
    if (alsa->asked) alsa->burst_frames = pl_common_step(step, alsa->burst_frames);
    alsa->position = position;
    alsa->asked = true;
    moment->frame = (double)position;
    moment->leaves_ns = after_ns;
    moment->after_ns = before_ns;
    moment->burst_ns = burst_ns;
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
