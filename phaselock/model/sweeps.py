"""The sounds by which a microphone hears how late each machine plays, and what it has heard.

In one *pass*, each machine plays exponential sweeps through the same engine as music. The machines play one after
another, in an order that changes from round to round. Machines may hide delays that make their sounds overlap or
come in another order. They are still told apart by their patterns of starts: at any delay, at most one sound of
another machine lies where a sound of this machine is searched. Every second machine plays its sweeps downward, which
a filter for upward sweeps spreads over time.

An exponential sweep has the same energy in each octave, and the distortion of a loudspeaker appears apart from its
linear response (A. Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine
technique", 108th AES Convention, 2000).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.bounds import Size, Within

SWEEP_ID = UUID("9f0bb1a4-6a1c-4e43-8b7b-5d6c33a1c0de")
"""The track that contains the sweeps, in timelines."""
RATE_HZ = 48_000
"""Rate of the track that contains the sweeps."""
LOW_HZ, HIGH_HZ = 500.0, 9000.0
"""Range of a sweep: what the loudspeaker of a laptop plays and Bluetooth transmits."""
SWEEP_NS = 240_000_000
FADE_NS = 20_000_000
"""At both ends of a sweep, so that it does not click."""
LEVEL = 0.3
"""Amplitude of a sweep at full volume."""
GAP_NS = 90_000_000
"""Least silence between the sounds of two machines that hide no delay."""
MAX_MACHINES = 64
MIN_REPEATS, MAX_REPEATS = 2, 8
MAX_PASS_NS = 60_000_000_000
"""No pass is longer."""
MAX_HIDDEN_NS = 450_000_000
"""A machine may be so early or late."""
MAX_CORRECTION_NS = 2 * MAX_HIDDEN_NS
"""Largest distance between two machines."""
CLEAR_NS = 100_000_000
"""At no delay, two sounds of another machine lie closer than this to where two sounds of this machine are searched.
Meanwhile, the echoes of a room fade."""

_STEP_NS = 10_000_000
"""The starts are multiples of this."""


@frozen
class Sounds:
    """The sweeps of one machine."""

    starts_ns: Annotated[tuple[Annotated[int, Within(0, MAX_PASS_NS)], ...], Size(1, MAX_REPEATS + 1)]
    """Ascending, after the begin of the pass."""
    upward: bool
    """From LOW_HZ to HIGH_HZ; otherwise the same sweep backwards."""


class Verdict(enum.StrEnum):
    """What a microphone has heard of a machine."""

    HEARD = "heard"
    NOT_HEARD = "not_heard"
    """There is no sound of it. It may be muted, or play on another output."""
    TOO_QUIET = "too_quiet"
    """It is heard, but too quiet to be measured, while others are loud enough."""
    NOISE = "noise"
    """The room is too loud."""
    ECHO = "echo"
    """Its direct sound cannot be told from its echoes."""
    UNSTEADY = "unsteady"
    """Its repeats disagree: it, or the recording, has lost or gained time during the pass."""


@frozen
class Arrival:
    """When the direct sound of one machine arrives at the microphone."""

    verdict: Verdict
    offset_ns: Annotated[int, Within(-MAX_PASS_NS, MAX_PASS_NS)] | None
    """Later than the sound of the first machine that is heard, whose own is 0. None unless this machine is heard."""
    spread_ns: Annotated[int, Within(0, MAX_PASS_NS)]
    """Of the repeats: the earliest and the latest differ by this. 0 unless heard."""
    level_db: Annotated[float, Within(-400, 100)] | None
    """Loudness of its sounds in the recording: 0 for sweeps of full scale without a room. None if it is not heard."""


def schedule(machines: int, repeats: int) -> tuple[Sounds, ...]:
    """The sounds of a pass of 1 to 64 machines, each with 2 to 8 repeats; the same for the same arguments.

    Machine 0 is the first to sound, and it has one more sound at the end: so the rate of the microphone's clock is
    measured over the whole pass. ValueError for other numbers.
    """
    if not 1 <= machines <= MAX_MACHINES or not MIN_REPEATS <= repeats <= MAX_REPEATS:
        raise ValueError("1 to 64 machines and 2 to 8 repeats")
    pattern = _Pattern(machines)
    for _ in range(repeats):
        silent = list(range(machines))
        while silent:
            silent.remove(pattern.add(silent))
    pattern.add([0])
    return tuple(Sounds(tuple(starts), number % 2 == 0) for number, starts in enumerate(pattern.starts_ns))


def length_ns(sounds: Sequence[Sounds]) -> int:
    """From the begin of the pass to the end of its last sound."""
    return max(one.starts_ns[-1] for one in sounds) + SWEEP_NS


class _Pattern:
    """Starts of sounds, added one after another, each as early as the rule of CLEAR_NS allows."""

    def __init__(self, machines: int) -> None:
        self.starts_ns: list[list[int]] = [[] for _ in range(machines)]
        self._now_ns = 0
        self._lags_ns: dict[tuple[int, int], list[int]] = {}
        """Of the sounds of the second machine after those of the first, as far as their delays can make them meet."""

    def add(self, candidates: Sequence[int]) -> int:
        """Let the first of these machines that can play now play, and return its number."""
        while True:
            for machine in candidates:
                added = self._lags_of(machine)
                if added is not None:
                    for pair, lags_ns in added.items():
                        self._lags_ns.setdefault(pair, []).extend(lags_ns)
                    self.starts_ns[machine].append(self._now_ns)
                    self._now_ns += SWEEP_NS + GAP_NS
                    return machine
            self._now_ns += _STEP_NS

    def _lags_of(self, machine: int) -> dict[tuple[int, int], list[int]] | None:
        """The lags that a sound of this machine adds now; None if one of them is too close to another one."""
        added: dict[tuple[int, int], list[int]] = {}
        for other, starts_ns in enumerate(self.starts_ns):
            pair, sign = ((other, machine), 1) if other < machine else ((machine, other), -1)
            lags_ns = [sign * (self._now_ns - start_ns) for start_ns in starts_ns]
            added[pair] = lags_ns = [lag_ns for lag_ns in lags_ns if abs(lag_ns) <= 2 * MAX_HIDDEN_NS + CLEAR_NS]
            there_ns = self._lags_ns.get(pair, ())
            if any(abs(one_ns - lag_ns) < CLEAR_NS for one_ns in there_ns for lag_ns in lags_ns):
                return None
        return added
