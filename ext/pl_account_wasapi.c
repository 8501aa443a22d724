#if defined(_WIN32)
#define COBJMACROS
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <audioclient.h>
#endif
#include "pl_account.h"

#include <stdlib.h>

#include "pl_clock.h"

#if defined(_WIN32)

/* IID_IAudioClock. */
static const GUID AUDIO_CLOCK = {
    0xcd63314f, 0x3fba, 0x4a1b, {0x81, 0x2c, 0xef, 0x96, 0x35, 0x87, 0x28, 0xe7}};
/* A stamp that is older is not one of this clock. */
static const int64_t MAX_STAMP_AGE_NS = PL_NS_PER_S;

typedef struct {
    pl_account account;
    IAudioClock *clock;
    double frames_per_unit;
    UINT64 position; /* the newest one that was used */
} wasapi_account;

/* IAudioClock::GetPosition, as Microsoft documents it: the position in the stream, from its beginning, "of
 * the sample that is currently playing through the speakers", and the performance counter at which the device
 * read it, in units of 100 ns. So neither the buffer nor IAudioClient::GetStreamLatency (the longest time
 * that the engine takes for a buffer) comes on top. Windows does not know what a DAC, a Bluetooth link or a
 * television adds behind that position.
 *
 * The inexact cases that Microsoft names make a moment late, never early: a call that took long (S_FALSE), a
 * position that moves in steps. A position that has not moved is no news; before the stream starts it is 0.
 * The stamp is used if it is of our clock: wine's overflows when the machine has been up for 25 hours.
 * Otherwise the position is used as of now, which is late at worst.
 *
 * Compared with recordings under wine 8, but not on Windows. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    wasapi_account *wasapi = (wasapi_account *)account;
    UINT64 position = 0, stamp = 0;
    if (FAILED(IAudioClock_GetPosition(wasapi->clock, &position, &stamp))) return false;
    if (position == wasapi->position) return false;
    wasapi->position = position;
    int64_t read_ns = stamp < (UINT64)INT64_MAX / 100 ? pl_local_ns_rt((int64_t)stamp * 100) : 0;
    int64_t after_ns = pl_now_ns_rt();
    bool ours = read_ns <= after_ns && now_ns - read_ns < MAX_STAMP_AGE_NS;
    moment->frame = (double)position * wasapi->frames_per_unit;
    moment->leaves_ns = ours ? read_ns : after_ns;
    return moment->frame <= (double)frame; /* more than was written cannot have been played */
}

/* "The client must call the interface's Release method from the same thread as the call to
 * IAudioClient::GetService that created the object." */
static void end(pl_account *account) {
    wasapi_account *wasapi = (wasapi_account *)account;
    if (wasapi->clock) IAudioClock_Release(wasapi->clock);
    wasapi->clock = NULL;
}

pl_account *pl_account_wasapi(void *client, double rate_hz) {
    void *clock = NULL;
    UINT64 units_per_second = 0;
    wasapi_account *wasapi = calloc(1, sizeof *wasapi);
    if (!wasapi) return NULL;
    wasapi->account.query_rt = query_rt;
    wasapi->account.noise = PL_NOISE_LATE;
    wasapi->account.timing = PL_TIMING_TOLD; /* exact, once compared with a recording of Windows */
    wasapi->account.end = end;
    if (SUCCEEDED(IAudioClient_GetService((IAudioClient *)client, &AUDIO_CLOCK, &clock)) && clock) {
        wasapi->clock = clock;
        if (SUCCEEDED(IAudioClock_GetFrequency(wasapi->clock, &units_per_second)) && units_per_second) {
            wasapi->frames_per_unit = rate_hz / (double)units_per_second;
            return &wasapi->account;
        }
        end(&wasapi->account);
    }
    free(wasapi);
    return NULL;
}

#else

pl_account *pl_account_wasapi(void *client, double rate_hz) {
    (void)client;
    (void)rate_hz;
    return NULL;
}

#endif
