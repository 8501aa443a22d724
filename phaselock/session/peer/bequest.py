"""The songs that a former host brings into the part of the session that it has joined: one after the other."""

from __future__ import annotations

import collections
from collections.abc import Collection
from uuid import UUID

from phaselock.model.heritage import Bequest
from phaselock.protocol import messages as m
from phaselock.session.effects import HOST_CONN, CancelUpload, Send, Upload
from phaselock.session.outbox import Outbox

MAX_TRIES = 3
"""Attempts to send one song."""


class PeerBequest:
    """What is not brought yet. `access`: number and token of this peer."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: collections.deque[Bequest] = collections.deque()
        """The first one is offered, or being sent."""
        self._tries = 0
        self._is_sending = False

    def give(self, songs: Collection[Bequest]) -> None:
        """Bring these songs as soon as the host has accepted this peer."""
        self._waiting.extend(songs)

    def joined(self, known: Collection[UUID]) -> None:
        """The host has accepted this peer. `known`: the songs of its queue."""
        self._waiting = collections.deque(one for one in self._waiting if one.track.file_id not in known)
        self._offer()

    def lost_host(self) -> None:
        """The host is lost: offer the song again afterwards."""
        if self._is_sending:
            self._outbox.do(CancelUpload(self._waiting[0].track.file_id))
        self._is_sending = False

    def is_offered(self, request_id: UUID) -> bool:
        """The host answers about the song that it was offered."""
        return bool(self._waiting) and self._waiting[0].track.file_id == request_id

    def accepted(self, access: tuple[int, bytes]) -> None:
        """The host wants the song."""
        track = self._waiting[0].track
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
        self._waiting.popleft()
        self._is_sending = False
        self._offer()

    def _offer(self) -> None:
        self._tries = 0
        if self._waiting:
            one = self._waiting[0]
            t = one.track
            about = t.file_id, t.file_name, t.size, t.title, t.artist, t.duration_s
            self._outbox.do(Send(HOST_CONN, m.SongBequest(*about, one.added_by, one.asker_id)))
