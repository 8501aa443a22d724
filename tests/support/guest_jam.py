"""A session, a library and a server of the guests' page, for tests of the page."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests.access import Access
from phaselock.guests.server import GuestServer
from phaselock.guests.static import PageFile
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import GuestPage, RequestState, RequestView, SessionSnapshot
from phaselock.model.types import Track
from phaselock.network.listener import bind
from phaselock.session import guest_actions as a
from phaselock.session.effects import Follow
from phaselock.storage.cache import FileCache

FILES = {"/": PageFile("text/html; charset=utf-8", b"<!doctype html>", '"tag"')}
NEW = GuestPage("", 0, frozenset(), frozenset(), False, ())
EMPTY = SessionSnapshot("Kitchen", "Ben", "Ben", (), None, None, None)


def row(number: int, **changes: Any) -> QueueItem:
    item = QueueItem(UUID(int=number), f"{number}.mp3", 100.0, "Ben", ItemStatus.READY, f"Song {number}", "Band")
    return dataclasses.replace(item, **changes)


@dataclasses.dataclass
class Found:
    """A song of the library."""

    song_id: int
    title: str = "Waterloo"
    artist: str = "Abba"
    album: str = ""
    duration_secs: float = 165.0
    size: int = 5000
    file_name: str = "waterloo.mp3"


class Library:
    def search(self, text: str, limit: int = 50) -> Sequence[Found]:
        return [Found(7)] if text.lower() in "waterloo" else []

    def song(self, song_id: int) -> Found | None:
        return Found(7) if song_id == 7 else None


class FakeJam:
    """Remembers what guests do. The test changes `now` and `owns`."""

    def __init__(self) -> None:
        self.now = EMPTY
        self.actions: list[tuple[bytes, a.GuestAction]] = []
        self.owns: dict[bytes, GuestPage] = {}
        self.files: dict[UUID, tuple[Track, pathlib.Path]] = {}
        self.uploaded: list[tuple[UUID, bytes]] = []
        self.progress: list[int] = []
        self.removed: set[bytes] = set()
        """The ids of the guests that were removed."""
        self.unwanted: set[UUID] = set()
        """Requests that have ended."""
        self.plays = Follow(None)
        self.next: tuple[tuple[str, int], ...] = ()
        """Pages of the next hosts."""

    def snapshot(self) -> SessionSnapshot:
        return self.now

    def session_ns(self) -> int:
        return time.monotonic_ns()

    @property
    def code(self) -> str:
        return self.now.code

    def has_song(self, file_id: UUID) -> bool:
        return any(item.id == file_id for item in (*self.now.queue, self.now.now) if item is not None)

    def next_pages(self) -> tuple[tuple[str, int], ...]:
        return self.next

    @property
    def followed(self) -> Follow:
        return self.plays

    def track(self, file_id: UUID) -> Track | None:
        found = self.files.get(file_id)
        return found[0] if found else None

    def path(self, file_id: UUID) -> pathlib.Path | None:
        found = self.files.get(file_id)
        return found[1] if found else None

    def guest(self, guest_id: bytes, action: a.GuestAction) -> None:
        self.actions.append((guest_id, action))
        own = self.owns.setdefault(guest_id, NEW)
        if isinstance(action, a.GuestHere):
            self.owns[guest_id] = dataclasses.replace(own, name=action.name)
        if isinstance(action, a.GuestAsks):
            request = RequestView(
                action.request_id, 1, own.name, action.file_name, action.size, RequestState.ACCEPTED, 0, ""
            )
            self.owns[guest_id] = dataclasses.replace(own, requests=(*own.requests, request))

    def guest_page(self, guest_id: bytes) -> GuestPage | None:
        return self.owns.get(guest_id)

    def is_removed_guest(self, guest_id: bytes) -> bool:
        return guest_id in self.removed and bool(self.now.removed_guests)

    def authorise_guest_upload(self, guest_id: bytes, request_id: UUID) -> RequestView | None:
        mine = self.owns.get(guest_id, NEW).requests
        return next((one for one in mine if one.request_id == request_id), None)

    def guest_code(self, ip: str, code: str) -> tuple[str, str] | None:
        return None if code == self.now.code else ("code", "The code is wrong.")

    def guest_upload_progress(self, request_id: UUID, done_bytes: int) -> bool:
        self.progress.append(done_bytes)
        return True

    def wants_guest_upload(self, request_id: UUID) -> bool:
        return request_id not in self.unwanted

    def guest_upload(self, request_id: UUID, path: pathlib.Path, file_name: str) -> None:
        self.uploaded.append((request_id, path.read_bytes()))

    def done(self, kind: type[Any]) -> list[Any]:
        """The actions of this kind."""
        return [action for _, action in self.actions if isinstance(action, kind)]


@dataclasses.dataclass
class OpenPage:
    """A server that runs."""

    jam: FakeJam
    access: Access
    server: GuestServer
    port: int


Scene = Callable[[OpenPage], Awaitable[None]]


@contextlib.asynccontextmanager
async def open_page(folder: pathlib.Path, *, art: bytes | None = None) -> AsyncIterator[OpenPage]:
    """Serve the page of a FakeJam on a free port of this computer."""

    async def read_art(path: pathlib.Path) -> bytes | None:
        return art

    jam, access = FakeJam(), Access(bytes(range(16)))
    listener = bind("127.0.0.1", 0, socket.SOCK_STREAM)
    server = GuestServer(
        jam,
        access,
        FILES,
        FileCache(folder),
        names=("kitchen.local",),
        read_art=read_art,
        now_ns=time.monotonic_ns,
        songs=Library,
    )
    await server.start(listener)
    try:
        yield OpenPage(jam, access, server, listener.getsockname()[1])
    finally:
        await server.close()


async def token_of(page: OpenPage) -> str:
    """Come in by the secret of the page, and return the token of the new guest."""
    async with await GuestClient.open(page.port) as client:
        answer = await client.enter(secret=page.access.secret)
        assert answer.status == 200
        token: str = answer.json["token"]
        return token


async def entered(page: OpenPage, name: str = "Ana", language: str = "en") -> tuple[GuestClient, str, bytes]:
    """A guest with an open page, its token and its id."""
    token = await token_of(page)
    client = await GuestClient.open(page.port)
    welcome = await client.hello(token, name, language)
    assert welcome["type"] == "welcome" and welcome["name"] == name
    return client, token, bytes.fromhex(welcome["you"])
