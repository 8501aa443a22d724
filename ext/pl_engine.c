#include "pl_engine.h"

#include <assert.h>
#include <math.h>

PL_ASSERT_FITS_SEQLOCK(pl_engine_status);
_Static_assert(PL_KERNELS > PL_DECKS, "one kernel must be free for the next deck");

/* Time constant T of the servo: an error falls to 37 % in a second. servo_rt has the theory. A compromise:
 *   - A shorter T plays more of the noise of the target, which moves with each new clock map, five times a
 *     second. With T = 0.25, 1 and 4 s the largest bend is 297, 72 and 18 ppm. It must stay below
 *     MAX_SERVO_BEND.
 *   - A longer T lets the cursor lag behind a target whose rate is not known yet: by 1 us per ppm with 1 s.
 *     With T = 0.25, 1 and 4 s, 95 % of the servo's errors are below 7, 20 and 43 us.
 * The distance between loudspeakers depends little on T: 95 % of the time it is below 57, 60 and 64 us with
 * these T. The figures are of the Wi-Fi scenario of tests/sim/test_links.py, seeds 1 to 4. Noise that is
 * independent from callback to callback is reduced to sqrt(a / (2 - a)) of its standard deviation, with
 * a = h / T: to 7 % for callbacks of h = 10 ms. */
static const double SERVO_NS = 1e9;
/* Largest change of speed by the servo, a ratio. 500 ppm is a pitch change of 0.9 cent (1200 * log2(1.0005)),
 * far below what is heard. */
static const double MAX_SERVO_BEND = 500e-6;
/* A larger error is crossed by a jump with a cross-fade: the servo would need more than 40 s for it (20 ms /
 * 500 ppm). */
static const double MAX_SERVO_ERROR_NS = 20e6;
/* The same directly after a slip: the sound card itself has just lost or repeated frames, so a jump is no
 * worse. */
static const double MAX_SERVO_ERROR_AFTER_SLIP_NS = 0.3e6;
/* `lead_ns` rises at once and falls by 1/64 of the difference per callback: it forgets late callbacks. 64
 * callbacks of 512 frames at 48 kHz last 0.7 s. */
enum { LEAD_DECAY_CALLBACKS = 64 };
/* A clock map with more drift (a ratio) is broken and ignored. It is ten times what a clock filter can give
 * (PL_MAX_SLOPE), and small enough that the steps below stay positive. */
static const double MAX_MAP_DRIFT = 10 * PL_MAX_SLOPE;
/* An account that has given no moment for this time is marked silent. */
static const double ACCOUNT_TIMEOUT_S = 3;
/* Each role as a matrix: the shares of the left and the right channel in the left output, then in the right
 * output. No row adds up to more than 1, so a role does not clip. */
static const float ROLE_SHARES[PL_ROLES][4] = {
    [PL_STEREO] = {1, 0, 0, 1},
    [PL_LEFT] = {1, 0, 1, 0},
    [PL_RIGHT] = {0, 1, 0, 1},
    [PL_MONO] = {0.5F, 0.5F, 0.5F, 0.5F},
};
static const double PI = 3.14159265358979323846;
static const double MIN_QUIET_FADE_S = 0.05;
size_t pl_engine_user_offset;

/* Publish the state after a callback. `next_x_ns`: nominal time of the next frame, since the stream began.
 * `step_ns` and `nominal_ns`: session time and nominal time of one frame. `dac_ns`: local time at which the
 * next frame leaves. */
static void publish_rt(pl_engine *e, double next_x_ns, double step_ns, double nominal_ns, int64_t dac_ns) {
    pl_engine_status status = {
        .device_frames = e->device_frames,
        .lead_ns = e->lead_ns,
        .dac_uncertainty_ns = pl_output_clock_deviation_rt(&e->output, next_x_ns),
        .card_ppm = pl_output_clock_slope_rt(&e->output) * 1e6,
        .phase_error_ns = e->phase_error_ns,
        .correction_ppm = (step_ns / nominal_ns - 1) * 1e6,
        .underruns = e->underruns,
        .jumps = e->jumps,
        .slips = e->output.slips,
        .cursor_ns = e->cursor.ns,
        .volume = e->volume,
        .dac_ns = dac_ns,
        .audible = e->audible,
        .following = e->cursor_valid,
    };
    pl_seqlock_write(&e->status, &status, sizeof status);
}

