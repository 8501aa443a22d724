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

/* Several callbacks at once fill what the server asks for. One of them requests new information. */
static const int64_t MIN_ASKED_NS = 5 * PL_NS_PER_MS;

/* The server asks for a block whenever this much of the buffer is free. After no deck has been in use for
 * REST_AFTER_NS, both are long, so that the processor wakes less often: it does three times for a block.
 * The longer lead is told TOLD_BEFORE_NS sooner, because what starts meanwhile is planned by the lead that
 * the host knows. */
static const int64_t REST_AFTER_NS = 30 * PL_NS_PER_S, TOLD_BEFORE_NS = 3 * PL_NS_PER_S;
static const int64_t RESTING_BUFFER_NS = 320 * PL_NS_PER_MS, RESTING_BLOCK_NS = 130 * PL_NS_PER_MS;
static const uint32_t SERVER_DECIDES = UINT32_MAX;

/* libpulse's types, as far as they are used here: pa_timing_info, pa_server_info, pa_sample_spec and
 * pa_buffer_attr. */
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

typedef struct {
    uint32_t max_bytes, target_bytes, prebuffer_bytes, request_bytes, fragment_bytes;
} buffer_attr;

typedef void (*on_success)(void *stream, int success, void *data);
typedef void (*on_server)(void *context, const server_info *info, void *data);

typedef const timing_info *(*timing_fn)(void *stream);
typedef void *(*update_fn)(void *stream, on_success callback, void *data);
typedef void (*unref_fn)(void *operation);
typedef void *(*context_fn)(void *stream);
typedef void *(*server_fn)(void *context, on_server callback, void *data);
typedef const sample_spec *(*spec_fn)(void *stream);
typedef void *(*buffer_fn)(void *stream, const buffer_attr *wanted, on_success callback, void *data);
typedef size_t (*frame_size_fn)(const sample_spec *spec);

typedef struct {
    pl_account account;
    void *stream;
    double frame_bytes, frame_ns;
    int64_t asked_ns;      /* local time at which new information was requested */
    int64_t used_us;       /* time stamp of the newest information that was used */
    bool server_requested; /* note_server has been called or will be */
    bool rests;            /* the buffer is long */
    timing_fn timing;
    update_fn update;
    unref_fn unref;
    context_fn context;
    server_fn server;
    buffer_fn set_buffer;
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

static uint32_t bytes_of(const pulse_account *pulse, int64_t ns) {
    return (uint32_t)((double)ns / pulse->frame_ns) * (uint32_t)pulse->frame_bytes;
}

/* Change the length of the buffer when a rest begins or ends. There is none where the account is of no use:
 * what starts after it would be late. */
static void rest_rt(pulse_account *pulse) {
    bool may_rest = pl_load_relaxed(&pulse->account.timing) == PL_TIMING_EXACT;
    int64_t idle_ns = may_rest ? pulse->account.idle_ns : 0;
    pulse->account.coming_lead_ns = idle_ns > REST_AFTER_NS - TOLD_BEFORE_NS ? RESTING_BUFFER_NS : 0;
    bool rests = idle_ns > REST_AFTER_NS;
    if (rests == pulse->rests) return;
    pulse->rests = rests;
    buffer_attr wanted = {
        .max_bytes = SERVER_DECIDES,
        .target_bytes = bytes_of(pulse, rests ? RESTING_BUFFER_NS : PL_PULSE_BUFFER_NS),
        .prebuffer_bytes = SERVER_DECIDES,
        .request_bytes = rests ? bytes_of(pulse, RESTING_BLOCK_NS) : SERVER_DECIDES,
        .fragment_bytes = SERVER_DECIDES,
    };
    void *operation = pulse->set_buffer(pulse->stream, &wanted, NULL, NULL);
    if (operation) pulse->unref(operation);
}

/* miniaudio calls back on the main loop's thread, where the stream may be queried. Use the information that
 * came since the last callback, and request new one at times. At the server's time stamp, the sink had read
 * `read_index` bytes, of which the last ones leave `sink_us` later. */
static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    (void)frame;
    pulse_account *pulse = (pulse_account *)account;
    if (!pulse->server_requested) {
        void *operation = pulse->server(pulse->context(pulse->stream), note_server, pulse);
        if (operation) pulse->unref(operation);
        pulse->server_requested = true;
    }
    rest_rt(pulse);
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
    if (now_ns - pulse->asked_ns > MIN_ASKED_NS) {
        void *operation = pulse->update(pulse->stream, NULL, NULL);
        if (operation) pulse->unref(operation);
        pulse->asked_ns = now_ns;
    }
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
        pulse->set_buffer = (buffer_fn)pl_account_function(LIBRARIES[i], "pa_stream_set_buffer_attr");
        spec_of = (spec_fn)pl_account_function(LIBRARIES[i], "pa_stream_get_sample_spec");
        frame_bytes = (frame_size_fn)pl_account_function(LIBRARIES[i], "pa_frame_size");
    }
    bool found = pulse->timing && pulse->update && pulse->unref && pulse->context && pulse->server;
    if (found && pulse->set_buffer && spec_of && frame_bytes && spec_of(stream)) {
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
