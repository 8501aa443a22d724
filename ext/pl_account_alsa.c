#include "pl_account.h"

#include <stdlib.h>

#include "pl_clock.h"

#if defined(__linux__)

enum { STATE_RUNNING = 3, TRIES = 3 };
static const int64_t QUICK_NS = 50000;

typedef struct {
    pl_account account;
    void *pcm;
    int (*state)(void *pcm);
    int (*delay)(void *pcm, long *frames);
} alsa_account;

/* snd_pcm_delay says how many frames lie before the next one that is written. It is asked between two looks at the clock and belongs to the
 * later one: then an interruption makes the answer late, never early, as does a pointer that moves in bursts. snd_pcm_status would
 * bring a time stamp, but plugins leave the delay out of it (alsa-lib 1.2.8). */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    alsa_account *alsa = (alsa_account *)account;
    if (alsa->state(alsa->pcm) != STATE_RUNNING) return false;
    int64_t before_ns = now_ns, after_ns = now_ns;
    long delay_frames = 0;
    for (int i = 0; i < TRIES; i++) {
        before_ns = pl_now_ns_rt();
        if (alsa->delay(alsa->pcm, &delay_frames) < 0) return false;
        after_ns = pl_now_ns_rt();
        if (after_ns - before_ns < QUICK_NS) break;
    }
    moment->frame = (double)(frame - delay_frames);
    moment->leaves_ns = after_ns;
    return true;
}

pl_account *pl_account_alsa(void *pcm) {
    static const char *const LIBRARIES[] = {"libasound.so.2", "libasound.so"};
    alsa_account *alsa = calloc(1, sizeof *alsa);
    if (!alsa) return NULL;
    alsa->account.ask_rt = ask_rt;
    alsa->account.noise = PL_NOISE_LATE;
    alsa->account.timing = PL_TIMING_EXACT;
    alsa->pcm = pcm;
    for (int i = 0; i < 2 && !(alsa->state && alsa->delay); i++) {
        alsa->state = (int (*)(void *))pl_account_function(LIBRARIES[i], "snd_pcm_state");
        alsa->delay = (int (*)(void *, long *))pl_account_function(LIBRARIES[i], "snd_pcm_delay");
    }
    if (alsa->state && alsa->delay) return &alsa->account;
    free(alsa);
    return NULL;
}

#else

pl_account *pl_account_alsa(void *pcm) {
    (void)pcm;
    return NULL;
}

#endif
