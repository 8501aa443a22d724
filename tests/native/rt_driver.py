"""Run one scenario with rt_shim preloaded: the engine's own data callback, called as miniaudio does, at chosen times.

usage: LD_PRELOAD=SHIM python rt_driver.py SHIM SCENARIO
"""

from __future__ import annotations

import array
import ctypes
import math
import random
import struct
import sys

from phaselock import _native
from phaselock.model.role import ROLES

DEVICE_RATE_HZ = 48000
LATENCY_NS = 30_000_000
USER_OFFSET = 16


class World:
    """An engine on a sound card that requests a block each time one is due."""

    def __init__(self, shim: ctypes.CDLL) -> None:
        self.now_ns = 1_000_000_000_000
        self.clock_map = _native.ClockMap()
        self.engine = _native.Engine(self.clock_map)
        self.engine.set_output_latency(LATENCY_NS)
        self.engine.stream(DEVICE_RATE_HZ)
        _native.Engine.set_user_offset(USER_OFFSET)
        self.device = ctypes.create_string_buffer(struct.pack("@16xP", self.engine.address))
        self.output = (ctypes.c_float * (2 * 16384))()
        self.loudest = 0.0
        self.decoders: dict[int, tuple[int, int]] = {}  # deck: generation, frames still to come
        self.random = random.Random(1)
        self.noise = array.array("f", self.random.choices((-0.5, 0.5), k=2 * 8192))
        self.rt_call = shim.rt_call
        self.rt_call.restype = None
        self.rt_call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64]
        self.set_clock(7_000_000)

    def set_clock(self, offset_ns: int) -> None:
        self.clock_map.set(self.now_ns, offset_ns, 20e-6, 1000.0, 1e-6)
        self.offset_ns = offset_ns

    def session_in(self, seconds: float) -> int:
        """The session time at which a frame is heard that is requested in `seconds` seconds."""
        return self.now_ns + self.offset_ns + LATENCY_NS + round(seconds * 1e9)

    def play(
        self, start_ns: int, *, rate_hz: int = 44100, frame: int = 0, frames: int = 1 << 40, seamless: bool = False
    ) -> int:
        """Arm a free deck, with its ring full, to start at a session time. Returns its number."""
        deck = self.engine.free_deck()
        self.decoders[deck] = self.engine.reset_deck(deck, frame), frames - frame
        self.decode()
        assert self.engine.arm(deck, rate_hz, frame, start_ns, seamless=seamless)
        return deck

    def decode(self) -> None:
        for deck, (generation, left) in list(self.decoders.items()):
            while left > 0:
                wrote = self.engine.write(deck, generation, self.noise[: 2 * min(left, 8192)])
                if wrote <= 0:
                    break
                left -= wrote
            self.decoders[deck] = generation, left
            if left == 0:
                self.engine.finish(deck, generation)

    def card(
        self, seconds: float, *, block: int = 480, late_ns: int = 0, decoding: bool = True
    ) -> _native.EngineStatus:
        """Run `seconds` seconds of callbacks. Returns the status after them."""
        for _ in range(math.ceil(seconds * DEVICE_RATE_HZ / block)):
            if decoding:
                self.decode()
            called_ns = self.now_ns + late_ns + round(self.random.expovariate(1 / 50_000))
            self.rt_call(self.engine.callback_address, self.device, self.output, block, called_ns)
            self.now_ns += block * 1_000_000_000 // DEVICE_RATE_HZ
        self.loudest = max(self.output[: 2 * block])
        return self.engine.status()


def planted(shim: ctypes.CDLL, act: str) -> None:
    output = ctypes.create_string_buffer(64)
    shim.rt_call(getattr(shim, f"planted_{act}"), None, output, ctypes.c_uint32(64), ctypes.c_int64(0))


def play(world: World) -> None:
    assert not world.card(0.5).audible
    world.play(world.session_in(0.105))
    assert not world.card(0.09).audible
    assert world.card(1).audible and world.loudest > 0.1


def play_for_minutes(world: World) -> None:
    """Long enough for the oldest callbacks to be forgotten."""
    world.play(world.session_in(0))
    status = world.card(90, block=2400)
    assert status.audible and status.underruns == status.jumps == status.slips == 0


def play_at_device_rate(world: World) -> None:
    world.play(world.session_in(0.1), rate_hz=DEVICE_RATE_HZ)
    assert world.card(0.5).audible and world.loudest > 0.1


