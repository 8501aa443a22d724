/* A Mac's output unit, as far as the account of pl_account_coreaudio.c uses one: its host clock ticks 24
 * times a microsecond, and its device has two streams. The test sets the values of the properties. */
#include <string.h>

#include "pl_account.h"
#include <mach/mach_time.h>

int64_t pl_local_ns_rt(int64_t raw_ns) { return raw_ns + 7; }

double device_rate = 48000, unit_latency_s = 0.001;
uint32_t device_latency = 48, stream_latency = 24;
int32_t missing; /* the libraries have none of the functions */

static int32_t (*notify)(void *, uint32_t *, const void *, uint32_t, uint32_t, void *);
static void *notify_data;
static int unit;

int mach_timebase_info(mach_timebase_info_data_t *base) {
    base->numer = 125;
    base->denom = 3;
    return 0;
}

static int32_t add_notify(void *of, void *proc, void *data) {
    memcpy(&notify, &proc, sizeof notify);
    notify_data = data;
    return of == &unit ? 0 : -1;
}

static int32_t fill(void *data, uint32_t *size, const void *value, uint32_t needed) {
    if (*size < needed) return -2;
    memcpy(data, value, needed);
    *size = needed;
    return 0;
}

static int32_t unit_property(void *of, uint32_t id, uint32_t scope, uint32_t element, void *data,
                             uint32_t *size) {
    static const uint32_t DEVICE = 55;
    if (of != &unit || scope || element) return -1;
    if (id == 2000) return fill(data, size, &DEVICE, sizeof DEVICE);
    return id == 12 ? fill(data, size, &unit_latency_s, sizeof unit_latency_s) : -1;
}

static int32_t object_property(uint32_t object, const uint32_t *address, uint32_t none, const void *nothing,
                               uint32_t *size, void *data) {
    static const uint32_t STREAMS[] = {70, 71};
    if (none || nothing || address[2]) return -1;
    uint32_t selector = address[0], scope = address[1];
    if (object == 55 && selector == 'nsrt' && scope == 'glob')
        return fill(data, size, &device_rate, sizeof device_rate);
    if (object == 55 && selector == 'ltnc' && scope == 'outp')
        return fill(data, size, &device_latency, sizeof device_latency);
    if (object == 55 && selector == 'stm#' && scope == 'outp')
        return fill(data, size, STREAMS, sizeof STREAMS);
    if (object == 70 && selector == 'ltnc' && scope == 'glob')
        return fill(data, size, &stream_latency, sizeof stream_latency);
    return -1;
}

void *pl_account_function(const char *library, const char *name) {
    if (missing) return NULL;
    if (strstr(library, "AudioToolbox")) {
        if (!strcmp(name, "AudioUnitAddRenderNotify")) return (void *)(intptr_t)add_notify;
        if (!strcmp(name, "AudioUnitGetProperty")) return (void *)(intptr_t)unit_property;
    }
    if (!strstr(library, "CoreAudio.fr") || strcmp(name, "AudioObjectGetPropertyData")) return NULL;
    return (void *)(intptr_t)object_property;
}

pl_account *open_account(void) { return pl_account_coreaudio(&unit); }

/* The unit is about to render, or has rendered. */
void render(uint32_t action, uint32_t bus, uint64_t host_time, uint32_t time_flags) {
    struct {
        double sample_time;
        uint64_t host_time;
        char others[40];
        uint32_t flags, reserved;
    } time = {.sample_time = 1e6, .host_time = host_time, .flags = time_flags};
    notify(notify_data, &action, &time, bus, 480, NULL);
}

bool query(pl_account *account, int64_t frame, int64_t now_ns, double *moment_frame, int64_t *leaves_ns) {
    pl_moment moment = {0};
    bool given = account->query_rt(account, frame, now_ns, &moment);
    *moment_frame = moment.frame;
    *leaves_ns = moment.leaves_ns;
    return given;
}

int64_t latency(pl_account *account) { return account->latency_ns(account); }
