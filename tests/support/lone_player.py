"""A process that plays a compass (tests/support/pcm.py) without a session, on the local clock.

usage: python -m tests.support.lone_player BACKEND [--device NAME] [--correct NAME=MS ...] [--no-account] [--at-last]

The track starts at the time of the local clock in ns that is the first line of standard input. With --at-last the
player learns of it as late as its lead allows. Without an output NAME it plays on the default one. It writes the
device's events and then, ten times a second, the engine's status to standard output, one JSON object a line. The
process ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import threading
import uuid

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.audio.interface import AudioEvent, DeviceChanged, LevelsChanged, Plan
from phaselock.audio.player import Player
from phaselock.model.choices import BACKENDS
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from tests.support.pcm import CompassSource

RATE_HZ = 48_000
TURN_S = 10
"""The place in the track is known modulo this time."""
LOOK_EVERY_S = 0.1
LENGTH_S = 3600
MARGIN_S = 0.04
"""Part of the time before the start: for opening, seeking and decoding the file."""


class UntoldDevice(Device):
    """A device without the platform's latency report. It plays late by the length of its buffer."""

    def account(self) -> None:
        return None

    def output_latency_ns(self) -> int | None:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("--device")
    parser.add_argument("--correct", action="append", default=[])
    parser.add_argument("--no-account", action="store_true")
    parser.add_argument("--at-last", action="store_true")
    arguments = parser.parse_args()
    corrections_ms = {name: float(ms) for name, ms in (one.split("=") for one in arguments.correct)}
    output = UntoldDevice if arguments.no_account else Device
    writing = threading.Lock()

    def tell(event: str, **fields: object) -> None:
        with writing:
            print(json.dumps({"event": event, "at_ns": _native.now_ns(), **fields}), flush=True)

    def on_event(event: AudioEvent) -> None:
        if isinstance(event, LevelsChanged):
            return
        assert isinstance(event, DeviceChanged), event
        if event.state == "open":
            player.set_correction_ms(corrections_ms.get(event.device_name or "", 0.0))
        tell("device", state=event.state, name=event.device_name, detail=event.detail)

    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    player = Player(
        _native.ClockMap(identity=True),
        lambda engine: output(engine, "phaselock-test", arguments.backend, arguments.device, or_default=True),
        lambda plan: CompassSource(plan.track.frames, TURN_S * RATE_HZ),
    )
    player.start(on_event)
    start_ns = int(sys.stdin.readline() or 0)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    follows, wait_s = False, 0.0
    while not ended.wait(wait_s):
        engine, status = player.engine.status(), player.status()
        left_s = (start_ns - _native.now_ns() - engine.lead_ns) / 1e9 - MARGIN_S
        if not follows and (left_s <= 0 or not arguments.at_last):
            player.follow(_plan(start_ns))
            follows = True
        tell("look", device=status.device_name, timing=status.timing, **engine._asdict())
        wait_s = LOOK_EVERY_S if follows else min(LOOK_EVERY_S, left_s)
    player.close()


def _plan(start_ns: int) -> Plan:
    track = Track(uuid.UUID(int=1), "compass.mp3", 1, bytes(32), RATE_HZ, LENGTH_S * RATE_HZ)
    return Plan(Timeline(track.file_id, RATE_HZ, 0, start_ns), track, pathlib.Path(track.file_name))


if __name__ == "__main__":
    main()
