/* Local time and the clock map.
 *
 * Local time is this machine's monotonic clock: the clock of Python's time.monotonic_ns(), on Windows of
 * time.perf_counter_ns(). The clock map converts local time to session time. */
#ifndef PL_CLOCK_H
#define PL_CLOCK_H

#include "pl_atomic.h"

#define PL_NS_PER_MS INT64_C(1000000)
#define PL_NS_PER_S INT64_C(1000000000)

/* How far the clocks of two computers usually run apart, a ratio: one standard deviation (50 ppm). */
#define PL_CRYSTAL_SD 50e-6

/* Local time in ns since an arbitrary instant. Never steps back. */
int64_t pl_now_ns_rt(void);

/* Convert a reading of the system's clock to local time, in ns. The clock is QueryPerformanceCounter on
 * Windows, mach_absolute_time on macOS and CLOCK_MONOTONIC elsewhere. */
int64_t pl_local_ns_rt(int64_t raw_ns);

/* Make this process's local clock run `ppm` parts per million fast from now on, `ahead_ns` ahead of what it
 * was: one machine can then play the part of several. Call it before any thread uses the clock. */
void pl_clock_set_skew(double ppm, int64_t ahead_ns);

/* The map from local time to session time:
 *     session = local + offset_ns + drift * (local - local_ns). */
typedef struct {
    int64_t local_ns;         /* the anchor: local time for which the offset holds */
    int64_t offset_ns;        /* session minus local time, at the anchor */
    double drift;             /* change of the offset, ns per ns of local time */
    double uncertainty_ns;    /* of the offset at the anchor: one standard deviation */
    double drift_uncertainty; /* of the drift: one standard deviation */
    bool valid;               /* there has been a measurement */
} pl_clock_map_value;

/* One writer, the clock thread. The audio callback and Python read it without waiting. */
typedef struct {
    pl_seqlock lock;
    pl_atomic_u32 silent; /* 1: the audio callback plays nothing by this map */
} pl_clock_map;

/* `identity`: session time is local time, as on the host. Otherwise the map is not valid yet. */
void pl_clock_map_init(pl_clock_map *map, bool identity);
void pl_clock_map_write(pl_clock_map *map, const pl_clock_map_value *value);
/* False, and `value` unchanged, when no coherent value could be read. */
bool pl_clock_map_read_rt(pl_clock_map *map, pl_clock_map_value *value);

/* Session minus local time at `local_ns`, in ns. */
static inline int64_t pl_clock_map_offset_at(const pl_clock_map_value *value, int64_t local_ns) {
    return value->offset_ns + (int64_t)(value->drift * (double)(local_ns - value->local_ns));
}

#endif
