"""The player's threads, with outputs that the test opens, stops and removes."""

from __future__ import annotations

import dataclasses
import math
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock import _native
from phaselock.audio import player as player_module
from phaselock.audio.interface import AudioEvent, DeviceChanged, LevelsChanged, Plan
from phaselock.audio.player import Player
from phaselock.errors import AudioDeviceError
from phaselock.model.timing import Timing
from tests.support.compass_plans import BLOCK, DEVICE_HZ, TRACK_HZ, plan
from tests.support.pcm import CompassSource, loudness, stereo


@dataclasses.dataclass(frozen=True)
class Info:
    rate_hz: int


class FakeOutput:
    """An output whose callbacks the test makes."""

    def __init__(self, world: World, engine: _native.Engine) -> None:
        self.world, self.engine = world, engine
        self.started = self.lost = self.closed = False
        self.latency_at_rest_ns = 0

    def open(self) -> Info:
        self.world.tries += 1
        if self.world.absent:
            raise AudioDeviceError("No audio output detected.")
        return Info(DEVICE_HZ)

    def start(self) -> None:
        self.started = True
        self.world.outputs.put(self)

    def can_rest(self) -> bool:
        return self.world.can_rest

    def rest(self) -> None:
        self.latency_at_rest_ns = self.world.player.status().output_latency_ns
        self.world.rests.put(self)

    def is_running(self) -> bool:
        return not self.lost

    def output_latency_ns(self) -> int | None:
        return self.world.latency_ns

    def account(self) -> None:
        return None

    def plays_on(self) -> str:
        return self.world.name

    def timing(self) -> Timing:
        return self.world.timing

    def unreported_ns(self) -> int | None:
        return self.world.unreported_ns

    def close(self) -> bool:
        self.closed = True
        return not self.world.hangs


class World:
    def __init__(self, *, absent: bool = False) -> None:
        self.absent = absent
        self.tries = 0
        self.hangs = self.can_rest = False
        self.rests: queue.SimpleQueue[FakeOutput] = queue.SimpleQueue()
        self.latency_ns: int | None = 20_000_000
        self.name = "fake"
        self.timing: Timing = "told"
        self.unreported_ns: int | None = 0
        self.outputs: queue.SimpleQueue[FakeOutput] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[AudioEvent] = queue.SimpleQueue()
        self.player = Player(
            _native.ClockMap(identity=True),
            lambda engine: FakeOutput(self, engine),
            lambda wanted: CompassSource(wanted.track.frames),
        )

    def event(self) -> AudioEvent:
        return self.events.get(timeout=60)

    def sounds(self, output: FakeOutput, callbacks: int = 6000) -> bool:
        """Make callbacks in real time, as a card does, until sound leaves; at most `callbacks` of them."""
        pause, next_ns = threading.Event(), _native.now_ns()
        for _ in range(callbacks):
            pause.wait(max(0, next_ns - _native.now_ns()) / 1e9)
            if loudness(stereo(output.engine.process(BLOCK, next_ns))).max() > 0.9:
                return True
            next_ns += BLOCK * 1_000_000_000 // DEVICE_HZ
        return False


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    one.player.start(one.events.put)
    yield one
    one.player.close()


def test_no_output_is_opened_before_start() -> None:
    """Otherwise the event with the name of the output would come before there is a receiver."""
    early = World()
    early.player.close()
    assert early.outputs.empty() and early.events.empty()


def running(anchor: int = 0) -> Plan:
    """A plan that starts in half a second on the real clock."""
    made = plan(anchor, 0, seconds=600)
    start_ns = _native.now_ns() + 500_000_000
    return dataclasses.replace(made, timeline=dataclasses.replace(made.timeline, start_session_ns=start_ns))


def test_a_plan_sounds_and_the_output_is_reported(world: World) -> None:
    output = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.player.follow(running())
    assert world.sounds(output)
    status = world.player.status()
    assert (status.device_name, status.device_rate_hz) == ("fake", DEVICE_HZ)
    assert status.output_latency_ns == 20_000_000
    assert status.playing


