"""What a listener of a check does with its recording and its song."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from typing import Any

import numpy as np
import pytest

import phaselock.data
from phaselock import _native
from phaselock.app.hearing import hear_song
from phaselock.audio.interface import Plan
from phaselock.audio.microphone import Recording
from phaselock.audio.music import Inspector, inspect
from phaselock.errors import PhaseLockError
from phaselock.model.microphone import HeardPass
from phaselock.model.timeline import Timeline
from phaselock.model.turns import FADE_NS, length_ns, quiet
from phaselock.storage.hashing import hash_file
from tests.support.simulation import SECOND, a_track

TUNE = pathlib.Path(phaselock.data.__file__).with_name("tune.mp3")
OFFSET_NS = 10**15
"""Session time minus local time."""
CLOCK: Any = type("Map", (), {"session_from_local": staticmethod(lambda local_ns: local_ns + OFFSET_NS)})
LATE_S = (0.05, 0.0523)
"""When the two machines play, with the microphone's own delay."""


def plan(start_session_ns: int) -> Plan:
    info, (sha256, _) = inspect(TUNE), hash_file(TUNE)
    track = a_track(rate_hz=info.rate_hz, frames=info.frames, sha256=sha256, file_name=TUNE.name)
    return Plan(Timeline(track.file_id, info.rate_hz, 0, start_session_ns), track, TUNE)


@pytest.mark.slow
def test_the_song_of_the_listener_is_found_in_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plan(_native.now_ns() + OFFSET_NS - 2 * SECOND)
    begin_ns, rate_hz = task.timeline.start_session_ns + 3 * SECOND, task.timeline.rate_hz

    def record(seconds: float, channels: int, input_name: str | None, **_: object) -> Recording:
        assert (channels, input_name) == (1, "Desk")
        frames = round(seconds * rate_hz)
        stereo = np.zeros((task.track.frames, 2), np.float32)
        with contextlib.closing(inspect(TUNE).open(TUNE)) as source:
            source.read_into(stereo, len(stereo))
        heard_ns = begin_ns - SECOND + np.arange(frames) * (SECOND / rate_hz)
        sound = np.zeros(frames)
        for machine, late_s in enumerate(LATE_S):
            left_ns = heard_ns - late_s * 1e9
            silent = np.zeros(frames)
            for span in quiet(machine, 2):
                inside = np.minimum(left_ns - begin_ns - span.begin_ns, begin_ns + span.end_ns - left_ns)
                silent = np.maximum(silent, np.clip(inside / FADE_NS, 0, 1))
            place = (left_ns - task.timeline.start_session_ns) * (rate_hz / SECOND)
            played = np.interp(place, np.arange(len(stereo)), stereo.mean(1))
            sound += played * (0.5 + 0.5 * np.cos(np.pi * silent))
        return Recording(rate_hz, sound.astype(np.float32).tobytes(), begin_ns - SECOND - OFFSET_NS)

    monkeypatch.setattr("phaselock.audio.microphone.record", record)
    heard = hear_song(CLOCK, lambda: "Desk", Inspector(), begin_ns, task, ("stereo", "mono"), threading.Event())
    first, second = heard.arrivals
    assert first.offset_ns == 0 and second.offset_ns == pytest.approx(2_300_000, abs=50_000)


def test_a_recording_has_a_limit_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.audio.microphone.record", lambda *_, **__: pytest.fail("it is recorded"))
    now_ns, stop = _native.now_ns() + OFFSET_NS, threading.Event()
    for begin_ns, machines in ((now_ns + 60 * SECOND, 2), (now_ns, 64)):
        with pytest.raises(PhaseLockError, match="too long"):
            hear_song(CLOCK, lambda: None, Inspector(), begin_ns, plan(now_ns), ("stereo",) * machines, stop)
    assert length_ns(6) < 25 * SECOND
    stop.set()
    monkeypatch.setattr("phaselock.audio.microphone.record", lambda *_, **__: Recording(48000, b"", 0))
    assert hear_song(CLOCK, lambda: None, Inspector(), now_ns, plan(now_ns), ("stereo",) * 2, stop) == HeardPass()
