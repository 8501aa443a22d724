#include "pl_pass.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

double pl_pass_frame(const pl_pass *p, double start_s, double delay_s) {
    return (p->begin_s + start_s * (1 + p->rate_error) + delay_s) * p->responses->rate_hz;
}

double pl_vertex(double before, double at, double after) {
    double bend = before - 2 * at + after;
    return bend < 0 ? fmin(0.5, fmax(-0.5, 0.5 * (before - after) / bend)) : 0;
}

void pl_pass_copy(const pl_pass *p, int sweep, double from, int32_t count, pl_complex *to) {
    const pl_responses *r = p->responses;
    const pl_complex *z = r->frames[sweep];
    int64_t first = (int64_t)floor(from);
    double f = from - (double)first, angle = 2 * PI * fmod(r->turns * from, 1);
    double weights[4] = {-f * (f - 1) * (f - 2) / 6, (f + 1) * (f - 1) * (f - 2) / 2,
                         -(f + 1) * f * (f - 2) / 2, (f + 1) * f * (f - 1) / 6};
    float c[4], d[4];
    for (int k = 0; k < 4; k++) {
        c[k] = (float)(weights[k] * cos(angle));
        d[k] = (float)(weights[k] * sin(angle));
    }
    for (int32_t j = 0; j < count; j++) {
        pl_complex sum = {0};
        for (int k = 0; k < 4; k++) {
            int64_t at = first + j + k - 1;
            if (at < 0 || at >= r->count) continue;
            sum.re += c[k] * z[at].re - d[k] * z[at].im;
            sum.im += c[k] * z[at].im + d[k] * z[at].re;
        }
        to[j] = sum;
    }
}

void pl_pass_add(const pl_pass *p, int sweep, double from, const pl_complex *window, int32_t count,
                 double gain) {
    const pl_responses *r = p->responses;
    int64_t first = (int64_t)ceil(from);
    double f = (double)first - from, angle = -2 * PI * fmod(r->turns * from, 1);
    double weights[4] = {-f * (f - 1) * (f - 2) / 6, (f + 1) * (f - 1) * (f - 2) / 2,
                         -(f + 1) * f * (f - 2) / 2, (f + 1) * f * (f - 1) / 6};
    float c[4], d[4];
    for (int k = 0; k < 4; k++) {
        c[k] = (float)(gain * weights[k] * cos(angle));
        d[k] = (float)(gain * weights[k] * sin(angle));
    }
    for (int32_t j = 0; j < count; j++) {
        if (first + j < 0 || first + j >= r->count) continue;
        pl_complex *to = &r->frames[sweep][first + j];
        for (int k = 0; k < 4; k++) {
            int32_t at = j + k - 1;
            if (at < 0 || at >= count) continue;
            to->re += c[k] * window[at].re - d[k] * window[at].im;
            to->im += c[k] * window[at].im + d[k] * window[at].re;
        }
    }
}

void pl_correlate(const pl_complex *a, const pl_complex *b, int32_t count, int32_t step, double *re,
                  double *im) {
    float sum_re = 0, sum_im = 0;
    for (int32_t k = 0; k < count; k += step) {
        sum_re += a[k].re * b[k].re + a[k].im * b[k].im;
        sum_im += a[k].im * b[k].re - a[k].re * b[k].im;
    }
    *re = sum_re;
    *im = sum_im;
}

double pl_energy(const pl_complex *a, int32_t count, int32_t step) {
    double re, im;
    pl_correlate(a, a, count, step, &re, &im);
    return re;
}
