#if !defined(_WIN32) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_clock.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
static int64_t raw_ns(void) {
    /* The performance counter, whole seconds and rest apart so that nothing overflows: what CPython reads as well. */
    LARGE_INTEGER count, rate;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&rate);
    return count.QuadPart / rate.QuadPart * 1000000000LL + count.QuadPart % rate.QuadPart * 1000000000LL / rate.QuadPart;
}
#elif defined(__APPLE__)
#include <time.h>
static int64_t raw_ns(void) { return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW); }
#else
#include <time.h>
static int64_t raw_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}
#endif

static int64_t skew_from_ns, shift_ns;
static double skew;

int64_t pl_local_ns_rt(int64_t raw) { return raw + shift_ns + (int64_t)(skew * (double)(raw - skew_from_ns)); }

int64_t pl_now_ns_rt(void) { return pl_local_ns_rt(raw_ns()); }

void pl_clock_set_skew(double ppm, int64_t ahead_ns) {
    int64_t raw = raw_ns();
    shift_ns += ahead_ns + (int64_t)(skew * (double)(raw - skew_from_ns));
    skew_from_ns = raw;
    skew = ppm * 1e-6;
}

void pl_clock_map_init(pl_clock_map *line, bool identity) {
    memset(line, 0, sizeof *line);
    pl_clock_map_value v = {0};
    v.valid = identity;
    pl_clock_map_write(line, &v);
}

void pl_clock_map_write(pl_clock_map *line, const pl_clock_map_value *v) {
    uint64_t w[6] = {(uint64_t)v->local_ns, (uint64_t)v->offset_ns, pl_bits_of_double(v->drift), pl_bits_of_double(v->uncertainty_ns),
                     pl_bits_of_double(v->drift_uncertainty), v->valid};
    pl_seqlock_write(&line->lock, w, 6);
}

bool pl_clock_map_read_rt(pl_clock_map *line, pl_clock_map_value *v) {
    uint64_t w[6];
    if (!pl_seqlock_read(&line->lock, w, 6)) return false;
    v->local_ns = (int64_t)w[0];
    v->offset_ns = (int64_t)w[1];
    v->drift = pl_double_of_bits(w[2]);
    v->uncertainty_ns = pl_double_of_bits(w[3]);
    v->drift_uncertainty = pl_double_of_bits(w[4]);
    v->valid = w[5] != 0;
    return true;
}
