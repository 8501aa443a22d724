"""Takes songs into the files of the host: those of peers and guests, and those of the host's user that are converted.

Songs arrive and are described in worker threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import pathlib
from collections.abc import Callable
from uuid import UUID

from phaselock.errors import PhaseLockError, bug_net
from phaselock.language.message import N_
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.model.types import Track
from phaselock.network import transfer
from phaselock.network.file_connection import FileConnection
from phaselock.network.runner import log
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.messages import SongUploadStart
from phaselock.session.effects import Effect
from phaselock.session.host.requests import Request
from phaselock.session.host.session import HostSession
from phaselock.storage.cache import FileCache

NOT_IN_LIBRARY = N_("This song is not in the host's music folder any more.")
UNREADABLE = N_("The host cannot read this song.")
REQUEST_WORKERS = 2
"""Worker threads that describe and convert the songs of guests and of the library."""

Describe = Callable[[pathlib.Path, str, Callable[[float], bool]], tuple[Track, pathlib.Path]]
"""Returns the track in a file, with the given name, and the file to play: another one if it was converted.
PhaseLockError if there is none. Called in a worker thread, with a function that it calls with the share that is
converted, and that returns whether the song is still wanted."""


class SongTaker:
    """For the network thread. `tell` calls a method of the session: see Runner._tell."""

    def __init__(
        self,
        session: HostSession,
        files: dict[UUID, tuple[Track, pathlib.Path]],
        cache: FileCache,
        describe: Describe,
        pool: concurrent.futures.ThreadPoolExecutor,
        tell: Callable[..., None],
        is_over: Callable[[], bool],
    ) -> None:
        """`files`: of the runner. `cache` holds the songs that peers upload. `pool` receives them; the caller shuts it
        down."""
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._files = files
        self._cache = cache
        self._describe = describe
        self._pool = pool
        self._tell = tell
        self._is_over = is_over
        self._uploads: dict[int, tuple[UUID, FileConnection]] = {}
        """By peer id."""
        self._own = frozenset(track.sha256 for track, path in files.values() if path.is_relative_to(cache.folder))
        """Hashes of the songs that exist in the cache only: the cache must not remove them."""
        cache.keep(self._own)
        self._origins: dict[UUID, pathlib.Path] = {}
        """The user's files of which tracks of this machine were made."""
        self._request_pool = concurrent.futures.ThreadPoolExecutor(REQUEST_WORKERS, "requests")

    def origin(self, file_id: UUID) -> pathlib.Path | None:
        """The user's file of which the file of a track was made, or None."""
        return self._origins.get(file_id)

    def is_wanted(self, request_id: UUID) -> bool:
        """See HostSession.wants_upload."""
        return not self._is_over() and self._session.wants_upload(request_id)

    def keep(self, track: Track, path: pathlib.Path, origin: pathlib.Path | None) -> None:
        """This machine has this file of a track. `origin` is the user's file, if `path` was made of it."""
        self._files[track.file_id] = track, path
        if origin is not None and origin != path:
            self._origins[track.file_id] = origin
            self._own |= {track.sha256}
            self._cache.keep(self._own)

    async def describe(self, path: pathlib.Path, name: str) -> tuple[Track, pathlib.Path]:
        """The track in a file of the host's user, under this name, and the file to play. PhaseLockError or OSError if
        there is none."""
        return await self._loop.run_in_executor(self._request_pool, self._describe, path, name, _goes_on)

    def shut(self, peer_id: int) -> None:
        """Receive nothing more of this peer."""
        if peer_id in self._uploads:
            self._uploads[peer_id][1].end()

    def end_all(self) -> None:
        """Receive nothing more."""
        for _, connection in self._uploads.values():
            connection.end()

    def shutdown(self) -> None:
        """Wait for the worker threads."""
        self._request_pool.shutdown()

    async def take_song(self, connection: FileConnection, start: SongUploadStart, request: Request) -> None:
        """Receive a requested song. A new upload of a peer ends its previous one."""
        self.shut(start.peer_id)
        self._uploads[start.peer_id] = start.request_id, connection
        row = self._session.recovers(start.request_id)
        try:
            with bug_net("receiving a song", PhaseLockError, ProtocolError, OSError):
                found = await self._loop.run_in_executor(self._pool, self._receive_song, connection, start, request)
            self._uploaded(start.request_id, row or found[0], found[1])
        except UnplayableFileError as error:
            self._refuse(start.request_id, error.message)
        except (PhaseLockError, ProtocolError, OSError) as error:  # the peer notices it too, and tries again
            log.info("an upload failed: %s", error)
        finally:
            connection.close()
            if self._uploads.get(start.peer_id) == (start.request_id, connection):
                del self._uploads[start.peer_id]

    async def take_from_library(
        self, request_id: UUID, library: Callable[[int], pathlib.Path | None] | None, song_id: int
    ) -> None:
        """Import a requested song of the library. `library` returns its path; called in a worker thread."""
        path = None
        if library is not None:
            path = await self._loop.run_in_executor(self._request_pool, library, song_id)
        if path is None:
            self._refuse(request_id, NOT_IN_LIBRARY)
        else:
            await self.take_file(request_id, path, path.name)

    async def take_file(self, request_id: UUID, path: pathlib.Path, file_name: str) -> None:
        """Describe the file of a requested song, and give it to the session."""

        def converting(share: float) -> bool:
            self._loop.call_soon_threadsafe(self._tell, self._session.upload_converting, request_id, share)
            return self.is_wanted(request_id)

        def describe() -> tuple[Track, pathlib.Path] | None:
            return self._describe(path, file_name, converting) if self.is_wanted(request_id) else None

        try:
            with bug_net("describing a song", PhaseLockError, OSError):
                found = await self._loop.run_in_executor(self._request_pool, describe)
            if found is not None:
                self._uploaded(request_id, *found, origin=path)
        except PhaseLockError as error:
            self._refuse(request_id, error.message)
        except OSError as error:
            log.info("a requested song cannot be read: %s", error)
            self._refuse(request_id, UNREADABLE)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _uploaded(self, request_id: UUID, track: Track, path: pathlib.Path, origin: pathlib.Path | None = None) -> None:
        """A requested song is complete and playable."""
        if self._is_over():
            return
        self._files[track.file_id] = track, path
        if origin is not None and origin != path:
            self._origins[track.file_id] = origin
        self._tell(self._session.uploaded, request_id, track)
        if not self._session.has_song(track.file_id):  # it was refused after all: the cache may remove the file
            del self._files[track.file_id]
            self._origins.pop(track.file_id, None)
        elif path.is_relative_to(self._cache.folder):
            self._own |= {track.sha256}
            self._cache.keep(self._own)

    def _refuse(self, request_id: UUID, reason: str) -> None:
        self._tell(self._session.upload_refused, request_id, reason)

    def _receive_song(
        self, connection: FileConnection, start: SongUploadStart, request: Request
    ) -> tuple[Track, pathlib.Path]:
        """Called in a worker thread."""

        def report(done_bytes: int) -> None:
            self._loop.call_soon_threadsafe(self._upload_progress, start, done_bytes)

        def converting(share: float) -> bool:
            self._loop.call_soon_threadsafe(self._conversion_progress, start, share)
            return not connection.is_ended

        path = transfer.receive_upload(connection, start, request.size, self._cache, report)
        try:
            return self._describe(path, request.file_name, converting)
        except UnplayableFileError:
            self._cache.discard(start.sha256)
            raise

    def _upload_progress(self, start: SongUploadStart, done_bytes: int) -> None:
        self._tell_or_shut(start, self._session.upload_progress, done_bytes)

    def _conversion_progress(self, start: SongUploadStart, share: float) -> None:
        self._tell_or_shut(start, self._session.upload_converting, share)

    def _tell_or_shut(self, start: SongUploadStart, call: Callable[..., list[Effect]], done: float) -> None:
        """Tell the session how far the song of a peer is, or end its upload if the song is no longer wanted."""
        if self.is_wanted(start.request_id):
            self._tell(call, start.request_id, done)
        elif not self._is_over():
            self.shut(start.peer_id)


def _goes_on(_converted: float) -> bool:
    """The song stays wanted while it is converted."""
    return True