def test_the_unreported_delay_is_part_of_the_uncertainty(world: World) -> None:
    output = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.player.follow(running())
    assert world.sounds(output)
    status = world.player.status()
    assert status.dac_uncertainty_ns == status.dac_deviation_ns
    world.unreported_ns = 40_000_000
    world.timing = "exact"
    assert world.event() == DeviceChanged("open", "fake", "", "exact")
    status = world.player.status()
    assert status.dac_uncertainty_ns == round(math.hypot(status.dac_deviation_ns, 40_000_000))
    world.unreported_ns, world.timing = None, "unknown"
    assert world.event() == DeviceChanged("open", "fake", "", "unknown")
    status = world.player.status()
    assert (status.timing, status.dac_uncertainty_ns) == ("unknown", None)


def test_a_change_of_what_the_output_plays_is_told(world: World) -> None:
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    for change in (
        lambda: world.player.set_volume(0.5),
        lambda: world.player.set_role("left"),
        lambda: world.player.set_trim_db(-3.0),
        lambda: world.player.set_correction_ms(12.0),
    ):
        change()
        assert world.event() == LevelsChanged()


def test_a_stream_that_is_moved_has_the_name_of_its_new_output(world: World) -> None:
    world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.name = "another"
    assert world.event() == DeviceChanged("open", "another", "", "told")
    assert world.player.status().device_name == "another"


def test_a_lost_output_is_opened_again_and_the_plan_goes_on(world: World) -> None:
    first = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.player.follow(running())
    assert world.sounds(first)
    world.absent = True
    first.lost = True
    assert world.event() == DeviceChanged("lost", None, "fake is gone.")
    assert first.closed
    assert world.player.status().device_name is None
    assert not world.player.status().playing
    world.absent = False
    second = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    assert second is not first
    assert world.sounds(second)
    world.name = "another"
    second.lost = True
    assert world.event() == DeviceChanged("lost", None, "fake is gone.")
    assert world.event() == DeviceChanged("open", "another", "fake is gone. Playing on another.", "told")