bool pl_engine_read_status(pl_engine *e, pl_engine_status *status) {
    return pl_seqlock_read(&e->status, status, sizeof *status);
}

bool pl_engine_init(pl_engine *e, pl_clock_map *clock, int64_t ring_frames) {
    memset(e, 0, sizeof *e);
    e->clock = clock;
    for (int i = 0; i < PL_DECKS; i++) {
        if (!pl_ring_init(&e->decks[i].ring, ring_frames)) {
            pl_engine_free(e);
            return false;
        }
    }
    e->volume = e->quiet_gain = 1.0;
    pl_store_relaxed(&e->volume_target, pl_bits_of_double(1.0));
    pl_engine_stream(e, 48000, NULL);
    return true;
}

static void free_kernels(pl_engine *e) {
    for (int i = 0; i < e->kernel_count; i++) pl_kernel_free(&e->kernels[i]);
    e->kernel_count = 0;
}

void pl_engine_free(pl_engine *e) {
    for (int i = 0; i < PL_DECKS; i++) pl_ring_free(&e->decks[i].ring);
    free_kernels(e);
}

void pl_engine_stream(pl_engine *e, double device_rate_hz, pl_account *account) {
    if (device_rate_hz != e->device_rate_hz) free_kernels(e);
    e->device_rate_hz = device_rate_hz;
    pl_store_relaxed(&e->command_tail, pl_load_relaxed(&e->command_head));
    for (int i = 0; i < PL_DECKS; i++) {
        e->decks[i].active = false;
        pl_store_release(&e->decks[i].state, PL_DECK_FREE);
    }
    e->account = account;
    e->silent_frames = 0;
    pl_store_relaxed(&e->thread, 0);
    pl_output_clock_init(&e->output, account ? account->noise : PL_NOISE_LATE, device_rate_hz);
    e->cursor_valid = e->audible = e->slipped = false;
    e->device_frames = e->lead_ns = 0;
    e->phase_error_ns = 0;
    publish_rt(e, 0, 1, 1, 0); /* the status of the old stream must not be read any more */
}

/* ---- the controller's side ---- */

/* The place of a kernel with which no deck plays: there are more kernels than decks. The callback does not
 * touch the kernel of a free deck. */
static int evict_kernel(pl_engine *e) {
    bool used[PL_KERNELS] = {false};
    for (int i = 0; i < PL_DECKS; i++)
        if (pl_load_acquire(&e->decks[i].state) != PL_DECK_FREE) used[e->deck_kernels[i]] = true;
    while (used[e->next_evicted]) e->next_evicted = (e->next_evicted + 1) % PL_KERNELS;
    int place = e->next_evicted;
    e->next_evicted = (place + 1) % PL_KERNELS;
    return place;
}

/* The place of the kernel for a track rate, kept while the device's rate stays and there is room. -1 when
 * memory is short. */
static int kernel_for(pl_engine *e, double track_rate_hz) {
    for (int i = 0; i < e->kernel_count; i++)
        if (e->kernel_rates_hz[i] == track_rate_hz) return i;
    pl_kernel kernel;
    if (!pl_kernel_init(&kernel, track_rate_hz, e->device_rate_hz)) return -1;
    int place = e->kernel_count;
    if (place < PL_KERNELS) {
        e->kernel_count++;
    } else {
        place = evict_kernel(e);
        pl_kernel_free(&e->kernels[place]);
    }
    e->kernels[place] = kernel;
    e->kernel_rates_hz[place] = track_rate_hz;
    return place;
}

int pl_engine_free_deck(pl_engine *e) {
    for (int i = 0; i < PL_DECKS; i++)
        if (pl_load_acquire(&e->decks[i].state) == PL_DECK_FREE) return i;
    return -1;
}

