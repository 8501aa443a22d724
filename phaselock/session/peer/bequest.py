"""The songs that this machine brings into the part of the session that it has joined: one after the other.

It was the host of another part, or in its line. Each of these machines brings all songs, because any of them may be
gone soon. The host takes each song once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from phaselock.model.heritage import Bequest, BequestSong
from phaselock.model.queue import MAX_ITEMS
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.protocol.proof import bequest_purpose, membership_proof
from phaselock.session.effects import HOST_CONN, CancelUpload, Send, Upload
from phaselock.session.outbox import Outbox

MAX_TRIES = 3
"""Attempts to send one song."""
MAX_BYTES = 2 << 30
"""Most bytes of songs that are brought. The queues of hosts contain any number."""


class PeerBequest:
    """What is not brought yet. `access`: number and token of this peer. `hold` is told the songs whose files must
    stay."""

    def __init__(self, outbox: Outbox, hold: Callable[[Collection[Track]], None]) -> None:
        self._outbox = outbox
        self._hold = hold
        self._newest: Bequest | None = None
        self._waiting: dict[UUID, BequestSong] = {}
        """The first one is offered, or being sent."""
        self._tries = 0
        self._is_sending = False

    def give(self, bequest: Bequest) -> None:
        """Bring these songs as soon as a host has accepted this peer."""
        if bequest.songs:
            self._newest = bequest
        size = sum(song.track.size for song in self._waiting.values())
        for song in bequest.songs:
            track = song.track
            if track.file_id not in self._waiting and len(self._waiting) < MAX_ITEMS and size + track.size <= MAX_BYTES:
                self._waiting[track.file_id] = song
                size += track.size
        self._keep()

    def joined(self, known: Collection[UUID], peer_id: int, host_key: bytes) -> None:
        """The host with this key has accepted this peer. `known`: the songs of its queue."""
        self._waiting = {file_id: song for file_id, song in self._waiting.items() if file_id not in known}
        self._keep()
        if self._waiting and self._newest is not None:
            proof = membership_proof(self._newest.secret, bequest_purpose(peer_id), host_key)
            self._outbox.do(Send(HOST_CONN, m.OtherPart(self._newest.claim, proof)))
        self._offer()

    def lost_host(self) -> None:
        """The host is lost: offer the song again afterwards."""
        if self._is_sending:
            self._outbox.do(CancelUpload(self._first.track.file_id))
        self._is_sending = False

    def is_offered(self, request_id: UUID) -> bool:
        """The host answers about the song that it was offered."""
        return bool(self._waiting) and self._first.track.file_id == request_id

    def accepted(self, access: tuple[int, bytes]) -> None:
        """The host wants the song."""
        track = self._first.track
        self._is_sending = True
        self._tries += 1
        self._outbox.do(Upload(track.file_id, track.sha256, track.size, *access))

    def upload_ended(self, request_id: UUID, problem: str, access: tuple[int, bytes]) -> None:
        """An attempt has ended. Empty `problem`: the host has the song, and answers."""
        if not self.is_offered(request_id) or not self._is_sending or not problem:
            return
        if self._tries < MAX_TRIES:
            self.accepted(access)
        else:
            self._outbox.do(Send(HOST_CONN, m.SongRequestWithdrawn(request_id, problem)))
            self.settled()

    def settled(self) -> None:
        """The host has the song, or does not want it: offer the next one."""
        del self._waiting[self._first.track.file_id]
        self._is_sending = False
        self._keep()
        self._offer()

    @property
    def songs(self) -> Collection[BequestSong]:
        """Those that are not brought yet."""
        return self._waiting.values()

    @property
    def _first(self) -> BequestSong:
        return next(iter(self._waiting.values()))

    def _keep(self) -> None:
        self._hold([song.track for song in self._waiting.values()])

    def _offer(self) -> None:
        self._tries = 0
        if self._waiting:
            song, t = self._first, self._first.track
            about = t.file_id, t.file_name, t.size, t.title, t.artist, t.duration_s, t.sha256
            self._outbox.do(Send(HOST_CONN, m.SongBequest(*about, song.added_by, song.asker_id)))
