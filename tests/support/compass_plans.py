"""Plans of the compass (tests/support/pcm.py), for tests of the decks and the player."""

from __future__ import annotations

import pathlib
from uuid import UUID

from phaselock.audio.interface import Plan
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track

TRACK_HZ = 22050
DEVICE_HZ = 24000
BLOCK = 240
"""Frames that the device asks for at once."""
T0_NS = 5_000_000_000_000
"""Session time 0 of the tests."""
SECOND = 1_000_000_000


def plan(anchor: int, start_s: float, stop_s: float | None = None, *, seconds: float = 60, number: int = 1) -> Plan:
    """Frame `anchor` of track `number` at `start_s`, until `stop_s`, both after `T0_NS`; the track has `seconds`."""
    frames = round(seconds * TRACK_HZ)
    start_ns = T0_NS + round(start_s * SECOND)
    stop_ns = None if stop_s is None else T0_NS + round(stop_s * SECOND)
    track = Track(UUID(int=number), f"{number}.mp3", 1, bytes(32), TRACK_HZ, frames)
    return Plan(Timeline(track.file_id, TRACK_HZ, anchor, start_ns, stop_ns), track, pathlib.Path(f"{number}.mp3"))