static bool post(pl_engine *e, const pl_command *command) {
    uint32_t head = pl_load_relaxed(&e->command_head);
    uint32_t used = head - pl_load_acquire(&e->command_tail);
    assert(used <= PL_COMMANDS);
    if (used == PL_COMMANDS) return false;
    e->commands[head % PL_COMMANDS] = *command;
    pl_store_release(&e->command_head, head + 1);
    return true;
}

bool pl_engine_arm(pl_engine *e, int deck, double track_rate_hz, int64_t anchor_frame, int64_t start_ns,
                   int64_t stop_ns, bool seamless, int64_t crossfade_ns) {
    assert(deck >= 0 && deck < PL_DECKS);
    int kernel = kernel_for(e, track_rate_hz);
    if (kernel < 0) return false;
    e->deck_kernels[deck] = kernel;
    pl_command command = {
        .kind = PL_ARM,
        .deck = deck,
        .seamless = seamless,
        .kernel = &e->kernels[kernel],
        .rate_hz = track_rate_hz,
        .anchor_frame = anchor_frame,
        .start_ns = start_ns,
        .stop_ns = stop_ns,
        .crossfade_ns = crossfade_ns,
    };
    pl_deck *d = &e->decks[deck];
    /* Until the callback has read the command, the oldest frame in the ring is the one wanted. */
    pl_store_relaxed(&d->want_frame, pl_load_relaxed(&d->ring.read_frame));
    pl_store_release(&d->state, PL_DECK_ARMED);
    if (post(e, &command)) return true;
    pl_store_release(&d->state, PL_DECK_FREE);
    return false;
}

bool pl_engine_crossfade_out(pl_engine *e, int deck, int64_t begin_ns, int64_t crossfade_ns) {
    assert(deck >= 0 && deck < PL_DECKS && crossfade_ns > 0);
    pl_command command = {
        .kind = PL_CROSSFADE_OUT,
        .deck = deck,
        .start_ns = begin_ns,
        .crossfade_ns = crossfade_ns,
    };
    return post(e, &command);
}

bool pl_engine_stop_at(pl_engine *e, int64_t stop_ns) {
    pl_command command = {.kind = PL_STOP_AT, .stop_ns = stop_ns};
    return post(e, &command);
}

bool pl_engine_cancel(pl_engine *e, int deck) {
    assert(deck >= 0 && deck < PL_DECKS);
    pl_command command = {.kind = PL_CANCEL, .deck = deck};
    return post(e, &command);
}

void pl_engine_set_volume(pl_engine *e, double volume) {
    pl_store_relaxed(&e->volume_target, pl_bits_of_double(volume));
}

void pl_engine_set_role(pl_engine *e, pl_role role) {
    assert(role < PL_ROLES);
    pl_store_relaxed(&e->role_target, (uint32_t)role);
}

bool pl_engine_set_quiet(pl_engine *e, const pl_quiet quiet[PL_QUIETS]) {
    pl_command command = {.kind = PL_QUIET};
    memcpy(command.quiet, quiet, sizeof command.quiet);
    return post(e, &command);
}

/* ---- the callback: commands ---- */

/* Let a deck stop at this session time. A deck that sounds is never cut: there is always time for the
 * fade. */
static void stop_at_rt(const pl_engine *e, pl_deck *d, int64_t stop_ns) {
    int64_t soonest_ns = e->cursor_valid && d->has_sounded ? e->cursor.ns + (int64_t)PL_FADE_NS : stop_ns;
    if (stop_ns < soonest_ns) stop_ns = soonest_ns;
    if (stop_ns < d->stop_ns) d->stop_ns = stop_ns;
}

static void stop_all_at_rt(pl_engine *e, int64_t stop_ns) {
    for (int i = 0; i < PL_DECKS; i++)
        if (e->decks[i].active) stop_at_rt(e, &e->decks[i], stop_ns);
}

