#include "pl_engine.h"

#include <math.h>

static const double FADE_NS = 5e6;               /* fades of starts, stops and jumps */
static const double SERVO_NS = 1e9;              /* the phase error dies away with this time constant */
static const double SERVO_MAX = 500e-6;          /* the most that the speed is bent: nobody hears it */
static const double JUMP_NS = 20e6;              /* a larger error is crossed with a short fade */
static const double SLIP_JUMP_NS = 0.3e6;        /* after the card itself lost frames, so is a smaller one */
enum { LEAD_OF = 64 };
static const double MAX_DRIFT = 0.01;
static const double HISTORY_S = 0.1;             /* kept behind the cursor, so that small jumps back find their PCM */
static const double SILENT_AFTER_S = 3;          /* an account that has told nothing for so long is done without */
static const double RESTART_S = 0.05;            /* PCM ahead before a starved deck sounds again */

size_t pl_engine_user_offset;

static void publish_rt(pl_engine *e, double x, double step, double nominal, int64_t dac_ns) {
    uint64_t w[14] = {
        (uint64_t)e->device_frames, (uint64_t)e->lead_ns, pl_bits_of_double(pl_output_clock_deviation_rt(&e->output, x)),
        pl_bits_of_double(pl_output_clock_slope_rt(&e->output) * 1e6), pl_bits_of_double(e->phase_error_ns), pl_bits_of_double((step / nominal - 1) * 1e6),
        (uint64_t)e->underruns, (uint64_t)e->jumps, (uint64_t)e->output.slips, (uint64_t)e->cursor_ns, e->audible, e->cursor_valid,
        pl_bits_of_double(e->volume), (uint64_t)dac_ns};
    pl_seqlock_write(&e->status, w, 14);
}

