# What a recording contains: sweeps, and a song. A part of _native.pyx.


def find_arrivals(
    const float[::1] recording,
    double rate_hz,
    sweeps,
    double low_hz,
    double high_hz,
    double begin_s,
    double reach_s,
    sounds,
):
    """Find the sounds of a calibration pass in a mono recording; see pl_arrival.h.

    `sweeps` are two buffers of equal length; `sounds` has (number of the sweep, 2 to MAX_STARTS ascending starts) for
    each machine. Returns (a SweepArrival for each machine, how much faster the clock of the microphone runs, how many
    frames are at full scale). ValueError if a quantity is out of range.
    """
    cdef const float[::1] first = sweeps[0], second = sweeps[1]
    cdef int32_t machines = len(sounds), sweep_frames = first.shape[0], k, j
    cdef int64_t frames = recording.shape[0], clipped = 0
    cdef const float *both[pl.PL_SWEEPS]
    cdef pl.pl_responses responses
    cdef double rate_error = 0
    cdef bint good
    if not (16000 <= rate_hz <= 96000 and 0 < low_hz < high_hz < rate_hz / 2):
        raise ValueError("rate out of range")
    if not (abs(begin_s) <= 60 and 0.1 <= reach_s <= 10):
        raise ValueError("time out of range")
    if not 0 < sweep_frames == second.shape[0] <= rate_hz or not machines:
        raise ValueError("sounds out of range")
    both[0], both[1] = &first[0], &second[0]
    cdef pl.pl_sounds *places = <pl.pl_sounds *>PyMem_Calloc(machines, sizeof(pl.pl_sounds))
    cdef pl.pl_arrival *arrivals = <pl.pl_arrival *>PyMem_Calloc(machines, sizeof(pl.pl_arrival))
    try:
        if places == NULL or arrivals == NULL:
            raise MemoryError
        for k, (sweep, starts_s) in enumerate(sounds):
            if not (2 <= len(starts_s) <= pl.PL_MAX_STARTS and 0 <= sweep < pl.PL_SWEEPS):
                raise ValueError("sounds out of range")
            places[k].sweep, places[k].count = sweep, len(starts_s)
            for j, start_s in enumerate(starts_s):
                places[k].starts_s[j] = start_s
                if not 0 <= start_s <= 600 or (j and not start_s > starts_s[j - 1]):
                    raise ValueError("sounds out of range")
        with nogil:
            good = pl.pl_responses_init(
                &responses, &recording[0] if frames else NULL, frames, rate_hz, both, sweep_frames, low_hz, high_hz
            )
            if good:
                clipped = responses.clipped
                good = pl.pl_arrivals_find(
                    &responses, begin_s, reach_s, places, machines, arrivals, &rate_error
                )
                pl.pl_responses_free(&responses)
        if not good:
            raise MemoryError
        return [SweepArrival(**arrivals[k]) for k in range(machines)], rate_error, clipped
    finally:
        PyMem_Free(places)
        PyMem_Free(arrivals)


def find_song(
    const float[::1] recording,
    double rate_hz,
    double begin_s,
    const float[::1] song,
    double song_rate_hz,
    turns,
    double fade_s,
    double reach_s,
):
    """Find when a song arrives from the machines that play it in turns; see pl_song.h.

    `song` is interleaved stereo; `turns` has (role, begin_s, end_s) for each turn. Returns (a SongArrival for each
    turn, how much faster the clock of the microphone runs). KeyError for another role, ValueError if a quantity is out
    of range.
    """
    cdef int32_t count = len(turns), k
    cdef double rate_error = 0
    cdef bint good
    if not (8000 <= rate_hz <= 192000 and 8000 <= song_rate_hz <= 192000):
        raise ValueError("rate out of range")
    if not (abs(begin_s) <= 600 and 0.1 <= reach_s <= 2 and 0.01 <= fade_s <= 1) or not count:
        raise ValueError("time out of range")
    cdef pl.pl_turn *places = <pl.pl_turn *>PyMem_Calloc(count, sizeof(pl.pl_turn))
    cdef pl.pl_song_arrival *arrivals = <pl.pl_song_arrival *>PyMem_Calloc(count, sizeof(pl.pl_song_arrival))
    try:
        if places == NULL or arrivals == NULL:
            raise MemoryError
        for k, (role, turn_begin_s, turn_end_s) in enumerate(turns):
            places[k].role, places[k].begin_s, places[k].end_s = _ROLES[role], turn_begin_s, turn_end_s
            if not (0 <= turn_begin_s <= 600 and 8 * fade_s <= turn_end_s - turn_begin_s <= 10):
                raise ValueError("time out of range")
        with nogil:
            good = pl.pl_song_find(
                &recording[0] if recording.shape[0] else NULL, recording.shape[0], rate_hz, begin_s,
                &song[0] if song.shape[0] else NULL, song.shape[0] // 2, song_rate_hz,
                places, count, fade_s, reach_s, arrivals, &rate_error,
            )
        if not good:
            raise MemoryError
        return [SongArrival(**arrivals[k]) for k in range(count)], rate_error
    finally:
        PyMem_Free(places)
        PyMem_Free(arrivals)
