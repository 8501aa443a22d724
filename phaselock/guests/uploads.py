"""Songs that guests upload. Each goes to a file of its own in the cache, and from there into the cache by its hash.

A guest has one upload at a time. If all places are taken, the slowest upload below MIN_BYTES_S loses its place to a new
one. The bytes that have arrived stay, and the page goes on behind them.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import io
import logging
import os
import pathlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

from phaselock.errors import PhaseLockError
from phaselock.guests.connection import Connection
from phaselock.guests.jam import Wanted
from phaselock.guests.limits import FILE_BURST_BYTES, FILE_BYTES_S, Bucket
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.storage.cache import FileCache
from phaselock.storage.files import lock, open_part

MAX_UPLOADS, MAX_UPLOADS_OF_ADDRESS = 8, 4
"""Most uploads at once, in all and of one address."""
MIN_BYTES_S, SLOW_AFTER_S = 16_000, 5.0
"""An upload that is slower, measured over at least this time, may lose its place."""
MAX_PARTS = 64
"""Most unfinished files; the oldest that is not written is removed for a new one."""
HIGH_BYTES = 512 << 10
"""Bytes that wait to be written; above that, the connection is not read."""

_log = logging.getLogger("phaselock.guests")
InWorker = Callable[..., Awaitable[Any]]
"""Calls a function in a worker thread."""


class Uploads:
    """All uploads. For the network thread."""

    def __init__(
        self,
        cache: FileCache,
        in_worker: InWorker,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        now_s: Callable[[], float],
        progress: Callable[[UUID, int], bool],
        arrived: Callable[[UUID, pathlib.Path, str], None],
    ) -> None:
        """`progress(request_id, done_bytes)` returns whether the song is still wanted, and `arrived` gets the request,
        the file in the cache and the name of the song. Both are called on the network thread."""
        self._cache = cache
        self.in_worker = in_worker
        self.spawn = spawn
        self.now_s = now_s
        self.progress = progress
        self.arrived = arrived
        self.bytes = Bucket(FILE_BYTES_S, FILE_BURST_BYTES)
        self._running: dict[bytes, Upload] = {}
        """By guest."""
        self._done: collections.OrderedDict[UUID, int] = collections.OrderedDict()
        """How much of each song has arrived, the newest last. A page that has not received the last answer asks."""
        self._size: dict[UUID, int] = {}
        """How large each of these songs will be."""

    def done(self, request_id: UUID) -> int:
        """How many bytes of this song have arrived."""
        return self._done.get(request_id, 0)

    def begin(
        self, connection: Connection, guest_id: bytes, request_id: UUID, wanted: Wanted, offset: int, length: int
    ) -> Upload | None:
        """Take the next `length` bytes of a song. None: it was answered with an error."""
        if before := self._running.get(guest_id):
            before.end_early("a new upload of the guest")
        done = self.done(request_id)
        if offset != done or not 0 < length <= wanted.size - done:
            connection.reply_json(409, {"done": done})
            return None
        of_address = sum(one.ip == connection.ip for one in self._running.values())
        if of_address >= MAX_UPLOADS_OF_ADDRESS or (len(self._running) >= MAX_UPLOADS and not self._make_place()):
            connection.reply_json(503, {"error": "busy"}, {"Retry-After": "5"})
            return None
        self._size[request_id] = wanted.size
        upload = Upload(self, connection, guest_id, request_id, wanted, done, before)
        self._running[guest_id] = upload
        self._note(request_id, done)
        return upload

    def cancel(self, request_id: UUID) -> None:
        """The song is not wanted any more."""
        for upload in list(self._running.values()):
            if upload.request_id == request_id:
                upload.end_early("it is not wanted")
        if self._done.pop(request_id, None) is not None:
            self._remove(request_id)

    def sweep(self, is_wanted: Callable[[UUID], bool]) -> None:
        """Remove the bytes of the songs that are not wanted any more: their requests have ended."""
        for request_id in list(self._done):
            if not is_wanted(request_id):
                self.cancel(request_id)

    def cancel_guest(self, guest_id: bytes) -> None:
        """The guest was removed."""
        if upload := self._running.get(guest_id):
            upload.end_early("the guest was removed")

    def close(self) -> None:
        """End all uploads and remove their files."""
        for upload in list(self._running.values()):
            upload.end_early("the page is off")
        for request_id in list(self._done):
            self.cancel(request_id)

    def expected_bytes(self) -> int:
        """How much is missing of all songs that have begun to arrive."""
        return sum(size - self.done(request_id) for request_id, size in self._size.items())

    def ended(self, upload: Upload) -> None:
        """The upload does not use its place any more."""
        if self._running.get(upload.guest_id) is upload:
            del self._running[upload.guest_id]

    def note(self, request_id: UUID, done: int) -> None:
        """These bytes have been written."""
        if request_id in self._done:
            self._note(request_id, done)
            if not self.progress(request_id, done):
                self.cancel(request_id)

    def finished(self, request_id: UUID, path: pathlib.Path, file_name: str) -> None:
        """The song is in the cache."""
        if request_id in self._done:
            self.arrived(request_id, path, file_name)

    # -- in worker threads -------------------------------------------------------------------------------------------

    def part(self, request_id: UUID) -> pathlib.Path:
        """Where the bytes of this song are until it is whole."""
        return self._cache.folder / f"guest-{request_id.hex}.part"

    def open(self, request_id: UUID, offset: int, room_bytes: int) -> io.FileIO:
        """Open the part at this place. PhaseLockError or OSError; also if there is less room than `room_bytes`."""
        path = self.part(request_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._cache.room_bytes() < room_bytes:
            raise PhaseLockError("The disk is full.")
        with contextlib.ExitStack() as undo:
            file = open_part(path, new=not offset and not path.exists())
            undo.callback(file.close)
            with contextlib.suppress(OSError):  # the file system has no locks
                lock(file.fileno(), wait=False)
            if os.fstat(file.fileno()).st_size < offset:
                raise PhaseLockError("The file has changed.")
            file.truncate(offset)
            file.seek(offset)
            undo.pop_all()
        return file

    def adopt(self, request_id: UUID) -> pathlib.Path:
        """Put the whole song into the cache and return its path there. PhaseLockError."""
        path = self.part(request_id)
        try:
            return self._cache.adopt(path, MAX_FILE_BYTES)[2]
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make_place(self) -> bool:
        slowest = min(self._running.values(), key=lambda one: one.bytes_s)
        if slowest.age_s < SLOW_AFTER_S or slowest.bytes_s >= MIN_BYTES_S:
            return False
        slowest.end_early("it is slow, and others wait")
        return True

    def _note(self, request_id: UUID, done: int) -> None:
        self._done[request_id] = done
        self._done.move_to_end(request_id)
        for old in list(self._done)[:-MAX_PARTS]:
            if all(one.request_id != old for one in self._running.values()):
                del self._done[old]
                self._remove(old)

    def _remove(self, request_id: UUID) -> None:
        self._size.pop(request_id, None)

        async def remove() -> None:
            with contextlib.suppress(OSError):
                await self.in_worker(self.part(request_id).unlink)

        self.spawn(remove())


class Upload:
    """One request that carries bytes of a song: a Sink of its connection."""

    def __init__(
        self,
        uploads: Uploads,
        connection: Connection,
        guest_id: bytes,
        request_id: UUID,
        wanted: Wanted,
        offset: int,
        before: Upload | None,
    ) -> None:
        """`before`: the last upload of the guest, which may still write."""
        self._uploads = uploads
        self._connection = connection
        self.guest_id = guest_id
        self.request_id = request_id
        self._wanted = wanted
        self._offset = offset
        self._began_s = uploads.now_s()
        self._received = 0
        self._chunks: collections.deque[bytes] = collections.deque()
        self._waiting_bytes = 0
        self._paused = False
        self._ended = False
        """No more bytes come."""
        self._wake = asyncio.Event()
        self._given_up = False
        """Its bytes that have arrived and are not written yet are dropped."""
        self._before = before
        self.over = asyncio.Event()
        """Set: it does not write any more."""
        uploads.spawn(self._write())

    @property
    def age_s(self) -> float:
        return self._uploads.now_s() - self._began_s

    @property
    def ip(self) -> str:
        return self._connection.ip

    @property
    def bytes_s(self) -> float:
        """How fast it is, in bytes per second."""
        return self._received / max(self.age_s, 0.1)

    # -- Sink --------------------------------------------------------------------------------------------------------

    def data(self, data: bytes) -> None:
        self._chunks.append(data)
        self._received += len(data)
        self._waiting_bytes += len(data)
        self._connection.pause_for(self._uploads.bytes.spend(len(data), self._uploads.now_s()))
        if self._waiting_bytes > HIGH_BYTES and not self._paused:
            self._paused = True
            self._connection.pause()
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    def lost(self) -> None:
        self.end()

    def end_early(self, reason: str) -> None:
        """Close its connection. The bytes that have arrived stay."""
        _log.debug("an upload ends: %s", reason)
        self._connection.abort(reason)
        self._uploads.ended(self)
        self._given_up = True
        self.end()

    # -- its task ----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        done, file, uploads, failed = self._offset, None, self._uploads, False
        try:
            if (before := self._before) is not None:
                self._before = None
                await before.over.wait()  # one at a time writes into the file
            file = await uploads.in_worker(uploads.open, self.request_id, done, uploads.expected_bytes())
            while not self._given_up and (self._chunks or not self._ended):
                if not self._chunks:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                data = b"".join(self._chunks)
                self._chunks.clear()
                await uploads.in_worker(_write_all, file, data)
                done += len(data)
                self._waiting_bytes -= len(data)
                uploads.note(self.request_id, done)
                self._connection.touch()
                if self._paused and self._waiting_bytes < HIGH_BYTES // 2:
                    self._paused = False
                    self._connection.resume()
            await uploads.in_worker(file.close)
            if self._given_up:
                return
            if done == self._wanted.size:
                path = await uploads.in_worker(uploads.adopt, self.request_id)
                uploads.finished(self.request_id, path, self._wanted.file_name)
            self._connection.reply_json(200, {"done": done})
        except (OSError, PhaseLockError, ValueError) as error:
            failed = True
            _log.warning("an upload of a guest failed: %s", error)
            self._connection.reply_json(507, {"error": "disk"})
        finally:
            if file is not None:
                file.close()
            uploads.ended(self)
            self.over.set()
            if failed:  # its bytes make room for others
                uploads.cancel(self.request_id)


def _write_all(file: io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
