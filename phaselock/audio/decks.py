"""Plans to decks: which track is decoded into which ring of the engine, and which commands the callback gets.

`Decks` is the controller of the native engine (ext/pl_engine.h). One thread uses it at a time: the player thread in the
program, the test's thread in the simulation.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from phaselock import _native
from phaselock.audio.formats.base import Source
from phaselock.audio.gain import Gain
from phaselock.audio.interface import AudioEvent, DecodeFailed, Plan, SweepPlan
from phaselock.errors import PhaseLockError, bug_net, message_of
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.model.timeline import Timeline

_FILL_FRAMES = 8192
"""Most frames that are decoded into one deck per `pump`."""
_FIRST_FILL_FRAMES = 24576
"""Most frames that are decoded before a deck is armed."""
_PREPARE_NS = 60_000_000
"""A timeline that runs already is entered this far ahead of the loudspeaker: time to open, seek and decode."""
_REDECODE_NS = 1_000_000_000
"""The next track is decoded again, for another gain, up to this time before its start."""
_AGAIN_S = 0.1
"""Pause before a plan is tried again that could not be applied."""
_MAX_PAUSE_S = 0.3
"""Longest pause while a deck is in use, and at most a quarter of what its ring holds: a jump of the timeline is noticed
only then."""
_MAX_PENDING = 256
"""Plans waiting for the next `pump`; the oldest are dropped."""
_MAX_BEHIND_S = 2.0
"""If the timeline is further ahead of the decoded frames than this, seek instead of decoding up to it."""
_MAX_BACK_S = 0.3
"""If the timeline is further behind the oldest frame in the ring than this, seek back."""

_Plans: TypeAlias = tuple["Plan | SweepPlan | None", "Plan | None"]
"""The plan to follow and the next plan."""


@dataclasses.dataclass(slots=True)
class _Deck:
    plan: Plan | SweepPlan
    number: int
    generation: int
    source: Source
    gain: Gain
    capacity: int
    """Frames that its ring can hold."""
    decoded: bool = False
    """The rest of the track is in the ring."""

    def take(self, plan: Plan | SweepPlan) -> None:
        """Follow a plan of the same timeline: its stop time or its gain may be new."""
        self.plan = plan
        self.gain.aim(_gain_db(plan))


class Decks:
    """Makes the engine follow the newest plans. `pump` does the work."""

    def __init__(self, engine: _native.Engine, open_source: Callable[[Plan | SweepPlan], Source]) -> None:
        self._engine = engine
        self._open_source = open_source
        self._pending: collections.deque[_Plans] = collections.deque(maxlen=_MAX_PENDING)
        self._wanted: _Plans = (None, None)
        self._applied: _Plans = (None, None)
        self._current: _Deck | None = None
        self._next: _Deck | None = None
        self._fading: list[_Deck] = []
        self._refused: set[Timeline] = set()
        """Endless timelines whose files failed, of the wanted plans: a file may come back."""

    def follow(self, plan: Plan | SweepPlan | None, next_plan: Plan | None) -> None:
        """Follow these plans from the next `pump` on; see AudioOutput.follow. Any thread may call this."""
        self._pending.append((plan, next_plan))

    def pause_s(self) -> float | None:
        """How long `pump` can wait, unless there is a new plan or a new stream before. None: without a limit."""
        if self._pending or self._wanted != self._applied:
            return _AGAIN_S
        decks = [deck for deck in (self._current, self._next, *self._fading) if deck is not None]
        quarters_s = [deck.capacity / deck.plan.timeline.rate_hz / 4 for deck in decks]
        return min(_MAX_PAUSE_S, *quarters_s) if decks else None

    def are_idle(self) -> bool:
        """Nothing plays or fades, and no plan waits: there is none, or its song is paused, over or unplayable. For any
        thread."""
        waits = bool(self._pending) or self._wanted != self._applied
        return not waits and self._current is None and self._next is None and not self._fading

    def restart(self) -> None:
        """The engine started a new stream, so all its decks are free: the next `pump` arms them again."""
        for deck in (self._current, self._next, *self._fading):
            if deck is not None:
                deck.source.close()
        self._current = self._next = None
        self._fading = []
        self._applied = (None, None)

    def use(self, engine: _native.Engine) -> None:
        """Continue with another engine."""
        self.restart()
        self._engine = engine

    def pump(self, now_ns: int, *, output_latency_ns: int, running: bool = True) -> tuple[bool, list[AudioEvent]]:
        """Apply the pending plans and decode ahead.

        `now_ns` is local time; `output_latency_ns` is the time from a callback to the loudspeaker; `running` says
        whether a stream is open. Returns True if there is more to decode at once, and the events.
        """
        events: list[AudioEvent] = []
        ready = running and self._engine.clock_map.value().valid
        # Apply every pending plan in order; do not skip to the last: pause and resume in one pump must still end the
        # old timeline.
        for _ in range(max(1, len(self._pending))):
            if self._pending:
                self._wanted = self._pending.popleft()
                self._refused &= {_endless(plan.timeline) for plan in self._wanted if plan is not None}
            if ready and self._wanted != self._applied:
                self._apply(self._wanted, now_ns + output_latency_ns, events)
        if ready and self._current is not None and self._must_seek(self._current):
            self._cancel(self._current)
            self._current = None
            self._applied = (None, None)
        busy = False
        for deck in (self._current, self._next, *self._fading):
            if deck is not None:
                busy |= self._fill(deck, _FILL_FRAMES, events)
        self._remove_ended()
        return busy, events

    def _apply(self, wanted: _Plans, dac_ns: int, events: list[AudioEvent]) -> None:
        """Make the decks follow the wanted plans. If the engine cannot take a command now, the next `pump` tries again.

        The first row that fits decides what happens for the wanted plan:

        wanted plan                         current deck                            next deck
        ----------------------------------  --------------------------------------  --------------------
        none                                fades out                               fades out
        has the timeline of the current     is kept, its ends and gain are updated  is kept
        has the timeline of the next        plays on until the next one sounds      becomes the current
        any other timeline                  plays on until the new one sounds,      fades out
                                            a new deck is armed

        Then the next plan: a next deck with another timeline or gain is cancelled, and a new one is armed.
        """
        plan, next_plan = wanted
        if plan is None:
            done = self._silence()
        elif self._current is not None and _same_timeline(plan, self._current):
            done = self._update(plan, self._current)
        elif self._next is not None and _same_timeline(plan, self._next):
            done = self._take_over(plan, self._next)
        else:
            done = self._replace(plan, dac_ns, events)
        if done and self._apply_next(next_plan, dac_ns, events):
            self._applied = wanted

    # The functions below return False if the engine cannot take their command now.

    def _silence(self) -> bool:
        for deck in self._fading:  # a crossfade may last for seconds
            self._engine.cancel(deck.number)
        self._cancel_next()
        if self._current is not None:
            self._cancel(self._current)
            self._current = None
        return True

    def _update(self, plan: Plan | SweepPlan, deck: _Deck) -> bool:
        stop_ns, fade_out = plan.timeline.stop_session_ns, plan.timeline.fade_out
        if stop_ns is not None and stop_ns != deck.plan.timeline.stop_session_ns:
            if not self._engine.stop_at(stop_ns):
                return False
        if fade_out != deck.plan.timeline.fade_out:
            begin_ns, length_ns = (fade_out.begin_session_ns, fade_out.length_ns) if fade_out else (None, 1)
            if not self._engine.crossfade_out(deck.number, begin_ns, length_ns):
                return False
        deck.take(plan)
        return True

    def _take_over(self, plan: Plan | SweepPlan, deck: _Deck) -> bool:
        if self._current is not None:
            self._fading.append(self._current)
        self._current, self._next = deck, None
        return self._update(plan, deck)

    def _replace(self, plan: Plan | SweepPlan, dac_ns: int, events: list[AudioEvent]) -> bool:
        stop_ns = plan.timeline.stop_session_ns
        if stop_ns is not None and self._engine.clock_map.session_from_local(dac_ns) >= stop_ns:
            return self._silence()  # it has stopped already: nothing will sound
        self._cancel_next()
        old, self._current = self._current, None
        if old is not None:
            self._fading.append(old)
        fade_out = old.plan.timeline.fade_out if old is not None else None
        fades = fade_out is not None and fade_out.begin_session_ns == plan.timeline.start_session_ns
        self._current = self._arm(plan, dac_ns, events, seamless=fades)
        return self._update(plan, self._current) if self._current is not None else self._is_refused(plan)

    def _apply_next(self, plan: Plan | None, dac_ns: int, events: list[AudioEvent]) -> bool:
        if self._next is not None and (plan is None or not self._still_right(plan, self._next, dac_ns)):
            self._cancel_next()
        if plan is not None and self._next is not None:
            self._next.take(plan)
        if plan is None or self._next is not None or self._current is None:
            return True
        self._next = self._arm(plan, dac_ns, events, seamless=True)
        return self._next is not None or self._is_refused(plan)

    def _still_right(self, plan: Plan | SweepPlan, deck: _Deck, dac_ns: int) -> bool:
        """True if a deck that waits for its start can follow the plan. Its ring holds seconds at the old gain, so with
        another gain it is decoded again if there is time."""
        if not _same_timeline(plan, deck):
            return False
        left_ns = plan.timeline.start_session_ns - self._engine.clock_map.session_from_local(dac_ns)
        return _gain_db(plan) == _gain_db(deck.plan) or left_ns < _REDECODE_NS

    def _cancel_next(self) -> None:
        if self._next is not None:
            self._cancel(self._next)
            self._next = None

    def _cancel(self, deck: _Deck) -> None:
        """Fade the deck out now. It is decoded until the engine frees it."""
        self._engine.cancel(deck.number)
        self._fading.append(deck)

    def _arm(self, plan: Plan | SweepPlan, dac_ns: int, events: list[AudioEvent], *, seamless: bool) -> _Deck | None:
        """Arm a free deck with the plan; None if there is none, if the command queue is full or the file fails."""
        number = self._engine.free_deck()
        if number < 0 or self._is_refused(plan):
            return None
        self._close_freed()
        timeline = plan.timeline
        session_ns = self._engine.clock_map.session_from_local(dac_ns)
        first = timeline.anchor_frame
        if timeline.start_session_ns < session_ns:
            first = timeline.frame_at(session_ns + _PREPARE_NS)
        try:
            with bug_net("opening a track", PhaseLockError, OSError):
                source = self._open_source(plan)
                source.seek(first)
        except UnplayableFileError as error:  # the file in the cache has another name than the track
            self._refuse(plan, error.named(plan.track.file_name) if isinstance(plan, Plan) else error, events)
            return None
        except (PhaseLockError, OSError) as error:
            self._refuse(plan, error, events)
            return None
        generation = self._engine.reset_deck(number, first)
        gain = Gain(_gain_db(plan), timeline.rate_hz)
        without = dataclasses.replace(plan, timeline=timeline.into(None))  # `_update` adds the fade-out
        deck = _Deck(without, number, generation, source, gain, self._engine.deck(number).room_frames)
        self._fill(deck, _FIRST_FILL_FRAMES, events)
        if not self._engine.arm(
            number,
            timeline.rate_hz,
            timeline.anchor_frame,
            timeline.start_session_ns,
            timeline.stop_session_ns,
            seamless=seamless,
            crossfade_ns=timeline.crossfade_ns,
        ):
            source.close()
            return None
        return deck

    def _fill(self, deck: _Deck, max_frames: int, events: list[AudioEvent]) -> bool:
        """Decode into the deck's ring; True if there is space for more."""
        if self._engine.deck(deck.number).room_frames < _FILL_FRAMES:  # few large steps cost less than many small ones
            return False
        while max_frames > 0 and not deck.decoded:
            address, free_frames = self._engine.acquire(deck.number, deck.generation)
            if free_frames <= 0:
                return False
            try:
                with bug_net("decoding a track", PhaseLockError):
                    frames = deck.source.read_into(address, min(free_frames, max_frames))
                    deck.gain.apply(address, frames)
            except PhaseLockError as error:
                self._refuse(deck.plan, error, events)
                frames = 0
            if frames == 0:
                self._engine.finish(deck.number, deck.generation)
                deck.decoded = True
            else:
                self._engine.commit(deck.number, deck.generation, frames)
            max_frames -= frames
        return not deck.decoded

    def _close_freed(self) -> None:
        """Close the sources of fading decks that the engine has freed. Call this before a deck is used again: its
        status then belongs to the new use."""
        for deck in list(self._fading):
            if not self._engine.deck(deck.number).armed:
                deck.source.close()
                self._fading.remove(deck)

    def _remove_ended(self) -> None:
        self._close_freed()
        for playing in (self._current, self._next):
            if playing is None or self._engine.deck(playing.number).armed:
                continue
            playing.source.close()
            if playing is self._current:
                self._current, self._next = self._next, None
            else:
                self._next = None

    def _must_seek(self, deck: _Deck) -> bool:
        """True if the timeline is far from the decoded frames: ahead, so that seeking is faster than decoding (after a
        suspend of the computer), or behind the oldest frame in the ring (the session clock stepped back)."""
        status, rate_hz = self._engine.deck(deck.number), deck.plan.timeline.rate_hz
        if not status.armed:
            return False
        wanted, written = status.want_frame, status.written_frame
        oldest = written - (deck.capacity - status.room_frames)
        too_far_ahead = not deck.decoded and wanted > written + _MAX_BEHIND_S * rate_hz
        return too_far_ahead or wanted < oldest - _MAX_BACK_S * rate_hz

    def _is_refused(self, plan: Plan | SweepPlan) -> bool:
        return _endless(plan.timeline) in self._refused

    def _refuse(self, plan: Plan | SweepPlan, error: Exception, events: list[AudioEvent]) -> None:
        if not self._is_refused(plan):
            self._refused.add(_endless(plan.timeline))
            if isinstance(plan, Plan):
                events.append(DecodeFailed(plan, message_of(error)))


def _same_timeline(plan: Plan | SweepPlan, deck: _Deck) -> bool:
    """True if the deck can follow the plan: the same timeline, except that the stop time may be added or moved, and the
    fade-out changed. The engine cannot remove a stop time from a deck."""
    wanted, armed = plan.timeline, deck.plan.timeline
    if armed.stop_session_ns is not None and wanted.stop_session_ns is None:
        return False
    return _endless(wanted) == _endless(armed)


def _endless(timeline: Timeline) -> Timeline:
    return dataclasses.replace(timeline, stop_session_ns=None, fade_out=None)


def _gain_db(plan: Plan | SweepPlan) -> float:
    """Sweeps are measured: they have no gain."""
    return plan.gain_db if isinstance(plan, Plan) else 0.0
