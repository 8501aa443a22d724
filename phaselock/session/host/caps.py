"""Which songs a person may ask for: the limits of the rules. They hold for peers and guests.

A song is the same as another one if their files are equal, or if title and artist are. The files are compared when a
song has arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias
from uuid import UUID

from phaselock.language.message import N_, Message
from phaselock.model.names import skeleton
from phaselock.model.party import PartyRules
from phaselock.model.types import Track
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requesters import Requester

HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000
WAITS_ALREADY = N_("This song waits in the queue already. You can vote for it.")
ASKED_ALREADY = N_("Another person has asked for this song already.")

MAX_PLAYED = 4000
"""Largest number of names of songs that have played that are remembered; the oldest ones are forgotten."""

Words: TypeAlias = tuple[str, str]
"""What a song is called: title and artist, or the name of its file, in one letter case."""


class Song(Protocol):
    """A song that a person asks for."""

    who: Requester
    file_name: str
    title: str
    artist: str
    duration_secs: float


class Caps:
    """The rules, and what they need to know of the past. `now_ns` is session time."""

    def __init__(self, queue: HostQueue, rules: PartyRules) -> None:
        self.rules = rules
        self._queue = queue
        self._asked: dict[str, dict[UUID, int]] = {}
        """The requests of the last hour that were not refused, and when they were made, by the key of the person."""
        self._played: dict[bytes | Words, int] = {}
        """When each song has begun the last time, by its hash and by what it is called."""

    def refusal(self, song: Song, others: Sequence[Song], *, now_ns: int) -> str:
        """Why a person may not ask for this song now, a sentence; empty: it may. `others`: the requests of all people
        that are not finished."""
        rules, key = self.rules, song.who.key
        on_the_way = sum(one.who.key == key for one in others)
        if rules.max_waiting is not None and self.waiting(key) + on_the_way >= rules.max_waiting:
            return Message.plural(
                "You may have one song waiting. Please wait until it has played.",
                "You may have {number} songs waiting. Please wait until one of them has played.",
                rules.max_waiting,
            )
        if rules.max_per_hour is not None and len(self._recent(key, now_ns)) >= rules.max_per_hour:
            return Message.plural(
                "You may ask for one song in an hour.", "You may ask for {number} songs in an hour.", rules.max_per_hour
            )
        words = _words(song)
        if rules.no_repeat_min is not None and any(_words(one) == words for one in others):
            return ASKED_ALREADY
        return self._refusal(song.duration_secs, (words,), now_ns)

    def refusal_of_track(self, track: Track, *, now_ns: int) -> str:
        """Why this song may not be added, now that it has arrived; empty: it may."""
        return self._refusal(track.duration_s, (track.sha256, _words(track)), now_ns)

    def waiting(self, key: str) -> int:
        """The number of songs of this person that wait in the queue."""
        return len(self._queue.waiting(key))

    def asked(self, key: str, request_id: UUID, *, now_ns: int) -> None:
        """A request was taken."""
        self._asked = {one: recent for one in self._asked if (recent := self._recent(one, now_ns))}
        self._asked.setdefault(key, {})[request_id] = now_ns

    def undone(self, key: str, request_id: UUID) -> None:
        """The request was refused or withdrawn, or has failed."""
        self._asked.get(key, {}).pop(request_id, None)

    def left(self, key: str) -> None:
        """Forget what this person has asked for."""
        self._asked.pop(key, None)

    def began(self, track: Track, *, now_ns: int) -> None:
        """This song begins to play."""
        for name in (track.sha256, _words(track)):
            self._played.pop(name, None)
            self._played[name] = now_ns
        for old in list(self._played)[:-MAX_PLAYED]:
            del self._played[old]

    # -- inside ------------------------------------------------------------------------------------------------------

    def _refusal(self, duration_s: float, names: Sequence[bytes | Words], now_ns: int) -> str:
        rules = self.rules
        if rules.max_length_min is not None and duration_s > 60 * rules.max_length_min:
            return Message("The song is longer than {number} minutes.", number=rules.max_length_min)
        if rules.no_repeat_min is None:
            return ""
        waiting = [entry.track for entry in self._queue.waiting()]
        if any(one.sha256 in names or _words(one) in names for one in waiting):
            return WAITS_ALREADY
        last_ns = max((self._played[name] for name in names if name in self._played), default=None)
        if last_ns is not None and now_ns < last_ns + rules.no_repeat_min * MINUTE_NS:
            ago_min = (now_ns - last_ns) // MINUTE_NS
            return Message.plural(
                "This song has played a minute ago. Please choose another one.",
                "This song has played {number} minutes ago. Please choose another one.",
                max(1, ago_min),
            )
        return ""

    def _recent(self, key: str, now_ns: int) -> dict[UUID, int]:
        """The requests of this person in the last hour."""
        return {one: at_ns for one, at_ns in self._asked.get(key, {}).items() if now_ns < at_ns + HOUR_NS}


def _words(song: Song | Track) -> Words:
    """What a song is called, for comparisons."""
    if song.title:
        return skeleton(song.title), skeleton(song.artist)
    return skeleton(song.file_name), ""
