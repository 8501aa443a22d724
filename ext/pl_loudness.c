#include "pl_loudness.h"

#include <math.h>
#include <string.h>

#include "pl_sample.h"

static const double PI = 3.14159265358979323846;
/* Of a mean square, so that a sine of 997 Hz and full scale in one channel has -3.01 LUFS. */
static const double OFFSET_LU = -0.691;
static const double ABSOLUTE_GATE_LUFS = -70, RELATIVE_GATE_LU = -10, RANGE_GATE_LU = -20;
static const double RANGE_LOW = 0.10, RANGE_HIGH = 0.95;
static const double CLASS_LU = 0.02;
static const double STEP_S = 0.1;
/* The signal is interpolated to at least this rate. */
static const double PEAK_RATE_HZ = 176400;
static double loudness_of(double mean_square) { return OFFSET_LU + 10 * log10(mean_square); }

/* The prototypes: a shelf of 4 dB above 1.7 kHz, which stands for the head, and a high-pass. */
static void init_filters(pl_loudness *l) {
    double q = 0.7071752369554196, k = tan(PI * 1681.974450955533 / l->rate_hz);
    double gain = pow(10, 3.999843853973347 / 20), middle = pow(gain, 0.4996667741545416);
    double scale = 1 + k / q + k * k;
    l->shelf = (pl_biquad){
        .b = {(gain + middle * k / q + k * k) / scale, 2 * (k * k - gain) / scale,
              (gain - middle * k / q + k * k) / scale},
        .a = {1, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale},
    };
    q = 0.5003270373238773;
    k = tan(PI * 38.13547087602444 / l->rate_hz);
    scale = 1 + k / q + k * k;
    l->highpass = (pl_biquad){
        .b = {1, -2, 1},
        .a = {1, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale},
    };
}

/* An interpolator by a windowed sinc. Phase 0 has the samples themselves. */
static void init_taps(pl_loudness *l) {
    l->phases = 1;
    while (l->phases < PL_PEAK_PHASES && l->phases * l->rate_hz < PEAK_RATE_HZ) l->phases *= 2;
    for (int32_t phase = 0; phase < l->phases; phase++) {
        for (int32_t k = 0; k < PL_PEAK_TAPS; k++) {
            double x = k - PL_PEAK_TAPS / 2 + (double)phase / l->phases;
            double window = 0.5 + 0.5 * cos(PI * x / (PL_PEAK_TAPS / 2.0 + 0.5));
            l->taps[phase][k] = (float)(x == 0 ? 1 : sin(PI * x) / (PI * x) * window);
        }
    }
}

void pl_loudness_init(pl_loudness *l, double rate_hz) {
    memset(l, 0, sizeof *l);
    l->rate_hz = rate_hz;
    l->step_frames = (int64_t)rint(STEP_S * rate_hz);
    init_filters(l);
    init_taps(l);
}

/* Transposed direct form II. */
static double filtered(pl_biquad *f, int channel, double x) {
    double *state = f->state[channel];
    double y = f->b[0] * x + state[0];
    state[0] = f->b[1] * x - f->a[1] * y + state[1];
    state[1] = f->b[2] * x - f->a[2] * y;
    return y;
}

/* Count the block of the last `steps` steps. */
static void count_block(const pl_loudness *l, int steps, pl_loudness_blocks *blocks) {
    if (l->step_count < steps) return;
    double sum = 0;
    for (int k = PL_RANGE_STEPS - steps; k < PL_RANGE_STEPS; k++) sum += l->steps[k];
    double mean_square = sum / (steps * (double)l->step_frames);
    if (!(mean_square > 0) || loudness_of(mean_square) <= ABSOLUTE_GATE_LUFS) return;
    int class = (int)((loudness_of(mean_square) - ABSOLUTE_GATE_LUFS) / CLASS_LU);
    if (class >= PL_LOUDNESS_CLASSES) class = PL_LOUDNESS_CLASSES - 1;
    blocks->counts[class]++;
    blocks->squares[class] += mean_square;
}

static void end_step(pl_loudness *l) {
    memmove(l->steps, l->steps + 1, sizeof l->steps - sizeof *l->steps);
    l->steps[PL_RANGE_STEPS - 1] = l->square_sum;
    l->square_sum = 0;
    l->frames = 0;
    l->step_count++;
    count_block(l, PL_BLOCK_STEPS, &l->blocks);
    count_block(l, PL_RANGE_STEPS, &l->range_blocks);
}

static void measure_peak(pl_loudness *l, const float *frame) {
    l->place = l->place ? l->place - 1 : PL_PEAK_TAPS - 1; /* the newest sample comes first */
    for (int channel = 0; channel < 2; channel++) {
        float *history = l->history[channel];
        history[l->place] = history[l->place + PL_PEAK_TAPS] = frame[channel];
        const float *last = history + l->place;
        for (int32_t phase = 0; phase < l->phases; phase++) {
            float sum = 0;
            for (int32_t k = 0; k < PL_PEAK_TAPS; k++) sum += l->taps[phase][k] * last[k];
            l->peak = fmaxf(l->peak, fabsf(sum));
        }
    }
}

void pl_loudness_feed(pl_loudness *l, const float *stereo, int64_t frames) {
    for (int64_t k = 0; k < frames; k++, stereo += 2) {
        float frame[2] = {pl_sane_sample(stereo[0]), pl_sane_sample(stereo[1])};
        for (int channel = 0; channel < 2; channel++) {
            double y = filtered(&l->highpass, channel, filtered(&l->shelf, channel, frame[channel]));
            l->square_sum += y * y;
        }
        measure_peak(l, frame);
        if (++l->frames == l->step_frames) end_step(l);
    }
}

/* Mean square of the blocks from a class on; 0 if there are none. */
static double mean_from(const pl_loudness_blocks *blocks, int first) {
    int64_t count = 0;
    double sum = 0;
    for (int k = first; k < PL_LOUDNESS_CLASSES; k++) {
        count += blocks->counts[k];
        sum += blocks->squares[k];
    }
    return count ? sum / (double)count : 0;
}

/* The first class above the relative gate; -1 if there are no blocks. */
static int gated(const pl_loudness_blocks *blocks, double gate_lu) {
    double mean = mean_from(blocks, 0);
    if (!(mean > 0)) return -1;
    int first = (int)rint((loudness_of(mean) + gate_lu - ABSOLUTE_GATE_LUFS) / CLASS_LU);
    return first > 0 ? first : 0;
}

double pl_loudness_integrated(const pl_loudness *l) {
    int first = gated(&l->blocks, RELATIVE_GATE_LU);
    return first < 0 ? -INFINITY : loudness_of(mean_from(&l->blocks, first));
}

/* Loudness of the block of this rank, counted from 0 among the blocks from class `first` on. */
static double loudness_at(const pl_loudness_blocks *blocks, int first, int64_t rank) {
    int class = first;
    while (rank >= blocks->counts[class]) rank -= blocks->counts[class++];
    return loudness_of(blocks->squares[class] / (double)blocks->counts[class]);
}

double pl_loudness_range(const pl_loudness *l) {
    int first = gated(&l->range_blocks, RANGE_GATE_LU);
    if (first < 0) return -1;
    int64_t count = 0;
    for (int k = first; k < PL_LOUDNESS_CLASSES; k++) count += l->range_blocks.counts[k];
    double low = loudness_at(&l->range_blocks, first, llrint((double)(count - 1) * RANGE_LOW));
    return loudness_at(&l->range_blocks, first, llrint((double)(count - 1) * RANGE_HIGH)) - low;
}

double pl_loudness_true_peak(const pl_loudness *l) { return l->peak; }
