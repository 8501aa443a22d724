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

/* News that took longer to arrive is not used. */
static const int64_t MAX_NEWS_AGE_NS = PL_NS_PER_S;

/* libpulse's types, as far as they are read here: pa_timing_info, pa_server_info and pa_sample_spec. */
typedef struct {
    struct timeval timestamp; /* wall clock at which the server answered, or an estimate of it */
    int synchronized_clocks;
    uint64_t sink_us, source_us, transport_us;
    int playing;
    int write_index_corrupt;
    int64_t write_index;
    int read_index_corrupt;
    int64_t read_index; /* bytes of the stream that its sink had taken */
} timing_info;

typedef struct {
    const char *user_name, *host_name, *server_version, *server_name;
} server_info;

typedef struct {
    int format;
    uint32_t rate;
    uint8_t channels;
} sample_spec;

typedef void (*on_success)(void *stream, int success, void *data);
typedef void (*on_server)(void *context, const server_info *info, void *data);

typedef const timing_info *(*timing_fn)(void *stream);
typedef void *(*update_fn)(void *stream, on_success callback, void *data);
typedef void (*unref_fn)(void *operation);
typedef void *(*context_fn)(void *stream);
typedef void *(*server_fn)(void *context, on_server callback, void *data);
typedef const sample_spec *(*spec_fn)(void *stream);
typedef size_t (*frame_size_fn)(const sample_spec *spec);

typedef struct {
    pl_account account;
    void *stream;
    double frame_bytes, frame_ns;
    int64_t used_us;       /* time stamp of the newest information that was used */
    bool server_requested; /* note_server has been called or will be */
    timing_fn timing;
    update_fn update;
    unref_fn unref;
    context_fn context;
    server_fn server;
} pulse_account;

/* The delay that PipeWire's PulseAudio server reports wanders by milliseconds (measured). */
static void note_server(void *context, const server_info *info, void *data) {
    (void)context;
    pulse_account *pulse = data;
    if (!info) return;
    bool is_pipewire = info->server_name && strstr(info->server_name, "PipeWire");
    pl_store_relaxed(&pulse->account.timing, is_pipewire ? PL_TIMING_UNKNOWN : PL_TIMING_EXACT);
}

static int64_t clock_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * PL_NS_PER_S + now.tv_nsec;
}

/* miniaudio calls back on the main loop's thread, where the stream may be queried. Use the information that
 * came since the last callback, and request new one. At the server's time stamp, the sink had read
 * `read_index` bytes, of which the last ones leave `sink_us` later. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    (void)frame;
    pulse_account *pulse = (pulse_account *)account;
    if (!pulse->server_requested) {
        void *operation = pulse->server(pulse->context(pulse->stream), note_server, pulse);
        if (operation) pulse->unref(operation);
        pulse->server_requested = true;
    }
    const timing_info *info = pulse->timing(pulse->stream);
    bool news = false;
    if (info && info->playing && !info->read_index_corrupt) {
        int64_t stamp_us = (int64_t)info->timestamp.tv_sec * 1000000LL + info->timestamp.tv_usec;
        int64_t age_ns = clock_ns(CLOCK_REALTIME) - stamp_us * 1000;
        news = stamp_us != pulse->used_us && age_ns >= 0 && age_ns < MAX_NEWS_AGE_NS;
        pulse->used_us = stamp_us;
        double read_frames = (double)info->read_index / pulse->frame_bytes;
        moment->frame = read_frames - (double)info->sink_us * 1000 / pulse->frame_ns;
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
    pulse->account.query_rt = query_rt;
    pulse->account.noise = PL_NOISE_BOTH;
    pulse->account.timing = PL_TIMING_EXACT;
    pulse->stream = stream;
    spec_fn spec_of = NULL;
    frame_size_fn frame_bytes = NULL;
    for (int i = 0; i < 2 && !pulse->server; i++) {
        pulse->timing = (timing_fn)pl_account_function(LIBRARIES[i], "pa_stream_get_timing_info");
        pulse->update = (update_fn)pl_account_function(LIBRARIES[i], "pa_stream_update_timing_info");
        pulse->unref = (unref_fn)pl_account_function(LIBRARIES[i], "pa_operation_unref");
        pulse->context = (context_fn)pl_account_function(LIBRARIES[i], "pa_stream_get_context");
        pulse->server = (server_fn)pl_account_function(LIBRARIES[i], "pa_context_get_server_info");
        spec_of = (spec_fn)pl_account_function(LIBRARIES[i], "pa_stream_get_sample_spec");
        frame_bytes = (frame_size_fn)pl_account_function(LIBRARIES[i], "pa_frame_size");
    }
    bool found = pulse->timing && pulse->update && pulse->unref && pulse->context && pulse->server;
    if (found && spec_of && frame_bytes && spec_of(stream)) {
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
