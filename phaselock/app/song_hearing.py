"""Hear with a microphone when a song arrives from each machine: the listener's part of a check."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from phaselock import _native
from phaselock.audio.decoder import CHANNELS, Mp3Source
from phaselock.audio.interface import Plan
from phaselock.audio.mp3_file import Inspector
from phaselock.errors import PhaseLockError
from phaselock.model.role import Role
from phaselock.model.sweeps import Arrival
from phaselock.model.turns import MAX_CHECK_NS, length_ns

AFTER_S = 1.3
"""How long a microphone records after the last turn: for the delays that machines hide, and its own."""
MAX_WAIT_NS = 10_000_000_000
"""A check begins within this time."""


def hear_song(
    clock_map: _native.ClockMap,
    input_name: str,
    inspect: Inspector,
    begin_session_ns: int,
    plan: Plan,
    roles: Sequence[Role],
    stop: threading.Event,
) -> tuple[Arrival, ...]:
    """Record the check that begins then with this input (empty: the default one), and find in it the song of `plan`
    from each machine."""
    from phaselock.audio.microphone import record  # late: most sessions need neither
    from phaselock.audio.song_listening import analyse

    check_ns = length_ns(len(roles))
    wait_ns = begin_session_ns - clock_map.session_from_local(_native.now_ns())
    if wait_ns > MAX_WAIT_NS or check_ns > MAX_CHECK_NS:  # the memory of the recording would have no limit
        raise PhaseLockError("The host asks for a recording that is too long.")
    recording = record(max(0.0, (wait_ns + check_ns) / 1e9) + AFTER_S, 1, input_name or None, stop=stop)
    begin_ns = clock_map.session_from_local(recording.begin_local_ns) - begin_session_ns
    if stop.is_set():
        return ()
    rate_hz, first = plan.timeline.rate_hz, plan.timeline.frame_at(begin_session_ns)
    song = bytearray(4 * CHANNELS * (check_ns * rate_hz // 1_000_000_000 + 1))
    with Mp3Source(plan.path, inspect.still(plan.path, plan.track.file_name, plan.track.sha256)) as source:
        source.seek(first)
        source.read_into(song, len(song) // (4 * CHANNELS))
    song_begin_ns = plan.timeline.session_ns_at(first) - begin_session_ns
    return analyse(recording.frames, recording.rate_hz, begin_ns, song, rate_hz, song_begin_ns, roles).arrivals