def test_an_output_rests_until_a_plan_wakes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the time that it needs to wake is told before it rests, as a part of its latency."""
    monkeypatch.setattr(player_module, "_REST_AFTER_S", 2.0)
    monkeypatch.setattr(player_module, "_TOLD_BEFORE_S", 1.5)
    output = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.can_rest = True
    assert world.event() == LevelsChanged()
    assert world.rests.get(timeout=60) is output
    assert output.latency_at_rest_ns == 320_000_000
    assert world.player.status().device_name == "fake"
    world.player.follow(running())
    assert world.outputs.get(timeout=60) is output
    assert world.sounds(output)
    assert world.player.status().output_latency_ns == 20_000_000
    assert world.events.empty()


def test_an_output_that_is_lost_while_it_rests_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "_REST_AFTER_S", 0.0)
    world.can_rest = True
    first = world.rests.get(timeout=60)
    world.can_rest = False
    first.lost = True
    assert world.outputs.get(timeout=60) is first
    second = world.outputs.get(timeout=60)
    assert second is not first
    world.player.follow(running())
    assert world.sounds(second)


def test_a_player_ends_while_its_output_rests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "_REST_AFTER_S", 0.0)
    world.can_rest = True
    output = world.rests.get(timeout=60)
    world.player.close()
    assert output.closed


def test_each_new_output_is_silent_in_the_quiet_spans(world: World) -> None:
    world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    now_ns = _native.now_ns()
    world.player.set_quiet([(now_ns - 60_000_000_000, now_ns + 3600_000_000_000)])
    world.player.follow(running())
    for hangs in (False, True):
        world.hangs = hangs
        world.player.reopen()
        output = world.outputs.get(timeout=60)
        assert world.event() == DeviceChanged("open", "fake", "", "told")
        assert not world.sounds(output, 100)
    world.hangs = False
    world.player.set_quiet([])
    assert world.sounds(output)


def test_an_output_that_cannot_be_closed_keeps_its_engine(world: World) -> None:
    first = world.outputs.get(timeout=60)
    assert world.event() == DeviceChanged("open", "fake", "", "told")
    world.player.follow(running())
    assert world.sounds(first)
    world.player.set_volume(0.98)
    world.player.set_trim_db(-0.1)
    world.player.set_role("right")
    world.hangs = first.lost = True
    second = world.outputs.get(timeout=60)
    assert second.engine is not first.engine
    assert world.sounds(second)
    assert world.player.engine is second.engine
    assert world.player.status().volume == 0.98 and world.player.status().trim_db == -0.1
    block = stereo(second.engine.process(BLOCK, _native.now_ns()))
    assert block.any() and (block[:, 0] == block[:, 1]).all()
    assert second.engine.status().volume == pytest.approx(0.98**3 * 10**-0.005)
    world.hangs = False


def test_a_missing_output_is_reported_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "_RETRY_AFTER_S", (0.01,))
    world = World(absent=True)
    world.player.start(world.events.put)
    try:
        assert world.event() == DeviceChanged("none", None, "No audio output detected.")
        pause = threading.Event()
        while world.tries < 4:
            pause.wait(0.01)
        assert world.events.empty()
        world.absent = False
        world.outputs.get(timeout=60)
        assert world.event() == DeviceChanged("open", "fake", "", "told")
    finally:
        world.player.close()


def test_the_users_correction_adds_to_the_platforms_latency(world: World) -> None:
    world.outputs.get(timeout=60)
    world.event()
    world.player.set_correction_ms(-7.5)
    assert world.player.status().output_latency_ns == 12_500_000


def test_the_volume_is_a_cubic_gain_of_the_engine(world: World) -> None:
    output = world.outputs.get(timeout=60)
    world.player.set_volume(0.5)
    output.engine.process(BLOCK, _native.now_ns())
    assert output.engine.status().volume == 0.125
    assert world.player.status().volume == 0.5


def test_a_trim_multiplies_the_volume_and_does_not_change_it(world: World) -> None:
    output = world.outputs.get(timeout=60)
    world.player.set_volume(0.5)
    world.player.set_trim_db(-6.0)
    output.engine.process(BLOCK, _native.now_ns())
    assert output.engine.status().volume == pytest.approx(0.125 * 10**-0.3)
    world.player.set_volume(1.0)
    output.engine.process(BLOCK, _native.now_ns())
    assert output.engine.status().volume == pytest.approx(10**-0.3)
    assert world.player.status().volume == 1 and world.player.status().trim_db == -6


def test_closing_ends_everything_while_a_plan_plays(world: World) -> None:
    output = world.outputs.get(timeout=60)
    world.player.follow(running(anchor=TRACK_HZ))
    assert world.sounds(output)
    world.player.close()
    assert output.closed


def test_no_failure_ends_the_threads(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    """The output is opened again, and the plan plays."""
    world = World()
    pump, new_output, told = world.player._decks.pump, world.player._new_output, world.events.put
    failures = {"pump": 1, "output": 1, "event": 1}

    def fails(part: str) -> None:
        failures[part] -= 1
        if failures[part] >= 0:
            raise ValueError(part)

    def failing_pump(*arguments: Any, **more: Any) -> Any:
        fails("pump")
        return pump(*arguments, **more)

    def failing_output(engine: _native.Engine) -> Any:
        fails("output")
        return new_output(engine)

    def failing_event(event: AudioEvent) -> None:
        told(event)
        fails("event")

    monkeypatch.setattr(world.player._decks, "pump", failing_pump)
    monkeypatch.setattr(world.player, "_new_output", failing_output)
    world.player.start(failing_event)
    try:
        reason = "Something went wrong inside PhaseLock. The log tells more: phaselock log"
        assert world.event() == DeviceChanged("none", None, reason)
        output = world.outputs.get(timeout=60)
        assert world.event() == DeviceChanged("open", "fake", "", "told")
        world.player.follow(running())
        assert world.sounds(output)
    finally:
        world.player.close()
    assert sorted(bugs) == [
        "a round of the player failed: ValueError('pump')",
        "an event of the audio output failed: ValueError('event')",
        "the audio output failed: ValueError('output')",
    ]