static void arm_rt(pl_engine *e, const pl_command *command) {
    pl_deck *d = &e->decks[command->deck];
    if (!command->seamless) stop_all_at_rt(e, command->start_ns);
    d->active = d->starved = true;
    d->has_sounded = false;
    d->seamless = command->seamless;
    d->kernel = command->kernel;
    d->rate_hz = command->rate_hz;
    d->anchor_frame = command->anchor_frame;
    d->start_ns = command->start_ns;
    d->stop_ns = command->stop_ns;
    d->crossfade_in_ns = (double)command->crossfade_ns;
    d->crossfade_out_begin_ns = PL_NO_END;
}

static void crossfade_out_rt(const pl_engine *e, pl_deck *d, int64_t begin_ns, int64_t crossfade_ns) {
    bool sounds = d->active && d->has_sounded && e->cursor_valid;
    if (sounds && d->crossfade_out_begin_ns <= e->cursor.ns) return;
    int64_t end_ns = begin_ns == PL_NO_END ? PL_NO_END : begin_ns + crossfade_ns;
    if (sounds && begin_ns < e->cursor.ns) {
        begin_ns = e->cursor.ns;
        crossfade_ns = end_ns - begin_ns > (int64_t)PL_FADE_NS ? end_ns - begin_ns : (int64_t)PL_FADE_NS;
    }
    d->crossfade_out_begin_ns = begin_ns;
    d->crossfade_out_ns = (double)crossfade_ns;
}

static void cancel_rt(pl_engine *e, pl_deck *d) {
    if (!d->active) return;
    if (d->has_sounded && e->cursor_valid) {
        stop_at_rt(e, d, e->cursor.ns);
    } else {
        pl_deck_end_rt(d);
    }
}

static void commands_rt(pl_engine *e) {
    uint32_t tail = pl_load_relaxed(&e->command_tail);
    uint32_t head = pl_load_acquire(&e->command_head);
    for (; tail != head; tail++) {
        const pl_command *command = &e->commands[tail % PL_COMMANDS];
        switch (command->kind) {
            case PL_ARM:
                arm_rt(e, command);
                break;
            case PL_STOP_AT:
                stop_all_at_rt(e, command->stop_ns);
                break;
            case PL_CANCEL:
                cancel_rt(e, &e->decks[command->deck]);
                break;
            case PL_CROSSFADE_OUT:
                crossfade_out_rt(e, &e->decks[command->deck], command->start_ns, command->crossfade_ns);
                break;
            case PL_QUIET:
                memcpy(e->quiet, command->quiet, sizeof e->quiet);
                break;
        }
    }
    pl_store_release(&e->command_tail, tail);
}

/* ---- the callback: the cursor ---- */

/* Feed the output clock with the moment of this callback: the account's, or the callback itself where there
 * is no account or it is silent. A silent account that gives a moment again is used again. */
static void update_output_clock_rt(pl_engine *e, int64_t frames, int64_t now_ns) {
    pl_moment callback = {.frame = (double)e->device_frames, .leaves_ns = now_ns};
    pl_moment moment = callback;
    pl_account *account = e->account;
    if (account) {
        bool idle = pl_load_relaxed(&e->clock->silent);
        account->idle_ns = idle ? account->idle_ns + (int64_t)((double)frames * e->output.frame_ns) : 0;
        bool given = account->query_rt(account, e->device_frames, now_ns, &moment);
        bool silent = pl_load_relaxed(&account->silent);
        e->silent_frames = given ? 0 : e->silent_frames + frames;
        bool timeout = (double)e->silent_frames > ACCOUNT_TIMEOUT_S * e->device_rate_hz;
        if (silent ? given : timeout) {
            silent = !silent;
            pl_store_relaxed(&account->silent, silent);
            pl_output_clock_init(&e->output, silent ? PL_NOISE_LATE : account->noise, e->device_rate_hz);
            e->slipped = true;
        }
        if (!given && !silent) return;
        if (!given) moment = callback;
    } else if (e->device_frames <= frames) {
        /* The first callback may only fill the buffer that the device wants before it begins to play. */
        pl_output_clock_clear_rt(&e->output);
    }
    if (pl_output_clock_add_rt(&e->output, &moment, now_ns, frames)) e->slipped = true;
}

