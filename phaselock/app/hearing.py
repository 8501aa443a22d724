"""Hear with this machine's microphone when the sound of each machine arrives: the listener's part of a calibration and
of a check."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from phaselock import _native
from phaselock.audio.formats.base import CHANNELS
from phaselock.audio.interface import Plan
from phaselock.audio.music import Inspector
from phaselock.errors import PhaseLockError
from phaselock.model import sweeps, turns
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.role import Role

if TYPE_CHECKING:
    from phaselock.audio.microphone import Recording

InputName: TypeAlias = Callable[[], str | None]
"""The sound input to record; None: the default one of the system."""

AFTER_PASS_S, AFTER_CHECK_S = 0.9, 1.3
"""How long a microphone records after the last sound: for the delays that machines hide, and its own."""
MAX_WAIT_NS = 20_000_000_000
"""What is heard begins within this time."""

_log = logging.getLogger("phaselock.app.hearing")


def hear_pass(
    clock_map: _native.ClockMap,
    input_name: InputName,
    begin_session_ns: int,
    machines: Sequence[sweeps.Sounds],
    stop: threading.Event,
) -> HeardPass:
    """Record the calibration pass that begins then, and find the sounds of all machines in it. PhaseLockError if the
    host asks for too much."""
    from phaselock.audio.listening import MAX_CLIPPED_SHARE, analyse  # late: most sessions need neither

    length_ns = sweeps.length_ns(machines)
    recording = _record(clock_map, input_name, begin_session_ns, length_ns, sweeps.MAX_PASS_NS, AFTER_PASS_S, stop)
    if isinstance(recording, MicrophoneFault):
        return HeardPass(fault=recording)
    begin_ns = clock_map.session_from_local(recording.begin_local_ns) - begin_session_ns
    heard = analyse(recording.frames, recording.rate_hz, begin_ns, machines)
    if heard.clipped_share > MAX_CLIPPED_SHARE:
        return HeardPass(fault=MicrophoneFault.CLIPPED)
    return HeardPass(heard.arrivals, microphone_ppm=heard.microphone_ppm)


def hear_song(
    clock_map: _native.ClockMap,
    input_name: InputName,
    inspect: Inspector,
    begin_session_ns: int,
    plan: Plan,
    roles: Sequence[Role],
    stop: threading.Event,
) -> HeardPass:
    """Record the check that begins then, and find in it the song of `plan` from each machine. PhaseLockError if the
    host asks for too much, or the song cannot be read."""
    from phaselock.audio.song_listening import analyse  # late: most sessions do not need it

    check_ns = turns.length_ns(len(roles))
    recording = _record(clock_map, input_name, begin_session_ns, check_ns, turns.MAX_CHECK_NS, AFTER_CHECK_S, stop)
    if isinstance(recording, MicrophoneFault):
        return HeardPass(fault=recording)
    if stop.is_set():
        return HeardPass()
    begin_ns = clock_map.session_from_local(recording.begin_local_ns) - begin_session_ns
    rate_hz, first = plan.timeline.rate_hz, plan.timeline.frame_at(begin_session_ns)
    song = bytearray(4 * CHANNELS * (check_ns * rate_hz // 1_000_000_000 + 1))
    music = inspect.still(plan.path, plan.track.file_name, plan.track.sha256)
    with contextlib.closing(music.open(plan.path)) as source:
        source.seek(first)
        source.read_into(song, len(song) // (4 * CHANNELS))
    song_begin_ns = plan.timeline.session_ns_at(first) - begin_session_ns
    heard = analyse(recording.frames, recording.rate_hz, begin_ns, song, rate_hz, song_begin_ns, roles)
    return HeardPass(heard.arrivals, microphone_ppm=heard.microphone_ppm)


def _record(
    clock_map: _native.ClockMap,
    input_name: InputName,
    begin_session_ns: int,
    length_ns: int,
    most_ns: int,
    after_s: float,
    stop: threading.Event,
) -> Recording | MicrophoneFault:
    """Record from now to `after_s` after what begins then and lasts `length_ns`. PhaseLockError if that is too long:
    the memory of the recording would have no limit."""
    from phaselock.audio.listening import is_silent  # late: most sessions need neither
    from phaselock.audio.microphone import MicrophoneError, record

    wait_ns = begin_session_ns - clock_map.session_from_local(_native.now_ns())
    if wait_ns > MAX_WAIT_NS or length_ns > most_ns:
        raise PhaseLockError("The host asks for a recording that is too long.")
    try:
        seconds = max(0.0, (wait_ns + length_ns) / 1e9) + after_s
        recording = record(seconds, 1, input_name(), stop=stop, monitors=False)
    except MicrophoneError as error:
        _log.error("%s", error)
        return error.fault
    if is_silent(recording.frames) and not stop.is_set():
        return MicrophoneFault.SILENT_ON_MACOS if sys.platform == "darwin" else MicrophoneFault.SILENT
    return recording
