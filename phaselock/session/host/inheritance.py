"""What a new host makes of its heritage."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from phaselock.model.heritage import HeirMember, HeirRound, HeirSong, Heritage
from phaselock.model.names import file_label, person_name, title
from phaselock.model.queue import QueueEntry
from phaselock.model.types import Track
from phaselock.session.host.requesters import HOST_KEY, peer_key


class Inheritance:
    """Names and keys are changed: this machine is the host now, and the host before it is a peer."""

    def __init__(self, heritage: Heritage) -> None:
        self._heritage = heritage
        settings, me = heritage.settings, heritage.me
        self._keys = {HOST_KEY: peer_key(settings.host_peer_id), peer_key(me.peer_id): HOST_KEY}

    def key(self, key: str) -> str:
        """The key of a person (requesters.py)."""
        return self._keys.get(key, key)

    def entries(self) -> tuple[QueueEntry, ...]:
        """The rows of the queue."""
        return tuple(
            QueueEntry(
                _track(song),
                person_name(song.added_by),
                asker=self.key(song.asker),
                number=song.number,
                removed=song.removed_at is not None,
            )
            for song in self._heritage.songs
        )

    def lost_tracks(self) -> Iterator[Track]:
        """The songs whose files are not on this machine."""
        return (_track(song) for song in self._heritage.songs if song.file_id not in self._heritage.here)

    def votes(self) -> dict[UUID, set[str]]:
        """The people who have voted, by song."""
        return {one.file_id: {self.key(voter) for voter in one.voters} for one in self._heritage.votes}

    def rounds(self) -> Iterator[HeirRound]:
        """The rounds of the people."""
        return (HeirRound(self.key(one.key), one.round) for one in self._heritage.rounds)

    def members(self) -> Iterator[HeirMember]:
        """All who may return, with the host before this one."""
        settings, me = self._heritage.settings, self._heritage.me
        name, previous = person_name(settings.host_name), self._heritage.previous
        ip = previous.addresses[0] if previous is not None else ""
        yield HeirMember(settings.host_peer_id, name, name, settings.host_token, ip)
        for one in self._heritage.members:
            if one.peer_id not in (me.peer_id, settings.host_peer_id):
                yield one


def _track(song: HeirSong) -> Track:
    names = file_label(song.file_name), title(song.title), title(song.artist)
    return Track(song.file_id, names[0], song.size, song.sha256, song.rate_hz, song.frames, *names[1:])
