/* An ALSA stream, as far as the account of pl_account_alsa.c uses one, on a card whose pointer moves
 * `burst_frames` at a time. Time passes only where the test or the account makes it pass. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "pl_account.h"

double true_rate = 48000, burst_frames = 1;
int64_t now_ns = 5000000000, began_ns, written_frames, offset_frames;
int32_t running = 1;

int64_t pl_now_ns_rt(void) { return now_ns += 500; }

int shim_nanosleep(const struct timespec *time, struct timespec *left) {
    (void)left;
    now_ns += time->tv_nsec;
    return 0;
}

static int state(void *pcm) {
    (void)pcm;
    return running ? 3 : 2;
}

static int delay(void *pcm, long *frames) {
    (void)pcm;
    double gone = (double)(now_ns - began_ns) * true_rate / 1e9;
    *frames = (long)(written_frames - offset_frames - (int64_t)(floor(gone / burst_frames) * burst_frames));
    return 0;
}

void *pl_account_function(const char *library, const char *name) {
    if (!strstr(library, "libasound")) return NULL;
    if (!strcmp(name, "snd_pcm_state")) return (void *)(intptr_t)state;
    return strcmp(name, "snd_pcm_delay") ? NULL : (void *)(intptr_t)delay;
}

pl_account *open_account(void) { return pl_account_alsa(&now_ns, 48000); }

bool query(pl_account *account, int64_t frame, double *moment_frame, int64_t *leaves_ns, int64_t *after_ns,
           double *burst_ns, bool *restarted) {
    pl_moment moment = {0};
    written_frames = frame;
    bool given = account->query_rt(account, frame, now_ns, &moment);
    *moment_frame = moment.frame;
    *leaves_ns = moment.leaves_ns;
    *after_ns = moment.after_ns;
    *burst_ns = moment.burst_ns;
    *restarted = moment.restarted;
    return given;
}
