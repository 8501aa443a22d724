/* When the direct sound of each machine arrives, from the responses to the sweeps of a calibration pass.
 *
 * 1. Where. A machine is searched where all its repeats have a large response at the same delay: at each
 *    delay, the least of the repeats counts. No other machine is there at more than one repeat
 *    (sweeps.schedule). A place is the machine's if the repeats correlate there, each with each: the
 *    echoes of a room are the same at each repeat, and noise is not.
 * 2. The clock. The rate of the microphone's clock is the one that makes the repeats of all machines
 *    correlate most; then the lags of the best correlations are fitted by a line.
 * 3. The repeats are added in phase. Where other sounds disturb one or two of them, these are left out. The
 *    difference between the repeats is the noise, at each moment.
 * 4. The first pulse that is not noise is the direct sound: at least FIRST_SHARE of the strongest one up to
 *    SEARCH_S later, or FAR_SHARE of one up to FAR_SEARCH_S later, and SURE_NOISES times the noise.
 * 5. A machine is refused if a pulse of HIDDEN_SHARE could be hidden in the noise before the first one, if a
 *    weaker pulse lies in front of it, or if the repeats disagree.
 * 6. Each machine that was found is taken out of the responses to both sweeps, and all machines are examined
 *    again without the others: cancellation of one interference after the other (P. Patel and J. Holtzman,
 *    "Analysis of a simple successive interference cancellation scheme in a DS/CDMA system", IEEE Journal on
 *    Selected Areas in Communications 12, 1994).
 *
 * All times are in seconds of the recording. */
#ifndef PL_ARRIVAL_H
#define PL_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pl_direct.h"
#include "pl_pass.h"

/* Find `machines` machines whose sounds start `begin_s` after the begin of the recording plus their
 * starts, up to `reach_s` earlier or later. `rate_error` is how much faster the clock of the microphone
 * runs; 0 if no machine is heard. The responses then are those without the machines that were found. False
 * if there is not enough memory. */
bool pl_arrivals_find(pl_responses *responses, double begin_s, double reach_s, const pl_sounds *sounds,
                      int32_t machines, pl_arrival *arrivals, double *rate_error);

#endif
