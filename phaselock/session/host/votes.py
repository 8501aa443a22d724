"""The votes of a host session: for songs that wait, and for leaving the song that plays."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

HEARD_NS = 600_000_000_000
"""A person who was not heard from for this time does not count for a vote for leaving a song."""


class People:
    """When each person was heard from last, by key."""

    def __init__(self) -> None:
        self._heard_at_ns: dict[str, int] = {}

    def heard(self, key: str, *, now_ns: int) -> None:
        """The person has done something."""
        self._heard_at_ns[key] = now_ns

    def left(self, key: str) -> None:
        """The person was removed, or has left."""
        self._heard_at_ns.pop(key, None)

    def present(self, *, now_ns: int) -> frozenset[str]:
        """The people who were heard from in the last HEARD_NS. The others are forgotten."""
        self._heard_at_ns = {key: at_ns for key, at_ns in self._heard_at_ns.items() if now_ns < at_ns + HEARD_NS}
        return frozenset(self._heard_at_ns)


class SongVotes:
    """Who has voted for which of the songs that wait."""

    def __init__(self) -> None:
        self._voters: dict[UUID, set[str]] = {}

    def vote(self, key: str, file_id: UUID, wanted: bool) -> bool:
        """Vote for a song, or take the vote back. False if nothing changes."""
        voters = self._voters.setdefault(file_id, set())
        if wanted == (key in voters):
            return False
        (voters.add if wanted else voters.remove)(key)
        return True

    def left(self, key: str) -> None:
        """Forget the votes of this person."""
        for voters in self._voters.values():
            voters.discard(key)

    def of(self, key: str) -> frozenset[UUID]:
        """The songs for which this person has voted."""
        return frozenset(file_id for file_id, voters in self._voters.items() if key in voters)

    def all(self) -> dict[UUID, frozenset[str]]:
        """The people who have voted, by song."""
        return {file_id: frozenset(keys) for file_id, keys in self._voters.items() if keys}

    def voters(self, file_id: UUID) -> frozenset[str]:
        """The people who have voted for this song."""
        return frozenset(self._voters.get(file_id, ()))

    def tally(self, waiting: Collection[UUID], counts: Callable[[str], bool]) -> dict[UUID, int]:
        """The number of votes of each of these songs that has any. `counts`: whether the vote of this person counts.
        The votes for other songs are forgotten."""
        self._voters = {one: self._voters[one] for one in waiting if self._voters.get(one)}
        return {file_id: votes for file_id, keys in self._voters.items() if (votes := sum(map(counts, keys)))}


class SkipVotes:
    """Who wants to leave the song that plays."""

    def __init__(self) -> None:
        self._file_id: UUID | None = None
        self._voters: set[str] = set()

    def vote(self, key: str, file_id: UUID, wanted: bool) -> None:
        """Vote for leaving this song, or take the vote back."""
        if self._file_id != file_id:
            self._file_id, self._voters = file_id, set()
        (self._voters.add if wanted else self._voters.discard)(key)

    def left(self, key: str) -> None:
        """Forget the vote of this person."""
        self._voters.discard(key)

    def wants(self, key: str, file_id: UUID) -> bool:
        """Whether this person wants to leave this song."""
        return self._file_id == file_id and key in self._voters

    def voters(self, file_id: UUID, present: Collection[str]) -> frozenset[str]:
        """Those of the people who are present who want to leave this song."""
        return frozenset(self._voters.intersection(present)) if self._file_id == file_id else frozenset()