/* The local time at which the frame of nominal time `x_ns` leaves, by the output clock. */
static pl_instant leaves_rt(const pl_engine *e, double x_ns) {
    double since_ns = pl_output_clock_at_rt(&e->output, x_ns), whole_ns = floor(since_ns);
    return (pl_instant){.ns = e->output.base_ns + (int64_t)whole_ns, .fraction = since_ns - whole_ns};
}

/* Late callbacks make the lead shorter than it is, so the published lead falls slowly. A lead that is about
 * to grow is published before it has grown: a start may be planned by it meanwhile. */
static void update_lead_rt(pl_engine *e, int64_t stream_ns, int64_t latency_ns) {
    if (e->account && stream_ns < e->account->coming_lead_ns) stream_ns = e->account->coming_lead_ns;
    int64_t lead_ns = stream_ns + latency_ns;
    if (lead_ns > e->lead_ns || e->slipped) {
        e->lead_ns = lead_ns;
    } else {
        e->lead_ns += (lead_ns - e->lead_ns) / LEAD_DECAY_CALLBACKS;
    }
}

/* The session time at which a frame is heard that leaves at local time `leaves` by the output clock. The
 * output clock does not know the latency `latency_ns` that follows. It is added in session time, so that it
 * is equally long on all machines. */
static pl_instant target_rt(const pl_engine *e, pl_instant leaves, int64_t latency_ns) {
    int64_t session_ns = leaves.ns + pl_clock_map_offset_at(&e->map, leaves.ns);
    return (pl_instant){.ns = session_ns + latency_ns, .fraction = leaves.fraction};
}

/* What the servo decides at one callback. */
typedef struct {
    double error_ns; /* cursor minus target */
    double bend;     /* change of the cursor's speed, a ratio */
    bool jump;       /* the cursor has to jump to the target */
} servo_step;

/* The servo: how the cursor follows its target.
 *
 * The step of a frame has the rate of the card (the slope of the output clock) and the drift of the session
 * clock before the servo acts. So the cursor already runs at the speed of the target, and only the error
 *     e = cursor - target
 * is left. A proportional controller removes it. With T = SERVO_NS,
 *     bend = -e / T,    so    de/dt = -e / T    and    e(t) = e(0) * exp(-t / T).
 * There is no integral term. It would remove the constant error r * T that a constant rate error r leaves.
 * But the two fits measure the rates, so r is only what they do not know yet.
 *
 * For the noise of the target the servo is a low-pass filter of first order. Its bandwidth is
 * 1 / (2 pi T) = 0.16 Hz.
 *
 * Stability. The loop has no delay: the servo reads the cursor, not the loudspeaker, and the target belongs
 * to the same frame as the cursor. So the latency of the output and the age of the clock map are not in the
 * loop. A loop of first order without delay cannot oscillate (Gardner, "Phaselock techniques", 3rd edition,
 * 2005). In discrete time, each callback of duration h multiplies the error by 1 - h / T. The error falls for
 * h < 2 T, and does not change its sign for h <= T. A callback of 16384 frames at 44.1 kHz has h = 0.37 s.
 *
 * Limits. The servo is linear up to an error of MAX_SERVO_BEND * T = 0.5 ms. It removes a larger error at a
 * constant 0.5 ms a second. The sign of the correction stays right, so the limit does not change the
 * stability. An error above MAX_SERVO_ERROR_NS would take longer than 40 s, so the cursor jumps.
 *
 * While no deck sounds, the cursor is set to the target at each callback, without a cross-fade. */
