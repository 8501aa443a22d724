"""All threads of the native core at once, for a sanitizer to watch: a peer that plays on miniaudio's null backend.

usage: python -m tests.native.thread_driver SECONDS

The threads are the device's own with the data callback, the decode thread, the thread that watches the device, the
clock threads of host and peer, one that reads the status, and the main thread with the commands of a session.
"""

from __future__ import annotations

import pathlib
import random
import socket
import sys
import threading
import time
import uuid

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.audio.interface import Plan
from phaselock.audio.player import Player
from phaselock.model.role import ROLES
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.sync.clock import HostClock, PeerClock
from tests.support.pcm import CompassSource

MS = 1_000_000
RATES_HZ = (22_050, 44_100, 48_000)
TRACK_S = 600
CLOCK_TIMEOUT_S = 60
PEER_ID = 3


class Jam:
    """A host's clock and a peer on this machine, and a player that follows random commands."""

    def __init__(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
        self.host = HostClock(listener)
        self.host.allow(PEER_ID, address[0], bytes(16))
        self.peer = PeerClock(*address, PEER_ID, bytes(16))
        self.chance = random.Random(1)
        _native.Engine.set_user_offset(USER_DATA_OFFSET)
        self.player = Player(
            self.peer.clock_map,
            lambda engine: Device(engine, "phaselock-test", "null"),
            lambda plan: CompassSource(plan.track.frames),
        )
        self.closing = threading.Event()
        self.reader = threading.Thread(target=self.read)
        self.heard = False

    def now_ns(self) -> int:
        return self.peer.clock_map.session_from_local(_native.now_ns())

    def read(self) -> None:
        while not self.closing.wait(0.001):
            self.heard |= self.player.status().playing
            self.peer.status(_native.now_ns())
            self.host.log_counts()

    def plan(self, begin_ns: int, stop_ns: int | None = None) -> Plan:
        """A track that begins then, from any place."""
        rate_hz = self.chance.choice(RATES_HZ)
        track = Track(uuid.UUID(int=1 + self.chance.randrange(9)), "a.mp3", 1, bytes(32), rate_hz, TRACK_S * rate_hz)
        anchor = self.chance.randrange(track.frames // 2)
        return Plan(Timeline(track.file_id, rate_hz, anchor, begin_ns, stop_ns), track, pathlib.Path("a.mp3"))

    def command(self) -> None:
        """What a session may ask of a player, and a membership of a clock."""
        now_ns = self.now_ns()
        match self.chance.randrange(12):
            case 0:
                self.player.set_volume(self.chance.random())
            case 1:
                self.player.set_role(self.chance.choice(ROLES))
            case 2:
                self.player.set_quiet([(now_ns, now_ns + 300 * MS), (now_ns + 400 * MS, now_ns + 500 * MS)])
            case 3:
                self.player.follow(None)
            case 4:
                change_ns = now_ns + 200 * MS
                self.player.follow(self.plan(now_ns - 50 * MS, change_ns), self.plan(change_ns))
            case 5:
                key = self.chance.randbytes(16)
                self.host.forbid(PEER_ID)
                self.host.allow(PEER_ID, "127.0.0.1", key)
                self.peer.use_key(key)
            case 6:
                self.player.reopen()
            case _:
                self.player.follow(self.plan(now_ns + self.chance.randrange(-50, 100) * MS))

    def run(self, seconds: float) -> None:
        self.player.start(lambda event: None)
        self.reader.start()
        until_s = time.monotonic() + CLOCK_TIMEOUT_S
        while not self.peer.clock_map.value().valid:
            assert time.monotonic() < until_s, "the clock is not known"
            time.sleep(0.01)
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s or not self.heard:
            self.command()
            time.sleep(0.02)
        self.closing.set()
        self.reader.join()
        self.player.close()
        self.peer.close()
        self.host.close()


if __name__ == "__main__":
    Jam().run(float(sys.argv[1]))
