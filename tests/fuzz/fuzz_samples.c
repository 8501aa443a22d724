/* Samples of any content: what an import measures of a file, and the mix to two channels.
 * The input: a kind of work, then its parameters, then samples. */
#include <math.h>

#include "fuzz.h"
#include "pl_loudness.h"
#include "pl_mix.h"
#include "pl_sample.h"
#include "pl_sound_range.h"
#include "pl_spectrum.h"

static const double RATES_HZ[] = {8000, 11025, 44100, 48000, 96000, 192000};
enum { RATES = sizeof RATES_HZ / sizeof *RATES_HZ, MAX_FRAMES = 4096, MAX_FED_FRAMES = 60000 };

static bool is_sane(float x) { return fabsf(x) <= 16; }

static void mix(fuzz_input *input) {
    int32_t channels = 1 + (int32_t)fuzz_below(input, PL_MAX_MIXED_CHANNELS);
    size_t frames = fuzz_below(input, 512);
    double gain = (double)fuzz_below(input, 1024) / 64, step = ((double)fuzz_below(input, 256) - 128) / 1e6;
    float *from = fuzz_samples(input, frames * (size_t)channels), *stereo = fuzz_samples(input, frames * 2);
    pl_mix_down(from, channels, (int64_t)frames, stereo);
    for (size_t i = 0; i < 2 * frames; i++) CHECK(is_sane(stereo[i]));
    pl_amplify(stereo, (int64_t)frames, gain, step);
    for (size_t i = 0; i < 2 * frames; i++) CHECK(isfinite(stereo[i]));
    free(from);
    free(stereo);
}

/* Some stereo, and how it is fed: again and again, in pieces. */
typedef struct {
    float *samples;
    int64_t frames, piece, rounds;
} feed;

static feed feed_of(fuzz_input *input) {
    feed f = {.rounds = 1 + (int64_t)fuzz_below(input, 256)};
    f.piece = 1 + (int64_t)fuzz_below(input, MAX_FRAMES);
    f.frames = (int64_t)(input->left / 8) < MAX_FRAMES ? (int64_t)(input->left / 8) : MAX_FRAMES;
    if (f.frames * f.rounds > MAX_FED_FRAMES) f.rounds = 1 + MAX_FED_FRAMES / f.frames;
    f.samples = fuzz_samples(input, (size_t)f.frames * 2);
    return f;
}

/* Run `statement` for each piece: `frames` frames at `samples`. */
#define FEED(f, statement)                                                                                   \
    for (int64_t round = 0; round < (f)->rounds; round++) {                                                  \
        for (int64_t at = 0; at < (f)->frames; at += (f)->piece) {                                           \
            int64_t frames = (f)->frames - at < (f)->piece ? (f)->frames - at : (f)->piece;                  \
            const float *samples = (f)->samples + 2 * at;                                                    \
            statement;                                                                                       \
        }                                                                                                    \
    }

static void loudness(double rate_hz, const feed *f) {
    static pl_loudness l;
    pl_loudness_init(&l, rate_hz);
    FEED(f, pl_loudness_feed(&l, samples, frames));
    double lufs = pl_loudness_integrated(&l), range = pl_loudness_range(&l), peak = pl_loudness_true_peak(&l);
    CHECK(lufs < 100 && (lufs > -71 || lufs == -INFINITY));
    CHECK(range == -1 || (range >= 0 && range < 200));
    CHECK(peak >= 0 && peak < 200);
}

static void spectrum(int rate, const feed *f) {
    static pl_spectrum *fresh[RATES], s;
    if (!fresh[rate]) { /* takes longer than most inputs */
        CHECK((fresh[rate] = calloc(1, sizeof s)) != NULL);
        pl_spectrum_init(fresh[rate], RATES_HZ[rate]);
    }
    s = *fresh[rate];
    int64_t hops = 0;
    FEED(f, {
        uint8_t *levels = malloc((size_t)(PL_BANDS * (frames / s.hop + 1)));
        hops += pl_spectrum_feed(&s, samples, frames, levels);
        free(levels);
    });
    int64_t due = pl_spectrum_due(&s);
    CHECK(due >= 0 && hops == s.hops && hops + due == (s.frames + s.hop - 1) / s.hop);
    uint8_t *levels = malloc((size_t)(PL_BANDS * due) + 1);
    pl_spectrum_finish(&s, levels);
    CHECK(pl_spectrum_due(&s) == 0);
    free(levels);
}

static void range_and_peak(const feed *f) {
    pl_sound_range range;
    pl_sound_range_init(&range);
    FEED(f, pl_sound_range_feed(&range, samples, frames));
    CHECK(range.frames == f->frames * f->rounds);
    CHECK(range.begin == -1 ? range.end == 0 : range.begin >= 0 && range.begin < range.end);
    CHECK(range.end <= range.frames);
    float largest = 0;
    for (int64_t i = 0; i < 2 * f->frames; i++)
        if (fabsf(f->samples[i]) > largest) largest = fabsf(f->samples[i]);
    CHECK(pl_peak(f->samples, f->frames) == largest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    int rate = (int)fuzz_below(&input, RATES), work = (int)fuzz_below(&input, 4);
    if (work == 0) {
        mix(&input);
        return 0;
    }
    feed f = feed_of(&input);
    if (work == 1) loudness(RATES_HZ[rate], &f);
    if (work == 2) spectrum(rate, &f);
    if (work == 3) range_and_peak(&f);
    free(f.samples);
    return 0;
}