static servo_step servo_rt(const pl_engine *e, pl_instant target) {
    if (!e->cursor_valid || !e->audible) return (servo_step){0};
    servo_step step = {
        .error_ns = (double)(e->cursor.ns - target.ns) + (e->cursor.fraction - target.fraction),
    };
    double max_error_ns = e->slipped ? MAX_SERVO_ERROR_AFTER_SLIP_NS : MAX_SERVO_ERROR_NS;
    step.jump = fabs(step.error_ns) > max_error_ns;
    if (!step.jump) step.bend = fmax(-MAX_SERVO_BEND, fmin(MAX_SERVO_BEND, -step.error_ns / SERVO_NS));
    return step;
}

/* Session time of a cursor since the deck's start, in ns. */
static double since_start_ns_rt(const pl_deck *d, pl_instant cursor) {
    return (double)(cursor.ns - d->start_ns) + cursor.fraction;
}

/* Add all decks to `out`. `left`: the cursor before a jump, whose sound fades out; NULL where there was no
 * jump. `left_step_ns` and `step_ns`: session time from one output frame to the next, before the jump and
 * now. */
static void mix_decks_rt(pl_engine *e, const pl_instant *left, double left_step_ns, double step_ns,
                         int64_t frames, float *out) {
    bool audible = false;
    for (int i = 0; i < PL_DECKS; i++) {
        pl_deck *d = &e->decks[i];
        if (!d->active) continue;
        if (left) {
            pl_deck_pass old = {
                .block_ns = since_start_ns_rt(d, *left),
                .step_ns = left_step_ns,
                .gain_begin = 1,
                .gain_end = 0,
                .run_out_ns = INFINITY,
                .run_out_fade_ns = 1,
            };
            pl_deck_leave_rt(d, &old, &e->scratch, frames, out);
        }
        pl_deck_pass pass = {
            .block_ns = since_start_ns_rt(d, e->cursor),
            .step_ns = step_ns,
            .gain_begin = left ? 0 : 1,
            .gain_end = 1,
            .run_out_ns = INFINITY,
            .run_out_fade_ns = 1,
        };
        audible |= pl_deck_play_rt(d, &pass, &e->scratch, frames, out, &e->underruns);
    }
    e->audible = audible;
}

/* No deck is in use, and none will be before the next command. */
static bool is_silent_rt(const pl_engine *e) {
    for (int i = 0; i < PL_DECKS; i++)
        if (e->decks[i].active) return false;
    return true;
}

/* Play one block towards `target`. `step_ns`: session time of one frame before the servo. Returns it with the
 * bend. */
static double follow_rt(pl_engine *e, pl_instant target, double step_ns, int64_t frames, float *out) {
    servo_step servo = servo_rt(e, target);
    pl_instant left = e->cursor;
    if (servo.jump || !e->cursor_valid || !e->audible) e->cursor = target;
    e->cursor_valid = true;
    e->slipped = false;
    e->phase_error_ns = servo.error_ns;
    e->jumps += servo.jump;
    double bent_ns = step_ns * (1 + servo.bend);
    mix_decks_rt(e, servo.jump ? &left : NULL, step_ns, bent_ns, frames, out);
    double ahead_ns = e->cursor.fraction + (double)frames * bent_ns, whole_ns = floor(ahead_ns);
    e->cursor.ns += (int64_t)whole_ns;
    e->cursor.fraction = ahead_ns - whole_ns;
    return bent_ns;
}

/* ---- the callback: the whole ---- */

static void volume_rt(pl_engine *e, float *out, int64_t frames) {
    double volume = pl_double_of_bits(pl_load_relaxed(&e->volume_target)), before = e->volume;
    e->volume = volume;
    if (volume == 1 && before == 1) return;
    for (int64_t j = 0; j < frames; j++) {
        float gain = (float)(before + (volume - before) * (double)(j + 1) / (double)frames);
        out[2 * j] *= gain;
        out[2 * j + 1] *= gain;
    }
}

/* How loud the spans of silence let a frame be, 0 to 1. */
static double quiet_gain_rt(const pl_engine *e, int64_t session_ns) {
    double gain = 1;
    for (int i = 0; i < PL_QUIETS; i++) {
        int64_t begun_ns = session_ns - e->quiet[i].begin_ns, left_ns = e->quiet[i].end_ns - session_ns;
        if (begun_ns <= 0 || left_ns <= 0) continue;
        double silent = fmin(1, (double)(begun_ns < left_ns ? begun_ns : left_ns) / PL_QUIET_FADE_NS);
        gain = fmin(gain, 0.5 + 0.5 * cos(PI * silent));
    }
    return gain;
}