def play_in_odd_blocks(world: World) -> None:
    world.play(world.session_in(0.1), rate_hz=32000)
    for block in (1, 7, 64, 441, 1024, 4096, 8192, 480):
        status = world.card(0.4, block=block)
    assert status.audible and world.loudest > 0.1


def seek(world: World) -> None:
    first = world.play(world.session_in(0))
    assert world.card(0.5).audible
    second = world.play(world.session_in(0.1), frame=10_000_000)
    assert world.card(0.5).audible and world.engine.deck(second).want_frame > 10_000_000
    assert not world.engine.deck(first).armed


def pause(world: World) -> None:
    deck = world.play(world.session_in(0))
    assert world.card(0.5).audible
    assert world.engine.stop_at(world.session_in(0.1))
    assert world.card(0.05).audible
    assert not world.card(0.2).audible and world.loudest == 0
    assert not world.engine.deck(deck).armed


def cancel(world: World) -> None:
    sounding, armed = world.play(world.session_in(0)), world.play(world.session_in(9), seamless=True)
    assert world.card(0.5).audible
    assert world.engine.cancel(sounding) and world.engine.cancel(armed)
    assert not world.card(0.2).audible
    assert not world.engine.deck(sounding).armed and not world.engine.deck(armed).armed


def end_of_track(world: World) -> None:
    deck = world.play(world.session_in(0.1), frames=22050)
    assert world.card(0.5).audible
    assert not world.card(0.2).audible and world.loudest == 0
    assert not world.engine.deck(deck).armed


def next_track(world: World) -> None:
    start_ns = world.session_in(0.1)
    first = world.play(start_ns, frames=22050)
    second = world.play(start_ns + 500_000_000, rate_hz=48000, seamless=True)
    assert world.card(0.5).audible and world.engine.deck(first).armed
    status = world.card(0.5)
    assert status.audible and status.underruns == 0
    assert not world.engine.deck(first).armed
    assert world.engine.deck(second).want_frame > 10_000


def underrun(world: World) -> None:
    world.play(world.session_in(0))
    assert world.card(2.7, decoding=False).audible
    assert world.card(0.4, decoding=False).underruns == 1
    assert not world.card(1, decoding=False).audible
    status = world.card(2)
    assert status.underruns == 1 and status.audible and world.loudest > 0.1


def volume(world: World) -> None:
    world.play(world.session_in(0))
    loud = world.card(0.5)
    world.engine.set_volume(0.0)
    silent = world.card(0.1)
    assert (loud.volume, silent.volume, world.loudest) == (1.0, 0.0, 0.0)
    world.engine.set_volume(0.5)
    assert world.card(0.1).volume == 0.5 and world.loudest > 0.1


def role(world: World) -> None:
    world.play(world.session_in(0))
    for one in ROLES:
        world.engine.set_role(one)
        world.card(0.1)
    assert world.loudest > 0.1


def clock_steps(world: World) -> None:
    world.play(world.session_in(0))
    assert world.card(0.5).jumps == 0
    world.set_clock(world.offset_ns + 50_000_000)
    assert world.card(0.5).jumps == 1
    world.set_clock(world.offset_ns - 2_000_000)
    status = world.card(0.5)
    assert status.jumps == 1 and abs(status.correction_ppm) > 100 and status.audible


def card_slips(world: World) -> None:
    world.play(world.session_in(0))
    assert world.card(5).slips == 0
    status = world.card(1, late_ns=10_000_000)
    assert status.slips == 1 and status.audible


def no_clock(world: World) -> None:
    world.engine = _native.Engine(_native.ClockMap())
    world.engine.stream(DEVICE_RATE_HZ)
    world.device = ctypes.create_string_buffer(struct.pack("@16xP", world.engine.address))
    world.play(world.session_in(0))
    status = world.card(0.5)
    assert not status.following and not status.audible and world.loudest == 0


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        play,
        play_for_minutes,
        play_at_device_rate,
        play_in_odd_blocks,
        seek,
        pause,
        cancel,
        end_of_track,
        next_track,
        underrun,
        volume,
        role,
        clock_steps,
        card_slips,
        no_clock,
    )
}

if __name__ == "__main__":
    shim = ctypes.CDLL(sys.argv[1])
    if sys.argv[2] == "catches-all":
        sys.exit(not shim.rt_catches_all())
    elif sys.argv[2] == "planted":
        planted(shim, sys.argv[3])
    else:
        SCENARIOS[sys.argv[2]](World(shim))
