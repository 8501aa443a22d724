/* The direct sound of one machine at its place.
 *
 * The repeats are added in phase. Where other sounds disturb one or two of them, these are left out. The
 * difference between the repeats is the noise, at each moment. The first pulse that is not noise is the
 * direct sound, unless a larger one may be hidden in the noise before it or a doubtful one lies there, or
 * the repeats disagree about its time. */
#ifndef PL_DIRECT_H
#define PL_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "pl_pass.h"
#include "pl_places.h"

typedef enum {
    PL_ARRIVAL_HEARD,
    PL_ARRIVAL_ABSENT,   /* no place where the repeats agree */
    PL_ARRIVAL_NOISE,    /* the direct sound may be hidden in noise */
    PL_ARRIVAL_ECHO,     /* two pulses may be the direct sound */
    PL_ARRIVAL_UNSTEADY, /* the repeats disagree about the time */
} pl_verdict;

typedef struct {
    int32_t verdict;
    double arrival_s; /* when heard: true time after the starts */
    double spread_s;  /* when heard: between the earliest and the latest repeat */
    double level;     /* unless absent: amplitude of the sweep with all its echoes, 1 for the sweep as made */
    double peak;      /* unless absent: the strongest pulse */
    double noise;     /* absent: a pulse of this size would have been found */
} pl_arrival;

/* The part of the responses that is one machine's. */
typedef struct {
    pl_complex
        *response; /* (count,), of the mean repeat, from `from_s` after the starts on; another's memory */
    int32_t count; /* 0: nothing is known of it */
    double from_s, gains[PL_MAX_STARTS];
} pl_model;

typedef struct {
    const pl_pass *pass;
    int32_t examined;           /* frames of a response */
    pl_complex *windows;        /* of the repeats */
    pl_complex *common, *trial; /* mean of the repeats */
    float *noise, *trial_noise; /* its power, over NOISE_S */
    float *sharp, *trial_sharp; /* over SHARP_NOISE_S */
    double *sums;               /* running, one more than frames */
} pl_examiner;

/* Allocate memory. False if there is not enough; pl_examiner_free must be called in any case. */
bool pl_examiner_init(pl_examiner *x, const pl_pass *pass);
void pl_examiner_free(pl_examiner *x);
/* Examine a machine at its place. All of the arrival but its `noise` is written. `model` needs a response of
 * `examined` frames. */
void pl_examine(pl_examiner *x, const pl_sounds *sounds, const pl_place *place, pl_arrival *arrival,
                pl_model *model);

#endif