/* The gain is exact at the end of each block. In between it is a line, which is less steep than a fade of
 * MIN_QUIET_FADE_S: after a seek or a command it may have to change at once. */
static void quiet_rt(pl_engine *e, float *out, int64_t frames) {
    double before = e->quiet_gain, gain = quiet_gain_rt(e, e->cursor.ns);
    double most = (double)frames / (MIN_QUIET_FADE_S * e->device_rate_hz);
    gain = fmax(before - most, fmin(before + most, gain));
    e->quiet_gain = gain;
    if (gain == 1 && before == 1) return;
    for (int64_t j = 0; j < frames; j++) {
        float now = (float)(before + (gain - before) * (double)(j + 1) / (double)frames);
        out[2 * j] *= now;
        out[2 * j + 1] *= now;
    }
}

static void role_rt(pl_engine *e, float *out, int64_t frames) {
    pl_role role = (pl_role)pl_load_relaxed(&e->role_target), before = e->role;
    e->role = role;
    if (role == PL_STEREO && before == PL_STEREO) return;
    const float *from = ROLE_SHARES[before], *to = ROLE_SHARES[role];
    for (int64_t j = 0; j < frames; j++) {
        float done = (float)(j + 1) / (float)frames, share[4];
        for (int i = 0; i < 4; i++) share[i] = from[i] + (to[i] - from[i]) * done;
        float left = out[2 * j], right = out[2 * j + 1];
        out[2 * j] = share[0] * left + share[1] * right;
        out[2 * j + 1] = share[2] * left + share[3] * right;
    }
}

void pl_engine_serve_at_rt(pl_engine *e, float *out, int64_t frames, int64_t now_ns) {
    memset(out, 0, sizeof(float) * 2 * (size_t)frames);
    commands_rt(e);
    update_output_clock_rt(e, frames, now_ns);

    double nominal_ns = 1e9 / e->device_rate_hz;
    double x_ns = (double)e->device_frames * nominal_ns;
    double step_ns = nominal_ns * (1 + pl_output_clock_slope_rt(&e->output));
    pl_instant leaves = leaves_rt(e, x_ns);
    int64_t latency_ns = pl_load_relaxed(&e->output_latency_ns);
    update_lead_rt(e, leaves.ns - now_ns, latency_ns);

    pl_clock_map_read_rt(e->clock, &e->map); /* where it cannot be read, the last one stays in use */
    if (e->output.open && e->map.valid && fabs(e->map.drift) < MAX_MAP_DRIFT) {
        step_ns *= 1 + e->map.drift;
        step_ns = follow_rt(e, target_rt(e, leaves, latency_ns), step_ns, frames, out);
    }
    role_rt(e, out, frames);
    volume_rt(e, out, frames);
    quiet_rt(e, out, frames);
    e->device_frames += frames;
    pl_store_relaxed(&e->clock->silent, is_silent_rt(e));
    publish_rt(e, x_ns + (double)frames * nominal_ns, step_ns, nominal_ns, leaves.ns + latency_ns);
}

void pl_engine_serve_rt(pl_engine *e, float *out, int64_t frames) {
    pl_store_relaxed(&e->thread, pl_thread_handle_rt());
    pl_engine_serve_at_rt(e, out, frames, pl_now_ns_rt());
}

int64_t pl_engine_thread_id(pl_engine *e) { return pl_thread_id(pl_load_relaxed(&e->thread)); }

void pl_engine_callback_rt(void *device, void *out, const void *in, uint32_t frames) {
    (void)in;
    pl_engine *e;
    memcpy(&e, (char *)device + pl_engine_user_offset, sizeof e);
    pl_engine_serve_rt(e, out, frames);
}
