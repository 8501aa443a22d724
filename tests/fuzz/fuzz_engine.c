/* The audio callback after any sequence of commands, with all values that the protocol lets through, on a
 * clock map that jumps and a sound card that reports strange times.
 *
 * The input is a device, then a list of steps of controller, decoder, clock and card. */
#include <math.h>

#include "fuzz.h"
#include "pl_engine.h"

enum { RING_FRAMES = 4096, MAX_BLOCK_FRAMES = 2048, MAX_SERVED_FRAMES = 40000 };

/* Bounds of protocol/messages.py. */
static const int64_t MAX_TIME_NS = INT64_C(1) << 62, MAX_FRAME = INT64_C(1) << 40;
static const int64_t MAX_DURATION_NS = 60 * PL_NS_PER_S;
/* Samples are limited to 16 (pl_sample.h), and interpolation exceeds them by less than a factor of 4. */
static const float MAX_OUTPUT = 16 * 4 * PL_DECKS;

static const double DEVICE_RATES_HZ[] = {48000, 44100, 192000},
                    RATES_HZ[] = {8000, 22050, 44100, 48000, 192000};
enum {
    DEVICES = sizeof DEVICE_RATES_HZ / sizeof *DEVICE_RATES_HZ,
    RATES = sizeof RATES_HZ / sizeof *RATES_HZ
};

/* An account whose moments are near the present frame and time. */
typedef struct {
    pl_account account;
    bool gives;
    pl_moment moment; /* relative to the callback */
} moment_account;

static struct {
    fuzz_input input;
    pl_engine *engine; /* alone in its memory, so that a write behind it is found */
    pl_clock_map map;
    moment_account account;
    uint32_t generations[PL_DECKS];
    int64_t now_ns, offset_ns, served;
} w;

static bool query_rt(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) {
    const moment_account *a = (const moment_account *)account;
    *moment = a->moment;
    moment->frame += (double)frame;
    moment->leaves_ns += now_ns;
    moment->after_ns += now_ns;
    return a->gives;
}

/* The engine of a stream that has just begun. Its kernels take long to make, so they are kept. */
static void begin(int device) {
    static pl_engine *fresh[DEVICES];
    if (!fresh[device]) {
        CHECK((fresh[device] = calloc(1, sizeof *w.engine)) != NULL);
        CHECK(pl_engine_init(fresh[device], &w.map, RING_FRAMES));
        pl_engine_stream(fresh[device], DEVICE_RATES_HZ[device], NULL);
        for (int i = 0; i < RATES; i++)
            CHECK(pl_engine_arm(fresh[device], 0, RATES_HZ[i], 0, 0, PL_NO_END, false, 0));
        pl_engine_stream(fresh[device], DEVICE_RATES_HZ[device], NULL);
    }
    if (!w.engine) CHECK((w.engine = malloc(sizeof *w.engine)) != NULL);
    *w.engine = *fresh[device];
    for (int i = 0; i < PL_DECKS; i++) memset(w.engine->decks[i].ring.samples, 0, 8 * RING_FRAMES);
}

/* ---- values ---- */

static int64_t any_below(int64_t limit) {
    return (int64_t)(fuzz_number(&w.input, 8) % ((uint64_t)limit + 1));
}

static int64_t a_moment(void) {
    int64_t session_ns = w.now_ns + w.offset_ns;
    switch (fuzz_below(&w.input, 4)) {
        case 0:
            session_ns = any_below(MAX_TIME_NS);
            break;
        case 1:
            session_ns += ((int64_t)fuzz_number(&w.input, 4) - (INT64_C(1) << 31)) * 16;
            break;
        default:
            session_ns += ((int64_t)fuzz_number(&w.input, 2) - 4096) * 16384;
            break;
    }
    return session_ns < 0 ? 0 : session_ns > MAX_TIME_NS ? MAX_TIME_NS : session_ns;
}

static int64_t a_duration(void) {
    return 1 + (fuzz_below(&w.input, 2) ? any_below(MAX_DURATION_NS) : 500000000);
}

static int64_t a_frame(void) {
    return fuzz_below(&w.input, 2) ? any_below(MAX_FRAME) : (int64_t)fuzz_number(&w.input, 2);
}

/* ---- the steps ---- */

static void decode(int deck) {
    float *span;
    int64_t room = pl_ring_acquire(&w.engine->decks[deck].ring, w.generations[deck], &span);
    int64_t frames = (int64_t)fuzz_below(&w.input, RING_FRAMES + 1);
    if (room <= 0) return;
    if (frames > room) frames = room;
    float level = (float)((int)fuzz_below(&w.input, 33) - 16);
    for (int64_t i = 0; i < 2 * frames; i++) span[i] = i % 3 ? level : -level;
    CHECK(pl_ring_commit(&w.engine->decks[deck].ring, w.generations[deck], frames));
}

static void arm(void) {
    int deck = pl_engine_free_deck(w.engine);
    if (deck < 0) return;
    int64_t anchor_frame = a_frame(), first_frame = fuzz_below(&w.input, 4) ? anchor_frame : a_frame();
    w.generations[deck] = pl_ring_reset(&w.engine->decks[deck].ring, first_frame);
    decode(deck);
    double rate_hz = RATES_HZ[fuzz_below(&w.input, RATES)];
    int64_t start_ns = a_moment(), stop_ns = fuzz_below(&w.input, 2) ? a_moment() : PL_NO_END;
    int64_t crossfade_ns = fuzz_below(&w.input, 2) ? a_duration() : 0;
    bool seamless = fuzz_below(&w.input, 2);
    pl_engine_arm(w.engine, deck, rate_hz, anchor_frame, start_ns, stop_ns, seamless, crossfade_ns);
}

