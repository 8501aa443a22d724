#if !defined(_WIN32) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_clock.h"

PL_ASSERT_FITS_SEQLOCK(pl_clock_map_value);

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* The performance counter, as CPython reads it. Whole seconds and the rest are converted apart, so that the
 * multiplication does not overflow. */
static int64_t raw_ns(void) {
    LARGE_INTEGER count, rate_hz;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&rate_hz);
    int64_t seconds = count.QuadPart / rate_hz.QuadPart;
    int64_t rest = count.QuadPart % rate_hz.QuadPart;
    return seconds * PL_NS_PER_S + rest * PL_NS_PER_S / rate_hz.QuadPart;
}
#elif defined(__APPLE__)
#include <time.h>

static int64_t raw_ns(void) { return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW); }
#else
#include <time.h>

static int64_t raw_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * PL_NS_PER_S + now.tv_nsec;
}
#endif

/* The skew of this process's clock: local = raw + shift_ns + skew * (raw - skew_from_ns). */
static int64_t skew_from_ns, shift_ns;
static double skew;

int64_t pl_local_ns_rt(int64_t raw) {
    return raw + shift_ns + (int64_t)(skew * (double)(raw - skew_from_ns));
}

int64_t pl_now_ns_rt(void) { return pl_local_ns_rt(raw_ns()); }

void pl_clock_set_skew(double ppm, int64_t ahead_ns) {
    int64_t raw = raw_ns();
    shift_ns += ahead_ns + (int64_t)(skew * (double)(raw - skew_from_ns));
    skew_from_ns = raw;
    skew = ppm * 1e-6;
}

void pl_clock_map_init(pl_clock_map *map, bool identity) {
    memset(map, 0, sizeof *map);
    pl_clock_map_value value = {.valid = identity};
    pl_clock_map_write(map, &value);
}

void pl_clock_map_write(pl_clock_map *map, const pl_clock_map_value *value) {
    pl_seqlock_write(&map->lock, value, sizeof *value);
}

bool pl_clock_map_read_rt(pl_clock_map *map, pl_clock_map_value *value) {
    return pl_seqlock_read(&map->lock, value, sizeof *value);
}
