/* Local time: this machine's monotonic clock, the same that Python's time.monotonic_ns() reads (on Windows time.perf_counter_ns()). */
#ifndef PL_CLOCK_H
#define PL_CLOCK_H

#include "pl_atomic.h"

/* Nanoseconds since an arbitrary instant. Never steps back. Callable in the audio callback. */
int64_t pl_now_ns_rt(void);

/* The local time of a reading of the clock that local time is made from, in ns: on Windows QueryPerformanceCounter, on macOS
 * mach_absolute_time, elsewhere CLOCK_MONOTONIC. */
int64_t pl_local_ns_rt(int64_t raw_ns);

/* Make this process's local clock run `ppm` parts per million fast from now on, and be `ahead_ns` ahead of what it was: several machines
 * out of one, for demonstrations and laboratories. To be called before any thread uses the clock. */
void pl_clock_set_skew(double ppm, int64_t ahead_ns);

/* The line that leads from local time to the reference time of the session:
 * reference = local + offset_ns + drift * (local - local_ns).
 * One writer (the clock thread), read without waiting by the audio callback and by Python. */
typedef struct {
    int64_t local_ns;       /* where the line is anchored */
    int64_t offset_ns;      /* reference minus local, at the anchor */
    double drift;           /* change of the offset, ns per ns of local time */
    double uncertainty_ns;  /* one standard deviation, at the anchor */
    double drift_uncertainty;
    bool valid;
} pl_clock_map_value;

typedef struct { pl_seqlock lock; } pl_clock_map;

void pl_clock_map_init(pl_clock_map *line, bool identity);
void pl_clock_map_write(pl_clock_map *line, const pl_clock_map_value *value);
/* False, and `value` untouched, when no coherent value could be read. Callable in the audio callback. */
bool pl_clock_map_read_rt(pl_clock_map *line, pl_clock_map_value *value);

static inline int64_t pl_clock_map_offset_at(const pl_clock_map_value *v, int64_t local_ns) {
    return v->offset_ns + (int64_t)(v->drift * (double)(local_ns - v->local_ns));
}

#endif