static void be_quiet(void) {
    pl_quiet quiet[PL_QUIETS];
    for (int i = 0; i < PL_QUIETS; i++) {
        quiet[i].begin_ns = a_moment();
        quiet[i].end_ns = quiet[i].begin_ns + a_duration();
    }
    pl_engine_set_quiet(w.engine, quiet);
}

static void move_clock(void) {
    switch (fuzz_below(&w.input, 4)) {
        case 0: /* session time is within the bounds of the protocol, see is_plausible in pl_udp.c */
            w.offset_ns = any_below(MAX_TIME_NS) - w.now_ns;
            break;
        case 1:
            w.offset_ns += (int64_t)fuzz_number(&w.input, 4) - (INT64_C(1) << 31);
            break;
        default:
            w.offset_ns += (int64_t)fuzz_number(&w.input, 2) - 32768;
            break;
    }
    pl_clock_map_value value = {
        .local_ns = w.now_ns - (int64_t)fuzz_number(&w.input, 4),
        .offset_ns = w.offset_ns,
        .drift = ((double)fuzz_number(&w.input, 2) - 32768) * 1e-7,
        .valid = fuzz_below(&w.input, 8) != 7,
    };
    pl_clock_map_write(&w.map, &value);
}

static void change_moments(void) {
    w.account.gives = fuzz_below(&w.input, 4) != 3;
    w.account.moment = (pl_moment){
        .frame = -(double)fuzz_number(&w.input, 2) / 8,
        .leaves_ns = ((int64_t)fuzz_number(&w.input, 2) - 4096) * 1024,
        .burst_ns = (double)fuzz_number(&w.input, 2) * 64,
        .restarted = fuzz_below(&w.input, 8) == 7,
    };
    w.account.moment.after_ns = w.account.moment.leaves_ns - (int64_t)fuzz_number(&w.input, 2) * 64;
}

static void serve(bool late) {
    int64_t frames = 1 + (int64_t)fuzz_below(&w.input, MAX_BLOCK_FRAMES);
    w.now_ns += (int64_t)((double)frames * 1e9 / w.engine->device_rate_hz);
    w.now_ns += (int64_t)fuzz_number(&w.input, 2) * (late ? PL_NS_PER_MS : 16);
    if ((w.served += frames) > MAX_SERVED_FRAMES) w.input.left = 0;
    float *out = malloc((size_t)frames * 2 * sizeof *out);
    pl_engine_serve_at_rt(w.engine, out, frames, w.now_ns);
    for (int64_t i = 0; i < 2 * frames; i++) CHECK(fabsf(out[i]) < MAX_OUTPUT);
    free(out);
    pl_engine_status status;
    CHECK(pl_engine_read_status(w.engine, &status));
    CHECK(isfinite(status.phase_error_ns) && isfinite(status.correction_ppm) && isfinite(status.card_ppm));
    CHECK(w.engine->cursor.fraction >= 0 && w.engine->cursor.fraction <= 1);
}

static void step(void) {
    int deck = (int)fuzz_below(&w.input, PL_DECKS);
    switch (fuzz_below(&w.input, 16)) {
        case 0:
        case 1:
            arm();
            break;
        case 2:
        case 3:
            decode(deck);
            break;
        case 4:
            pl_ring_finish(&w.engine->decks[deck].ring, w.generations[deck]);
            break;
        case 5:
            pl_engine_crossfade_out(w.engine, deck, fuzz_below(&w.input, 4) ? a_moment() : PL_NO_END,
                                    a_duration());
            break;
        case 6:
            pl_engine_stop_at(w.engine, a_moment());
            break;
        case 7:
            pl_engine_cancel(w.engine, deck);
            break;
        case 8:
            pl_engine_set_volume(w.engine, (double)fuzz_below(&w.input, 101) / 100);
            pl_engine_set_role(w.engine, (pl_role)fuzz_below(&w.input, PL_ROLES));
            break;
        case 9:
            be_quiet();
            break;
        case 10:
            move_clock();
            break;
        case 11:
            change_moments();
            break;
        case 12:
            pl_store_relaxed(&w.engine->output_latency_ns, (int64_t)fuzz_number(&w.input, 4) - PL_NS_PER_S);
            break;
        case 13:
            serve(true);
            break;
        default:
            serve(false);
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const pl_noise noises[] = {PL_NOISE_LATE, PL_NOISE_BURST, PL_NOISE_BOTH};
    memset(&w.account, 0, sizeof w.account);
    memset(w.generations, 0, sizeof w.generations);
    w.input = (fuzz_input){data, size};
    w.now_ns = 1000 * PL_NS_PER_S;
    w.offset_ns = w.served = 0;
    pl_clock_map_init(&w.map, true);
    int device = (int)fuzz_below(&w.input, DEVICES), noise = (int)fuzz_below(&w.input, 4);
    begin(device);
    if (noise < 3) {
        w.account.account.query_rt = query_rt;
        w.account.account.noise = noises[noise];
        pl_engine_stream(w.engine, DEVICE_RATES_HZ[device], &w.account.account);
    }
    while (w.input.left) step();
    return 0;
}
