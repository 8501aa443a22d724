"""From plans to decks: which track is decoded into which ring, and what the callback is told to follow.

The controller of the native engine, one thread at a time: the player's in the program, the test's in the simulated
world.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Protocol

from phaselock import _native
from phaselock.audio.interface import AudioEvent, DecodeFailed, Plan
from phaselock.errors import InvalidMp3Error, PhaseLockError
from phaselock.model.timeline import Timeline

_FILL_FRAMES = 8192
_FIRST_FILL_FRAMES = 24576
_PREPARE_NS = 60_000_000
"""How far ahead of the loudspeaker a line that already runs is met: opening, seeking and decoding take some of it."""
_FAR_BEHIND_S = 2.0
_FAR_BACK_S = 0.3


class Source(Protocol):
    """A track being decoded, frame by frame of its own rate, as interleaved stereo float32."""

    def seek(self, frame: int) -> None:
        """The next frame read is `frame`."""

    def read_into(self, address: int, frames: int) -> int:
        """Write up to `frames` frames to the address; how many were written, 0 at the end."""

    def close(self) -> None:
        """Let the file go."""


@dataclasses.dataclass(slots=True)
class _Deck:
    plan: Plan
    number: int
    generation: int
    source: Source
    capacity: int
    """Frames that its ring holds."""
    full: bool = False


class Decks:
    """Keeps the engine on the plan it was last given. `pump` does the work."""

    def __init__(self, engine: _native.Engine, open_source: Callable[[Plan], Source]) -> None:
        self._engine = engine
        self._open_source = open_source
        self._pending_plans: collections.deque[tuple[Plan | None, Plan | None]] = collections.deque(maxlen=256)
        self._wanted: tuple[Plan | None, Plan | None] = (None, None)
        self._applied: tuple[Plan | None, Plan | None] = (None, None)
        self._current: _Deck | None = None
        self._next: _Deck | None = None
        self._fading: list[_Deck] = []
        self._refused: set[Plan] = set()

    def follow(self, plan: Plan | None, then: Plan | None) -> None:
        """What is wanted from now on; taken up by the next `pump`. Callable from any thread."""
        self._pending_plans.append((plan, then))

    def restart(self) -> None:
        """The engine's stream began anew: all decks are free, what is wanted is wanted again."""
        for deck in (self._current, self._next, *self._fading):
            if deck is not None:
                deck.source.close()
        self._current = self._next = None
        self._fading = []
        self._applied = (None, None)

    def use(self, engine: _native.Engine) -> None:
        """Go on with another engine."""
        self.restart()
        self._engine = engine

    def pump(self, now_ns: int, *, output_latency_ns: int, running: bool = True) -> tuple[bool, list[AudioEvent]]:
        """Apply what is wanted and decode ahead. Returns whether to come again at once, and events."""
        events: list[AudioEvent] = []
        able = running and self._engine.line.value().valid
        # Each wish in its turn: a pause that a resume overtook still ends the old line.
        for _ in range(max(1, len(self._pending_plans))):
            if self._pending_plans:
                self._wanted = self._pending_plans.popleft()
            if able and self._wanted != self._applied:
                self._apply(self._wanted, now_ns + output_latency_ns, events)
        if able and self._current is not None and self._lost_the_line(self._current):
            self._forget(self._current)
            self._current = None
            self._applied = (None, None)
        busy = False
        for deck in (self._current, self._next, *self._fading):
            if deck is not None:
                busy |= self._fill(deck, _FILL_FRAMES, events)
        self._notice_ends()
        return busy, events

    def _apply(self, wanted: tuple[Plan | None, Plan | None], dac_ns: int, events: list[AudioEvent]) -> None:
        plan, then = wanted
        if plan is None:
            for deck in (self._next, self._current):
                if deck is not None:
                    self._forget(deck)
            self._current = self._next = None
        elif self._current is not None and _same_line(plan.timeline, self._current.plan.timeline):
            if not self._stop_as(plan, self._current):
                return
        elif self._next is not None and _same_line(plan.timeline, self._next.plan.timeline):
            if self._current is not None:
                self._fading.append(self._current)
            self._current, self._next = self._next, None
            if not self._stop_as(plan, self._current):
                return
        else:
            if self._next is not None:
                self._forget(self._next)
                self._next = None
            if self._current is not None:
                self._retire(self._current)
                self._current = None
            if not self._arm_current(plan, dac_ns, events):
                return
        if self._next is not None and (then is None or not _same_line(then.timeline, self._next.plan.timeline)):
            self._forget(self._next)
            self._next = None
        if then is not None and self._next is None and self._current is not None:
            self._next = self._arm(then, dac_ns, events, seamless=True)
            if self._next is None and then not in self._refused:
                return
        self._applied = wanted

    def _arm_current(self, plan: Plan | None, dac_ns: int, events: list[AudioEvent]) -> bool:
        """False when there is no free deck just now."""
        if plan is None:
            return True
        stop_ns = plan.timeline.stop_session_ns
        if stop_ns is not None and self._engine.line.session_from_local(dac_ns) >= stop_ns:
            return True
        self._current = self._arm(plan, dac_ns, events, seamless=False)
        return self._current is not None or plan in self._refused

    def _arm(self, plan: Plan, dac_ns: int, events: list[AudioEvent], *, seamless: bool) -> _Deck | None:
        number = self._engine.free_deck()
        if number < 0 or plan in self._refused:
            return None
        self._close_retired()
        line = plan.timeline
        session_ns = self._engine.line.session_from_local(dac_ns)
        first = line.anchor_frame
        if line.start_session_ns < session_ns:
            first = line.frame_at(session_ns + _PREPARE_NS)
        try:
            source = self._open_source(plan)
            source.seek(first)
        except InvalidMp3Error:  # on disk it may have another name
            self._refuse(plan, str(InvalidMp3Error(plan.track.file_name)), events)
            return None
        except (PhaseLockError, OSError) as error:
            self._refuse(plan, str(error), events)
            return None
        generation = self._engine.reset_deck(number, first)
        deck = _Deck(plan, number, generation, source, self._engine.deck(number).room_frames)
        self._fill(deck, _FIRST_FILL_FRAMES, events)
        if not self._engine.arm(
            number, line.rate_hz, line.anchor_frame, line.start_session_ns, line.stop_session_ns, seamless=seamless
        ):
            source.close()
            return None
        return deck

    def _fill(self, deck: _Deck, at_most_frames: int, events: list[AudioEvent]) -> bool:
        """Decode into the deck's ring; True when there is room for more at once."""
        if self._engine.deck(deck.number).room_frames < _FILL_FRAMES:  # rather seldom and much than often and little
            return False
        while at_most_frames > 0 and not deck.full:
            address, room = self._engine.acquire(deck.number, deck.generation)
            if room <= 0:
                return False
            try:
                frames = deck.source.read_into(address, min(room, at_most_frames))
            except PhaseLockError as error:
                self._refuse(deck.plan, str(error), events)
                frames = 0
            if frames == 0:
                self._engine.finish(deck.number, deck.generation)
                deck.full = True
            else:
                self._engine.commit(deck.number, deck.generation, frames)
            at_most_frames -= frames
        return not deck.full

    def _close_retired(self) -> None:
        """To be done before a deck is used again: from then on it says nothing of its former use."""
        for deck in list(self._fading):
            if not self._engine.deck(deck.number).armed:
                deck.source.close()
                self._fading.remove(deck)

    def _notice_ends(self) -> None:
        self._close_retired()
        for playing in (self._current, self._next):
            if playing is None or self._engine.deck(playing.number).armed:
                continue
            playing.source.close()
            if playing is self._current:
                self._current, self._next = self._next, None
            else:
                self._next = None

    def _lost_the_line(self, deck: _Deck) -> bool:
        """The line is so far from what is decoded that seeking is quicker than decoding there (the machine slept), or
        it stepped back to what is no longer there."""
        status, rate_hz = self._engine.deck(deck.number), deck.plan.timeline.rate_hz
        if not status.armed:
            return False
        wanted, written = status.want_frame, status.written_frame
        oldest = written - (deck.capacity - status.room_frames)
        return (not deck.full and wanted > written + _FAR_BEHIND_S * rate_hz) or wanted < oldest - _FAR_BACK_S * rate_hz

    def _stop_as(self, plan: Plan, deck: _Deck) -> bool:
        """False when the command finds no room just now."""
        stop_ns = plan.timeline.stop_session_ns
        if stop_ns is not None and stop_ns != deck.plan.timeline.stop_session_ns:
            if not self._engine.stop_at(stop_ns):
                return False
        deck.plan = plan
        return True

    def _forget(self, deck: _Deck) -> None:
        self._engine.cancel(deck.number)
        self._retire(deck)

    def _retire(self, deck: _Deck) -> None:
        """It sounds on, and is decoded, until the engine lets it go."""
        self._fading.append(deck)

    def _refuse(self, plan: Plan, reason: str, events: list[AudioEvent]) -> None:
        if plan not in self._refused:
            self._refused.add(plan)
            events.append(DecodeFailed(plan, reason))


def _same_line(a: Timeline, b: Timeline) -> bool:
    """The same line, apart from where it stops; a line that had a stop does not lose it again."""
    return dataclasses.replace(a, stop_session_ns=None) == dataclasses.replace(b, stop_session_ns=None) and (
        b.stop_session_ns is None or a.stop_session_ns is not None
    )
