#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "pl_account.h"

#include <stdlib.h>
#include <string.h>

#include "pl_clock.h"

#if defined(__linux__)

#include <sys/time.h>
#include <time.h>

/* libpulse's own, as far as they are read here: pa_timing_info, pa_server_info and pa_sample_spec. */
typedef struct {
    struct timeval timestamp;      /* wall clock at which the server answered; where its clock is another, an estimate of that */
    int synchronized_clocks;
    uint64_t sink_us, source_us, transport_us;
    int playing;
    int write_index_corrupt;
    int64_t write_index;
    int read_index_corrupt;
    int64_t read_index;            /* bytes of the stream that its sink had taken */
} timing_info;
typedef struct { const char *user_name, *host_name, *server_version, *server_name; } server_info;

typedef struct { int format; uint32_t rate; uint8_t channels; } sample_spec;

typedef void (*on_success)(void *stream, int success, void *data);
typedef void (*on_server)(void *context, const server_info *info, void *data);

typedef struct {
    pl_account account;
    void *stream;
    double frame_bytes, frame_ns;
    int64_t told_us;               /* time stamp of the newest information that was used */
    bool asked_server;
    const timing_info *(*timing)(void *stream);
    void *(*update)(void *stream, on_success callback, void *data);
    void (*unref)(void *operation);
    void *(*context)(void *stream);
    void *(*server)(void *context, on_server callback, void *data);
} pulse_account;

/* PipeWire's own PulseAudio server tells a delay that wanders by milliseconds (measured). */
static void note_server(void *context, const server_info *info, void *data) {
    (void)context;
    pulse_account *pulse = data;
    if (info) pl_store_relaxed(&pulse->account.timing, info->server_name && strstr(info->server_name, "PipeWire") ? PL_TIMING_UNKNOWN : PL_TIMING_EXACT);
}

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* miniaudio calls back on the main loop's thread, where the stream may be asked. What was told since the last time is used, and news asked
 * for. At the server's time stamp, the sink had taken `read_index` bytes, of which the last ones leave `sink_us` later. */
static bool ask_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    (void)frame;
    pulse_account *pulse = (pulse_account *)account;
    if (!pulse->asked_server) {
        void *operation = pulse->server(pulse->context(pulse->stream), note_server, pulse);
        if (operation) pulse->unref(operation);
        pulse->asked_server = true;
    }
    const timing_info *told = pulse->timing(pulse->stream);
    bool news = false;
    if (told && told->playing && !told->read_index_corrupt) {
        int64_t stamp_us = (int64_t)told->timestamp.tv_sec * 1000000LL + told->timestamp.tv_usec;
        int64_t age_ns = clock_ns(CLOCK_REALTIME) - stamp_us * 1000;
        news = stamp_us != pulse->told_us && age_ns >= 0 && age_ns < 1000000000LL;
        pulse->told_us = stamp_us;
        moment->frame = (double)told->read_index / pulse->frame_bytes - (double)told->sink_us * 1000 / pulse->frame_ns;
        moment->leaves_ns = now_ns - age_ns;
    }
    void *operation = pulse->update(pulse->stream, NULL, NULL);
    if (operation) pulse->unref(operation);
    return news;
}

pl_account *pl_account_pulse(void *stream) {
    static const char *const LIBRARIES[] = {"libpulse.so", "libpulse.so.0"};
    pulse_account *pulse = calloc(1, sizeof *pulse);
    if (!pulse) return NULL;
    pulse->account.ask_rt = ask_rt;
    pulse->account.noise = PL_NOISE_BOTH;
    pulse->account.timing = PL_TIMING_EXACT;
    pulse->stream = stream;
    const sample_spec *(*spec_of)(void *stream) = NULL;
    size_t (*frame_bytes)(const sample_spec *spec) = NULL;
    for (int i = 0; i < 2 && !pulse->server; i++) {
        pulse->timing = (const timing_info *(*)(void *))pl_account_function(LIBRARIES[i], "pa_stream_get_timing_info");
        pulse->update = (void *(*)(void *, on_success, void *))pl_account_function(LIBRARIES[i], "pa_stream_update_timing_info");
        pulse->unref = (void (*)(void *))pl_account_function(LIBRARIES[i], "pa_operation_unref");
        pulse->context = (void *(*)(void *))pl_account_function(LIBRARIES[i], "pa_stream_get_context");
        pulse->server = (void *(*)(void *, on_server, void *))pl_account_function(LIBRARIES[i], "pa_context_get_server_info");
        spec_of = (const sample_spec *(*)(void *))pl_account_function(LIBRARIES[i], "pa_stream_get_sample_spec");
        frame_bytes = (size_t (*)(const sample_spec *))pl_account_function(LIBRARIES[i], "pa_frame_size");
    }
    if (pulse->timing && pulse->update && pulse->unref && pulse->context && pulse->server && spec_of && frame_bytes && spec_of(stream)) {
        pulse->frame_bytes = (double)frame_bytes(spec_of(stream));
        pulse->frame_ns = 1e9 / spec_of(stream)->rate;
        return &pulse->account;
    }
    free(pulse);
    return NULL;
}

#else

pl_account *pl_account_pulse(void *stream) {
    (void)stream;
    return NULL;
}

#endif
