from __future__ import annotations

import os
import pathlib
import random
import sys

import pytest

from phaselock.audio.latency import open_probe, probe
from phaselock.audio.latency.alsa import AlsaProbe
from phaselock.audio.latency.probe import LowestSums, PeriodProbe

RATE_HZ, PERIOD = 48000, 1200
PERIOD_NS = 25_000_000


class Stream:
    """A sound server in simulated time: it asks for `quantum` frames whenever it has that much less than `held`;
    miniaudio takes them from callbacks of PERIOD frames, the next of which comes as soon as the last is used up."""

    def __init__(self, held: int, quantum: int, behind_ns: int) -> None:
        self.held, self.quantum, self.behind_ns = held, quantum, behind_ns
        self.written = self.in_hand = self.frames = self.writes = 0
        self.now_ns = 0
        self.asked_ns = 0
        self._write(held)

    def _write(self, count: int) -> None:
        self.written += count
        while self.in_hand <= count:
            count -= self.in_hand
            self.in_hand = PERIOD
            self.frames += PERIOD
            self.asked_ns = self.now_ns
        self.in_hand -= count

    def advance(self, by_ns: int) -> None:
        self.now_ns += by_ns
        while self.writes < self._played() // self.quantum:
            self.writes += 1
            end_ns, self.now_ns = self.now_ns, self.writes * self.quantum * 10**9 // RATE_HZ
            self._write(self.quantum)
            self.now_ns = end_ns

    def _played(self) -> int:
        return self.now_ns * RATE_HZ // 10**9

    def waits_ns(self) -> int:
        return self.written * 10**9 // RATE_HZ - self.now_ns + self.behind_ns

    def asked(self) -> tuple[int, int]:
        return self.frames, self.asked_ns + PERIOD_NS


@pytest.fixture
def chance() -> random.Random:
    return random.Random(11)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> list[Stream]:
    """The stream put into the list is what the probe's clock and sleep drive."""
    streams: list[Stream] = []
    monkeypatch.setattr(probe, "now_ns", lambda: streams[0].now_ns)
    monkeypatch.setattr(probe.time, "sleep", lambda s: streams[0].advance(int(s * 1e9) + chance.randrange(1_500_000)))
    return streams


@pytest.mark.parametrize(("held", "quantum"), [(1200, 300), (1200, 1200), (3600, 600), (960, 240)])
def test_the_lowest_sums_find_the_latency(clock: list[Stream], held: int, quantum: int) -> None:
    stream = Stream(held, quantum, 7_000_000)
    clock.append(stream)
    sums = LowestSums(RATE_HZ, PERIOD, stream.asked, stream.waits_ns)
    stream.advance(2 * 10**9)
    # A callback comes at the end of a write: its first frame waits for all that is held, and what comes behind.
    expected_ns = held * 10**9 // RATE_HZ + 7_000_000
    for _ in range(5):
        latency_ns = sums.latency_ns()
        assert latency_ns is not None and abs(latency_ns - expected_ns) < 100_000


def test_a_sink_that_changes_is_followed_at_once(clock: list[Stream]) -> None:
    stream = Stream(1200, 300, 0)
    clock.append(stream)
    sums = LowestSums(RATE_HZ, PERIOD, stream.asked, stream.waits_ns)
    stream.advance(2 * 10**9)
    sums.latency_ns()
    stream.behind_ns = 180_000_000
    latency_ns = sums.latency_ns()
    assert latency_ns is not None and abs(latency_ns - 205_000_000) < 100_000


def test_the_first_second_tells_only_the_period(clock: list[Stream]) -> None:
    stream = Stream(1200, 300, 0)
    clock.append(stream)
    sums = LowestSums(RATE_HZ, PERIOD, stream.asked, stream.waits_ns)
    stream.advance(9 * 10**8)
    assert sums.latency_ns() == PERIOD_NS


def test_no_answer_is_no_latency(clock: list[Stream]) -> None:
    stream = Stream(1200, 300, 0)
    clock.append(stream)
    sums = LowestSums(RATE_HZ, PERIOD, stream.asked, lambda: None)
    stream.advance(2 * 10**9)
    assert sums.latency_ns() is None


def test_a_platform_that_tells_nothing() -> None:
    assert PeriodProbe(RATE_HZ, PERIOD).latency_ns() == PERIOD_NS
    null = open_probe("null", "phaselock", None, RATE_HZ, PERIOD, None)
    assert (null.latency_ns(), null.period_frames, null.alive()) == (PERIOD_NS, PERIOD, True)


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux's")
@pytest.mark.parametrize(
    ("owner", "state", "ours"),
    [(os.getpid(), "RUNNING", True), (1, "RUNNING", False), (os.getpid(), "SETUP", False)],
    ids=["ours", "another's", "not running"],
)
def test_alsa_tells_of_our_substream(
    tmp_path: pathlib.Path, clock: list[Stream], owner: int, state: str, ours: bool
) -> None:
    stream = Stream(1200, 300, 0)
    clock.append(stream)
    card = tmp_path / "card0" / "pcm0p" / "sub0"
    card.mkdir(parents=True)
    closed = tmp_path / "card0" / "pcm3p" / "sub0"
    closed.mkdir(parents=True)
    (closed / "status").write_text("closed\n")
    (card / "hw_params").write_text("format: S16_LE\nrate: 44100 (44100/1)\nbuffer_size: 1323\n")
    (card / "status").write_text(
        f"state: {state}\nowner_pid   : {owner}\ntstamp      : 0.0\ndelay       : 882\navail       : 441\n"
    )
    alsa = AlsaProbe(RATE_HZ, PERIOD, lambda: (10**6, stream.now_ns + PERIOD_NS), tmp_path)
    assert alsa.latency_ns() == (20_000_000 if ours else PERIOD_NS)