bool pl_engine_init(pl_engine *e, pl_clock_map *clock, int64_t ring_frames) {
    memset(e, 0, sizeof *e);
    e->clock = clock;
    for (int i = 0; i < PL_DECKS; i++)
        if (!pl_ring_init(&e->decks[i].ring, ring_frames)) { pl_engine_free(e); return false; }
    e->volume = 1.0;
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

void pl_engine_stream(pl_engine *e, double device_rate, pl_account *account) {
    if (device_rate != e->device_rate) free_kernels(e);
    e->device_rate = device_rate;
    pl_store_relaxed(&e->command_tail, pl_load_relaxed(&e->command_head));
    for (int i = 0; i < PL_DECKS; i++) {
        e->decks[i].active = false;
        pl_store_release(&e->decks[i].state, PL_DECK_FREE);
    }
    e->account = account;
    e->untold_frames = 0;
    pl_store_relaxed(&e->thread, 0);
    pl_output_clock_init(&e->output, account ? account->noise : PL_NOISE_LATE, device_rate);
    e->cursor_valid = e->audible = e->slipped = false;
    e->device_frames = e->lead_ns = 0;
    e->phase_error_ns = 0;
    publish_rt(e, 0, 1, 1, 0);   /* nobody shall read the old stream's */
}

/* ---- the controller's side ---- */

const pl_kernel *pl_engine_kernel(pl_engine *e, double track_rate) {
    for (int i = 0; i < e->kernel_count; i++)
        if (e->kernel_from[i] == track_rate) return &e->kernels[i];
    if (e->kernel_count == PL_KERNELS || !pl_kernel_init(&e->kernels[e->kernel_count], track_rate, e->device_rate)) return NULL;
    e->kernel_from[e->kernel_count] = track_rate;
    return &e->kernels[e->kernel_count++];
}

int pl_engine_free_deck(pl_engine *e) {
    for (int i = 0; i < PL_DECKS; i++)
        if (pl_load_acquire(&e->decks[i].state) == PL_DECK_FREE) return i;
    return -1;
}

static bool post(pl_engine *e, const pl_command *c) {
    uint32_t head = pl_load_relaxed(&e->command_head);
    if (head - pl_load_acquire(&e->command_tail) == PL_COMMANDS) return false;
    e->commands[head % PL_COMMANDS] = *c;
    pl_store_release(&e->command_head, head + 1);
    return true;
}

bool pl_engine_arm(pl_engine *e, int deck, double track_rate, int64_t anchor_frame, int64_t start_ns, int64_t stop_ns, bool seamless) {
    pl_command c = {PL_ARM, deck, seamless, pl_engine_kernel(e, track_rate), track_rate, anchor_frame, start_ns, stop_ns};
    if (!c.kernel) return false;
    pl_store_relaxed(&e->decks[deck].want_frame, pl_load_relaxed(&e->decks[deck].ring.read_frame));   /* until the callback knows */
    pl_store_release(&e->decks[deck].state, PL_DECK_ARMED);
    if (post(e, &c)) return true;
    pl_store_release(&e->decks[deck].state, PL_DECK_FREE);
    return false;
}

bool pl_engine_stop_at(pl_engine *e, int64_t stop_ns) {
    pl_command c = {PL_STOP_AT, 0, false, NULL, 0, 0, 0, stop_ns};
    return post(e, &c);
}

bool pl_engine_cancel(pl_engine *e, int deck) {
    pl_command c = {PL_CANCEL, deck, false, NULL, 0, 0, 0, 0};
    return post(e, &c);
}

void pl_engine_set_volume(pl_engine *e, double volume) { pl_store_relaxed(&e->volume_target, pl_bits_of_double(volume)); }

/* ---- the callback ---- */

static void free_deck_rt(pl_deck *d) {
    d->active = false;
    pl_store_release(&d->state, PL_DECK_FREE);
}

static void stop_at_rt(const pl_engine *e, pl_deck *d, int64_t stop_ns) {
    int64_t soonest = e->cursor_valid && d->has_sounded ? e->cursor_ns + (int64_t)FADE_NS : stop_ns;
    if (stop_ns < soonest) stop_ns = soonest;   /* never cut: there is always room for the fade */
    if (stop_ns < d->stop_ns) d->stop_ns = stop_ns;
}

static void commands_rt(pl_engine *e) {
    uint32_t tail = pl_load_relaxed(&e->command_tail), head = pl_load_acquire(&e->command_head);
    for (; tail != head; tail++) {
        const pl_command *c = &e->commands[tail % PL_COMMANDS];
        pl_deck *d = &e->decks[c->deck];
        if (c->kind == PL_ARM) {
            if (!c->seamless)
                for (int i = 0; i < PL_DECKS; i++)
                    if (e->decks[i].active) stop_at_rt(e, &e->decks[i], c->start_ns);
            d->active = d->starved = true;
            d->has_sounded = false;
            d->seamless = c->seamless;
            d->kernel = c->kernel;
            d->rate = c->rate;
            d->anchor_frame = c->anchor_frame;
            d->start_ns = c->start_ns;
            d->stop_ns = c->stop_ns;
        } else if (c->kind == PL_STOP_AT) {
            for (int i = 0; i < PL_DECKS; i++)
                if (e->decks[i].active) stop_at_rt(e, &e->decks[i], c->stop_ns);
        } else if (d->active) {
            if (d->has_sounded && e->cursor_valid) stop_at_rt(e, d, e->cursor_ns); else free_deck_rt(d);
        }
    }
    pl_store_release(&e->command_tail, tail);
}

/* One callback's way through a deck: its first frame in ns after the deck's start, the gain from begin to end of a jump's cross-fade, and
 * where, and over how long, the PCM runs out. */
typedef struct { double at_ns, step_ns, gain_begin, gain_end, out_at_ns, out_ns; } pl_pass;

/* Play `count` frames from block offset `begin` into out; all PCM needed is there. */
static void mix_rt(pl_engine *e, const pl_deck *d, const pl_pass *pass, int64_t begin, int64_t count, int64_t frames, float *out) {
    const pl_kernel *k = d->kernel;
    double per_ns = d->rate * 1e-9, step = pass->step_ns * per_ns;
    int64_t most = (int64_t)((PL_SCRATCH - k->taps - 4) / step);
    double stop = d->stop_ns == PL_NO_END ? INFINITY : (double)(d->stop_ns - d->start_ns);
    for (int64_t done = 0; done < count;) {
        int64_t block = count - done < most ? count - done : most;
        double at = pass->at_ns + (double)(begin + done) * pass->step_ns;
        double place = at * per_ns, whole = floor(place);
        int64_t first = d->anchor_frame + (int64_t)whole - k->taps / 2 + 1;
        int64_t span = (int64_t)(place - whole + (double)block * step) + k->taps + 1;
        pl_ring_copy_rt((pl_ring *)&d->ring, first, span, e->left, e->right);
        for (int64_t j = 0; j < block; j++) {
            double position = place - whole + (double)j * step, ns = at + (double)j * pass->step_ns;
            int64_t i = (int64_t)position;
            float frame[2];
            pl_kernel_frame_rt(k, e->left + i, e->right + i, position - (double)i, frame);
            double gain = 1;
            if (ns < d->fade_from + FADE_NS) gain = fmax(0, (ns - d->fade_from) / FADE_NS);
            if (ns > stop - FADE_NS) gain = fmin(gain, fmax(0, (stop - ns) / FADE_NS));
            if (ns > pass->out_at_ns - pass->out_ns) gain = fmin(gain, fmax(0, (pass->out_at_ns - ns) / pass->out_ns));
            if (pass->gain_begin != pass->gain_end || pass->gain_begin != 1) {
                double through = fmin(1, (double)(begin + done + j) / fmin((double)frames, FADE_NS / pass->step_ns));
                gain *= pass->gain_begin + (pass->gain_end - pass->gain_begin) * through;
            }
            float *o = out + (begin + done + j) * 2;
            o[0] += (float)gain * frame[0];
            o[1] += (float)gain * frame[1];
        }
        done += block;
    }
}

/* One deck through one callback. Returns whether it sounded. `settle` is false for the old side of a jump, which changes no state. */
static bool deck_rt(pl_engine *e, pl_deck *d, const pl_pass *pass, int64_t frames, float *out, bool settle) {
    int64_t half = d->kernel->taps / 2, write = pl_load_acquire(&d->ring.write_frame), end = pl_load_acquire(&d->ring.end_frame);
    double frame_ns = 1e9 / d->rate;
    double from = d->seamless ? -(double)half * frame_ns : 0;
    double until = d->stop_ns == PL_NO_END ? INFINITY : (double)(d->stop_ns - d->start_ns);
    if (end != PL_NO_END) until = fmin(until, (double)(end + half - d->anchor_frame) * frame_ns);
    double begin_at = ceil((from - pass->at_ns) / pass->step_ns), end_at = ceil((until - pass->at_ns) / pass->step_ns);
    if (end_at <= 0 || until <= from) {
        if (settle) free_deck_rt(d);
        return false;
    }
    if (begin_at >= (double)frames) return false;
    int64_t begin = begin_at > 0 ? (int64_t)begin_at : 0, stop = end_at < (double)frames ? (int64_t)end_at : frames;
    if (begin >= stop) return false;
    double first_ns = pass->at_ns + (double)begin * pass->step_ns, last_ns = pass->at_ns + (double)(stop - 1) * pass->step_ns;
    int64_t want = d->anchor_frame + (int64_t)floor(first_ns / frame_ns), last = d->anchor_frame + (int64_t)floor(last_ns / frame_ns);
    int64_t needed = last + half + 1, oldest = pl_load_relaxed(&d->ring.read_frame);
    if (needed > end) needed = end;
    bool behind = (want > d->anchor_frame ? want : d->anchor_frame) < oldest;   /* decoded from a later place: the line will come there */
    if (settle) pl_store_relaxed(&d->want_frame, want);
    bool sounded = false;
    if (d->starved) {
        int64_t ahead = d->has_sounded ? (int64_t)(RESTART_S * d->rate) : 0;
        bool ready = !behind && (write >= needed + ahead || write >= end);
        if (ready && settle) {
            bool in_time = begin > 0 || fabs(first_ns - from) < 1.5 * pass->step_ns;
            d->fade_from = !in_time || d->has_sounded ? first_ns : d->anchor_frame > 0 && !d->seamless ? 0 : -INFINITY;
            d->starved = false;
            d->has_sounded = true;
        }
        if (ready) { mix_rt(e, d, pass, begin, stop - begin, frames, out); sounded = true; }
    } else if (!behind && (write >= needed + (int64_t)(FADE_NS * 1e-9 * d->rate) || write >= end)) {
        mix_rt(e, d, pass, begin, stop - begin, frames, out);
        sounded = true;
    } else {
        /* The PCM is running out: fade with what is there, and wait for enough of it. */
        pl_pass last_of_it = *pass;
        double there = (double)(write - half - 1 - d->anchor_frame) * frame_ns;
        last_of_it.out_at_ns = fmin(there, last_ns);
        last_of_it.out_ns = fmin(FADE_NS, last_of_it.out_at_ns - first_ns);
        int64_t able = (int64_t)floor((last_of_it.out_at_ns - pass->at_ns) / pass->step_ns);
        if (!behind && able > begin) { mix_rt(e, d, &last_of_it, begin, able - begin, frames, out); sounded = true; }
        if (settle) { d->starved = true; e->underruns++; }
    }
    if (settle) {
        int64_t keep = last - half - (int64_t)(HISTORY_S * d->rate);
        if (!sounded && keep > write) keep = write;
        pl_ring_release_rt(&d->ring, keep);
        if (end_at <= (double)frames) free_deck_rt(d);
    }
    return sounded;
}

bool pl_engine_read_status(pl_engine *e, pl_engine_status *s) {
    uint64_t w[14];
    if (!pl_seqlock_read(&e->status, w, 14)) return false;
    s->device_frames = (int64_t)w[0];
    s->lead_ns = (int64_t)w[1];
    s->dac_uncertainty_ns = pl_double_of_bits(w[2]);
    s->card_ppm = pl_double_of_bits(w[3]);
    s->phase_error_ns = pl_double_of_bits(w[4]);
    s->correction_ppm = pl_double_of_bits(w[5]);
    s->underruns = (int64_t)w[6];
    s->jumps = (int64_t)w[7];
    s->slips = (int64_t)w[8];
    s->cursor_ns = (int64_t)w[9];
    s->audible = w[10] != 0;
    s->following = w[11] != 0;
    s->volume = pl_double_of_bits(w[12]);
    s->dac_ns = (int64_t)w[13];
    return true;
}

/* Take in what tells of this callback: the account of the stream; or the callback itself, where there is no account or it has told nothing
 * for so long that a guess is better. */
static void hear_rt(pl_engine *e, int64_t frames, int64_t now_ns) {
    pl_moment callback = {.frame = (double)e->device_frames, .leaves_ns = now_ns}, moment = callback;
    pl_account *account = e->account;
    if (account) {
        bool told = account->ask_rt(account, e->device_frames, now_ns, &moment), silent = pl_load_relaxed(&account->silent);
        e->untold_frames = told ? 0 : e->untold_frames + frames;
        if (silent ? told : (double)e->untold_frames > SILENT_AFTER_S * e->device_rate) {
            silent = !silent;
            pl_store_relaxed(&account->silent, silent);
            pl_output_clock_init(&e->output, silent ? PL_NOISE_LATE : account->noise, e->device_rate);
            e->slipped = true;
        }
        if (!told && !silent) return;
        if (!told) moment = callback;
    } else if (e->device_frames <= frames) {
        pl_output_clock_clear_rt(&e->output);   /* the first callback may only fill what the device wants before it begins to play */
    }
    if (pl_output_clock_add_rt(&e->output, &moment, now_ns, frames)) e->slipped = true;
}

void pl_engine_serve_at_rt(pl_engine *e, float *out, int64_t frames, int64_t now_ns) {
    memset(out, 0, sizeof(float) * 2 * (size_t)frames);
    commands_rt(e);
    double nominal = 1e9 / e->device_rate, x = (double)e->device_frames * nominal;
    hear_rt(e, frames, now_ns);

    /* When the first frame of this block leaves: by the output clock and, `latency_ns` later, what it does not know of. That is a duration:
     * it is taken on the session's clock, on which a second is equally long for everybody. */
    double since = pl_output_clock_at_rt(&e->output, x), whole = floor(since);
    int64_t leaves_ns = e->output.base_ns + (int64_t)whole, latency_ns = pl_load_relaxed(&e->output_latency_ns);
    double step = nominal * (1 + pl_output_clock_slope_rt(&e->output));
    int64_t lead_ns = leaves_ns + latency_ns - now_ns;   /* late callbacks shorten it */
    e->lead_ns = lead_ns > e->lead_ns || e->slipped ? lead_ns : e->lead_ns + (lead_ns - e->lead_ns) / LEAD_OF;
    pl_clock_map_read_rt(e->clock, &e->line);   /* when it cannot be read just now, the last one serves */
    if (e->output.open && e->line.valid && fabs(e->line.drift) < MAX_DRIFT) {   /* whatever went wrong elsewhere, the steps below stay steps */
        int64_t target_ns = leaves_ns + pl_clock_map_offset_at(&e->line, leaves_ns) + latency_ns;
        double target_fraction = since - whole;
        step *= 1 + e->line.drift;
        double error = e->cursor_valid && e->audible ? (double)(e->cursor_ns - target_ns) + (e->cursor_fraction - target_fraction) : 0;
        bool jump = fabs(error) > JUMP_NS || (e->slipped && fabs(error) > SLIP_JUMP_NS);
        pl_pass old = {0, step, 1, 0, INFINITY, 1}, now = {0, 0, 1, 1, INFINITY, 1};
        int64_t old_ns = e->cursor_ns;
        if (jump || !e->cursor_valid || !e->audible) {
            e->cursor_ns = target_ns;
            e->cursor_fraction = target_fraction;
            e->cursor_valid = true;
        }
        e->phase_error_ns = error;
        e->slipped = false;
        double bend = jump ? 0 : -error / SERVO_NS;
        step *= 1 + fmax(-SERVO_MAX, fmin(SERVO_MAX, bend));
        now.step_ns = step;
        if (jump) { now.gain_begin = 0; e->jumps++; }
        bool audible = false;
        for (int i = 0; i < PL_DECKS; i++) {
            pl_deck *d = &e->decks[i];
            if (!d->active) continue;
            if (jump) {
                old.at_ns = (double)(old_ns - d->start_ns) + e->cursor_fraction;
                deck_rt(e, d, &old, frames, out, false);
            }
            now.at_ns = (double)(e->cursor_ns - d->start_ns) + e->cursor_fraction;
            audible |= deck_rt(e, d, &now, frames, out, true);
        }
        e->audible = audible;
        double ahead = e->cursor_fraction + (double)frames * step, ahead_whole = floor(ahead);
        e->cursor_ns += (int64_t)ahead_whole;
        e->cursor_fraction = ahead - ahead_whole;
    }
    double volume = pl_double_of_bits(pl_load_relaxed(&e->volume_target)), was = e->volume;
    if (volume != 1 || was != 1)
        for (int64_t j = 0; j < frames; j++) {
            float g = (float)(was + (volume - was) * (double)(j + 1) / (double)frames);
            out[2 * j] *= g;
            out[2 * j + 1] *= g;
        }
    e->volume = volume;
    e->device_frames += frames;
    publish_rt(e, x + (double)frames * nominal, step, nominal, leaves_ns + latency_ns);
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
