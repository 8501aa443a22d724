/* Calibration passes with any sounds in the recording. The input: the sounds that are searched, then the
 * recording as a list of pieces. An input takes a tenth of a second. (A song is not searched here, see
 * pl_song.h: that takes ten.) */
#include <math.h>

#include "fuzz.h"
#include "pl_arrival.h"

enum { RATE_HZ = 16000, SWEEP_FRAMES = 3840, MAX_MACHINES = 3, MAX_FRAMES = 16000 };

static const double PI = 3.14159265358979323846, LOW_HZ = 500, HIGH_HZ = 6000, SWEEP_S = 0.24;

/* The sweep upward or downward, as phaselock/model/sweeps.py makes it. */
static const float *sweep(int number) {
    static float sweeps[PL_SWEEPS][SWEEP_FRAMES];
    double ratio = log(HIGH_HZ / LOW_HZ);
    for (int k = 0; k < SWEEP_FRAMES && sweeps[number][SWEEP_FRAMES / 2] == 0; k++) {
        double t = (double)k / SWEEP_FRAMES;
        double phase = 2 * PI * LOW_HZ * SWEEP_S * (exp(t * ratio) - 1) / ratio;
        sweeps[number][number ? k : SWEEP_FRAMES - 1 - k] = (float)(0.5 * sin(phase) * sin(PI * t));
    }
    return sweeps[number];
}

/* Samples made of pieces: silence, a sweep, a level, noise, or the bytes of the input. */
static float *recording_of(fuzz_input *input, int64_t frames) {
    float *samples = calloc((size_t)frames + 1, sizeof *samples);
    CHECK(samples != NULL);
    uint32_t noise = 1;
    for (int64_t at = 0; at < frames && input->left;) {
        int kind = (int)fuzz_below(input, 6);
        float level = ldexpf(1, (int)fuzz_below(input, 16) - 12);
        int64_t count = (int64_t)fuzz_below(input, 2048);
        if (count > frames - at) count = frames - at;
        if (kind == 5) { /* for a real sweep the place matters to a frame */
            at += count / 8 < frames - at ? count / 8 : frames - at;
            continue;
        }
        if (kind < 2 && count > SWEEP_FRAMES) count = SWEEP_FRAMES;
        for (int64_t i = 0; i < count; i++) {
            noise = noise * 1664525 + 1013904223;
            if (kind < 2) samples[at + i] = level * sweep(kind)[i];
            if (kind == 2) samples[at + i] = level;
            if (kind == 3) samples[at + i] = level * ((float)(noise >> 16) / 32768 - 1);
            if (kind == 4) fuzz_bytes(input, &samples[at + i], sizeof *samples);
        }
        at += count;
    }
    return samples;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    pl_sounds sounds[MAX_MACHINES] = {{0}};
    int32_t machines = 1 + (int32_t)fuzz_below(&input, MAX_MACHINES);
    for (int32_t i = 0; i < machines; i++) {
        sounds[i].sweep = (int32_t)fuzz_below(&input, PL_SWEEPS);
        sounds[i].count = 2 + (int32_t)fuzz_below(&input, 3);
        double start_s = 0;
        for (int32_t k = 0; k < sounds[i].count; k++)
            sounds[i].starts_s[k] = start_s += 0.001 * (double)(1 + fuzz_below(&input, 256));
    }
    double begin_s = 0.001 * ((double)fuzz_below(&input, 256) - 64);
    int64_t frames = (int64_t)fuzz_below(&input, MAX_FRAMES + 1);
    float *recording = recording_of(&input, frames);
    const float *const sweeps[PL_SWEEPS] = {sweep(0), sweep(1)};
    pl_responses responses;
    CHECK(pl_responses_init(&responses, recording, frames, RATE_HZ, sweeps, SWEEP_FRAMES, LOW_HZ, HIGH_HZ));
    CHECK(responses.clipped >= 0 && responses.clipped <= frames);
    pl_arrival arrivals[MAX_MACHINES];
    double rate_error = 0;
    CHECK(pl_arrivals_find(&responses, begin_s, 0.1, sounds, machines, arrivals, &rate_error));
    CHECK(isfinite(rate_error));
    for (int32_t i = 0; i < machines; i++) {
        CHECK(arrivals[i].verdict >= PL_ARRIVAL_HEARD && arrivals[i].verdict <= PL_ARRIVAL_UNSTEADY);
        if (arrivals[i].verdict != PL_ARRIVAL_HEARD) continue;
        CHECK(isfinite(arrivals[i].arrival_s) && isfinite(arrivals[i].spread_s));
        CHECK(arrivals[i].level >= 0 && isfinite(arrivals[i].level) && isfinite(arrivals[i].peak));
    }
    pl_responses_free(&responses);
    free(recording);
    return 0;
}
