#include "pl_account.h"

#include <stdlib.h>

#include "pl_clock.h"

#if defined(__APPLE__)

#include <mach/mach_time.h>

/* CoreAudio's types, as far as they are used here: AudioTimeStamp, AudioObjectPropertyAddress, and constants
 * of AudioHardwareBase.h, AudioOutputUnit.h and AudioUnitProperties.h. An OSStatus is 0 on success. */
typedef struct {
    double sample_time;
    uint64_t host_time; /* of mach_absolute_time */
    double rate_scalar;
    uint64_t word_clock_time;
    struct {
        int16_t subframes, subframe_divisor;
        uint32_t counter, type, flags;
        int16_t hours, minutes, seconds, frames;
    } smpte;
    uint32_t flags, reserved;
} time_stamp;
_Static_assert(sizeof(time_stamp) == 64, "AudioTimeStamp");

typedef struct {
    uint32_t selector, scope, element;
} property;

typedef int32_t (*render_notify)(void *data, uint32_t *flags, const time_stamp *time, uint32_t bus,
                                 uint32_t frames, void *buffers);
typedef int32_t (*add_notify_fn)(void *unit, render_notify notify, void *data);
typedef int32_t (*unit_property_fn)(void *unit, uint32_t id, uint32_t scope, uint32_t element, void *data,
                                    uint32_t *size);
typedef int32_t (*object_property_fn)(uint32_t object, const property *address, uint32_t qualifier_size,
                                      const void *qualifier, uint32_t *size, void *data);

enum { HOST_TIME_VALID = 1 << 1, PRE_RENDER = 1 << 2, UNIT_LATENCY = 12, UNIT_CURRENT_DEVICE = 2000 };
/* Streams of a device that are listed; only the first is used. */
enum { MAX_STREAMS = 16 };
static const property DEVICE_RATE = {'nsrt', 'glob', 0}, DEVICE_LATENCY = {'ltnc', 'outp', 0};
static const property DEVICE_STREAMS = {'stm#', 'outp', 0}, STREAM_LATENCY = {'ltnc', 'glob', 0};
/* A stamp further from now is not one of this clock. */
static const int64_t MAX_STAMP_AGE_NS = PL_NS_PER_S;

typedef struct {
    pl_account account;
    void *unit;
    double host_tick_ns;
    unit_property_fn unit_property;
    object_property_fn object_property;
    bool stamped;      /* leaves_ns is of the buffer being filled, and no frame of it was requested yet */
    int64_t leaves_ns; /* local time at which the first frame of a buffer leaves */
} coreaudio_account;

/* A notification of the output unit, before it renders a buffer: on the thread on which miniaudio's callback
 * follows. */
static int32_t before_render_rt(void *data, uint32_t *flags, const time_stamp *time, uint32_t bus,
                                uint32_t frames, void *buffers) {
    (void)frames;
    (void)buffers;
    coreaudio_account *core = data;
    if (bus == 0 && (*flags & PRE_RENDER) && (time->flags & HOST_TIME_VALID)) {
        core->leaves_ns = pl_local_ns_rt((int64_t)((double)time->host_time * core->host_tick_ns));
        core->stamped = true;
    }
    return 0;
}

/* The time stamp of a buffer of an output device is "the time at which the first frame in the data will be
 * passed to the hardware" (AudioDeviceIOProc). The buffer and the safety offset lie before that moment, so
 * they do not come on top. The device computes the stamp from its own clock, smoothed: it may err to both
 * sides. Only the first callback of a buffer begins with its first frame.
 *
 * AudioDeviceGetCurrentTime would give the device's sample time, which counts from another frame than our
 * stream.
 *
 * Written by Apple's documentation, and not yet compared with a recording of a Mac. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    coreaudio_account *core = (coreaudio_account *)account;
    int64_t age_ns = now_ns - core->leaves_ns;
    bool given = core->stamped && -age_ns < MAX_STAMP_AGE_NS && age_ns < MAX_STAMP_AGE_NS;
    core->stamped = false;
    moment->frame = (double)frame;
    moment->leaves_ns = core->leaves_ns;
    return given;
}

/* The latency behind that: the sum of what the unit, the device and its first stream report. */
static int64_t latency_ns(pl_account *account) {
    coreaudio_account *core = (coreaudio_account *)account;
    uint32_t device = 0, device_frames = 0, stream_frames = 0, streams[MAX_STREAMS], size = sizeof device;
    double rate_hz = 0, unit_s = 0;
    if (core->unit_property(core->unit, UNIT_CURRENT_DEVICE, 0, 0, &device, &size)) return 0;
    size = sizeof unit_s;
    if (core->unit_property(core->unit, UNIT_LATENCY, 0, 0, &unit_s, &size) || !(unit_s >= 0)) unit_s = 0;
    size = sizeof rate_hz;
    if (core->object_property(device, &DEVICE_RATE, 0, NULL, &size, &rate_hz) || !(rate_hz >= 1))
        return (int64_t)(unit_s * 1e9);
    size = sizeof device_frames;
    if (core->object_property(device, &DEVICE_LATENCY, 0, NULL, &size, &device_frames)) device_frames = 0;
    size = sizeof streams;
    int32_t error = core->object_property(device, &DEVICE_STREAMS, 0, NULL, &size, streams);
    if (!error && size >= sizeof streams[0]) {
        size = sizeof stream_frames;
        if (core->object_property(streams[0], &STREAM_LATENCY, 0, NULL, &size, &stream_frames))
            stream_frames = 0;
    }
    return (int64_t)((unit_s + ((double)device_frames + (double)stream_frames) / rate_hz) * 1e9);
}

pl_account *pl_account_coreaudio(void *unit) {
    static const char UNITS[] = "/System/Library/Frameworks/AudioToolbox.framework/AudioToolbox";
    static const char OBJECTS[] = "/System/Library/Frameworks/CoreAudio.framework/CoreAudio";
    mach_timebase_info_data_t base;
    coreaudio_account *core = calloc(1, sizeof *core);
    if (!core) return NULL;
    core->account.query_rt = query_rt;
    core->account.noise = PL_NOISE_BOTH;
    core->account.timing = PL_TIMING_TOLD; /* exact, once compared with a recording of a Mac */
    core->account.latency_ns = latency_ns;
    core->unit = unit;
    add_notify_fn add_notify = (add_notify_fn)pl_account_function(UNITS, "AudioUnitAddRenderNotify");
    core->unit_property = (unit_property_fn)pl_account_function(UNITS, "AudioUnitGetProperty");
    core->object_property = (object_property_fn)pl_account_function(OBJECTS, "AudioObjectGetPropertyData");
    bool found = add_notify && core->unit_property && core->object_property;
    if (found && mach_timebase_info(&base) == 0 && base.denom) {
        core->host_tick_ns = (double)base.numer / base.denom;
        if (add_notify(unit, before_render_rt, core) == 0) return &core->account;
    }
    free(core);
    return NULL;
}

#else

pl_account *pl_account_coreaudio(void *unit) {
    (void)unit;
    return NULL;
}

#endif
