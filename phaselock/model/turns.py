"""A check of the loudspeakers while music plays: the machines play the song in turns, and a microphone hears each one
alone.

Machine 0 plays first, and once more at the end: so the rate of the microphone's clock is measured over the whole check.
From one turn to the next, one machine fades out while the next one fades in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from phaselock.frozen import frozen
from phaselock.model.bounds import Within

FADE_NS = 200_000_000
TURN_NS = 3_000_000_000
"""From the begin of one turn to that of the next."""
MAX_MACHINES = 12
MAX_CHECK_NS = (MAX_MACHINES + 1) * TURN_NS + FADE_NS


@frozen
class Span:
    """A span of time after the begin of the check, with the fades at both ends."""

    begin_ns: Annotated[int, Within(0, MAX_CHECK_NS)]
    end_ns: Annotated[int, Within(0, MAX_CHECK_NS)]


def turns(machines: int) -> tuple[tuple[int, Span], ...]:
    """The turns of 1 to MAX_MACHINES machines in their order, each with its machine. ValueError for other numbers."""
    if not 1 <= machines <= MAX_MACHINES:
        raise ValueError(f"1 to {MAX_MACHINES} machines")
    order = [*range(machines), 0]
    return tuple((one, Span(k * TURN_NS, (k + 1) * TURN_NS + FADE_NS)) for k, one in enumerate(order))


def length_ns(machines: int) -> int:
    """From the begin of the check to the end of its last turn."""
    return (machines + 1) * TURN_NS + FADE_NS


def quiet(machine: int, machines: int) -> tuple[Span, ...]:
    """When this machine is silent: except in its turns."""
    spans: list[Span] = []
    begin_ns = 0
    for one, turn in turns(machines):
        if one == machine:
            if turn.begin_ns > begin_ns:
                spans.append(Span(begin_ns, turn.begin_ns + FADE_NS))
            begin_ns = turn.end_ns - FADE_NS
    end_ns = length_ns(machines)
    if begin_ns < end_ns - FADE_NS:
        spans.append(Span(begin_ns, end_ns))
    return tuple(spans)


def in_session(spans: Sequence[Span], begin_session_ns: int) -> tuple[tuple[int, int], ...]:
    """The spans as session time."""
    return tuple((begin_session_ns + span.begin_ns, begin_session_ns + span.end_ns) for span in spans)
