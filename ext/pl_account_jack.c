#include "pl_account.h"

#include <stdlib.h>

#include "pl_clock.h"

/* A cycle that began longer ago is not one of this clock. */
static const int64_t MAX_CYCLE_AGE_NS = PL_NS_PER_S;
/* Readings of which the latest counts. */
enum { READINGS = 3 };

/* jack_get_cycle_times: when the current cycle began and when the next one begins, in microseconds of JACK's
 * clock. */
typedef int (*cycle_times_fn)(void *client, uint32_t *frames, uint64_t *current_us, uint64_t *next_us,
                              float *period_us);

typedef struct {
    pl_account account;
    void *client;
    cycle_times_fn cycle_times;
} jack_account;

/* The beginning of the cycle is not delayed by late wake-ups. It is used only if it is of our clock: not in
 * the future, and not long ago. JACK's conversion between clocks gives too early a time when it is
 * interrupted halfway, so the latest of three readings is used. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    jack_account *jack = (jack_account *)account;
    int64_t began_ns = INT64_MIN;
    for (int i = 0; i < READINGS; i++) {
        uint32_t frames;
        uint64_t current_us, next_us;
        float period_us;
        if (jack->cycle_times(jack->client, &frames, &current_us, &next_us, &period_us)) {
            began_ns = INT64_MIN;
            break;
        }
        if ((int64_t)current_us * 1000 > began_ns) began_ns = (int64_t)current_us * 1000;
    }
    bool ours = began_ns <= now_ns && now_ns - began_ns < MAX_CYCLE_AGE_NS && began_ns > 0;
    moment->frame = (double)frame;
    moment->leaves_ns = ours ? began_ns : now_ns;
    return true;
}

pl_account *pl_account_jack(void *client) {
    /* The names that miniaudio tries, in its order, so that both use the same library. */
#if defined(_WIN32)
    static const char *const LIBRARIES[] = {"libjack.dll", "libjack64.dll"};
#elif defined(__APPLE__)
    static const char *const LIBRARIES[] = {"libjack.dylib", "libjack.0.dylib"};
#else
    static const char *const LIBRARIES[] = {"libjack.so", "libjack.so.0"};
#endif
    cycle_times_fn cycle_times = NULL;
    for (int i = 0; i < 2 && !cycle_times; i++)
        cycle_times = (cycle_times_fn)pl_account_function(LIBRARIES[i], "jack_get_cycle_times");
    jack_account *jack = cycle_times ? calloc(1, sizeof *jack) : NULL;
    if (!jack) return NULL;
    jack->account.query_rt = query_rt;
    jack->account.noise = PL_NOISE_LATE;
    jack->account.timing = PL_TIMING_EXACT;
    jack->client = client;
    jack->cycle_times = cycle_times;
    return &jack->account;
}
