"""What the page's server needs of the session, of the host's library and of the pictures of songs."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from phaselock.model.snapshot import GuestPage, SessionSnapshot
from phaselock.model.types import Track
from phaselock.session.effects import Follow
from phaselock.session.guest_actions import GuestAction


class Wanted(Protocol):
    """A request whose song may arrive."""

    @property
    def file_name(self) -> str: ...
    @property
    def size(self) -> int: ...


class Jam(Protocol):
    """The host's session, on the network thread. A snapshot of a long queue takes milliseconds to make, so a request of
    a page does not need one."""

    def snapshot(self) -> SessionSnapshot: ...

    def session_ns(self) -> int: ...

    @property
    def code(self) -> str:
        """What people must know to join, as in the snapshot; empty: everybody may join."""
        ...

    def has_song(self, file_id: UUID) -> bool:
        """Whether the song is in the queue, or plays."""
        ...

    def next_pages(self) -> tuple[tuple[str, int], ...]:
        """Where other hosts of this session would serve the page: addresses and TCP ports, the next one first."""
        ...

    @property
    def followed(self) -> Follow:
        """What the audio output plays."""
        ...

    def track(self, file_id: UUID) -> Track | None: ...

    def path(self, file_id: UUID) -> pathlib.Path | None: ...

    def guest(self, guest_id: bytes, action: GuestAction) -> None:
        """A guest does this."""
        ...

    def guest_page(self, guest_id: bytes) -> GuestPage | None:
        """What the session shows to this guest alone; None: it is not here."""
        ...

    def is_removed_guest(self, guest_id: bytes) -> bool:
        """The host's user has removed this guest."""
        ...

    def guest_code(self, ip: str, code: str) -> tuple[str, str] | None:
        """Why a person at this address, who typed this code, may not come in: "code" or "wait", and a message id. None:
        it may. A wrong code counts as a guess of the session's code."""
        ...

    def authorise_guest_upload(self, guest_id: bytes, request_id: UUID) -> Wanted | None:
        """The accepted request of this guest whose song may arrive; None: refuse it."""
        ...

    def guest_upload_progress(self, request_id: UUID, done_bytes: int) -> bool:
        """These bytes of a guest's song have arrived. False: the song is no longer wanted."""
        ...

    def wants_guest_upload(self, request_id: UUID) -> bool:
        """Whether the song of this request may still arrive, or has arrived and is not in the queue yet."""
        ...

    def guest_upload(self, request_id: UUID, path: pathlib.Path, file_name: str) -> None:
        """All bytes of a guest's song are in this file of the cache."""
        ...


class FoundSong(Protocol):
    """A song of the host's library."""

    @property
    def song_id(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def artist(self) -> str: ...
    @property
    def album(self) -> str: ...
    @property
    def duration_secs(self) -> float: ...
    @property
    def size(self) -> int: ...
    @property
    def file_name(self) -> str: ...


class Songs(Protocol):
    """The host's library. Both methods block, for any thread."""

    def search(self, text: str, limit: int = 50) -> Sequence[FoundSong]: ...

    def song(self, song_id: int) -> FoundSong | None: ...
