"""The files of a peer: those that it fetches from the host, keeps in the cache, and uploads.

They are transferred and inspected in worker threads. peer_swarm.py has those that arrive in pieces.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pathlib
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from phaselock.audio.interface import SongLength
from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.model.names import file_label
from phaselock.model.notices import Code, Notice
from phaselock.model.types import Track
from phaselock.network import transfer as bulk
from phaselock.network.peer_swarm import PeerSwarm
from phaselock.network.piece_fetch import FileInPieces
from phaselock.protocol import messages as m
from phaselock.session.commands import Request
from phaselock.session.effects import Upload
from phaselock.session.peer.session import PeerSession
from phaselock.session.sentences import NoticeError
from phaselock.storage.cache import FileCache
from phaselock.storage.collect import names_several
from phaselock.storage.tags import read_tags

OTHER_RATE = Message(N_("its sampling rate is not the one that the host says"))


class PeerTransfers:
    """For the network thread. `tell` calls a method of the session: see Runner._tell."""

    def __init__(
        self,
        session: PeerSession,
        files: dict[UUID, tuple[Track, pathlib.Path]],
        cache: FileCache,
        inspect: Callable[[pathlib.Path, bytes], SongLength],
        swarm: PeerSwarm,
        pool: concurrent.futures.ThreadPoolExecutor,
        *,
        tell: Callable[..., None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        is_over: Callable[[], bool],
    ) -> None:
        """`files`: of the runner. `inspect`: see PeerRunner. `pool`, of one thread, fetches files; the caller shuts it
        down."""
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._files = files
        self._cache = cache
        self._inspect = inspect
        self._swarm = swarm
        self._pool = pool
        self._tell = tell
        self._spawn = spawn
        self._is_over = is_over
        self._keep: frozenset[bytes] = frozenset()
        self._own: frozenset[bytes] = frozenset()
        """Hashes of the songs requested by this user: the cache must not remove them before their upload."""
        self._fetches: dict[UUID, bulk.Fetch] = {}
        """The wanted files in the order of their announcement. Only the first one is in the pool, so the cancelled ones
        leave no work behind."""
        self._fetching = False
        self._uploads: dict[UUID, bulk.Upload] = {}
        self._upload_pool = concurrent.futures.ThreadPoolExecutor(1, "upload")

    def fetch(self, track: Track, access: bulk.Access) -> None:
        """Fetch a file, after those that are wanted already."""
        self._fetches[track.file_id] = bulk.Fetch(track, access)
        if not self._fetching:
            self._fetching = True
            self._spawn(self._fetch_all())

    def fetch_in_pieces(self, track: Track, root: bytes) -> None:
        """Fetch a file by the tasks that `PeerSwarm` is given. `root`: of its hash tree."""
        self._spawn(self._fetch_in_pieces(self._swarm.begin(track, root)))

    def cancel(self, file_id: UUID) -> None:
        """This file is not wanted any more."""
        self._swarm.cancel(file_id)
        if file_id in self._fetches:
            self._fetches.pop(file_id).cancel()

    def upload(self, effect: Upload, access: bulk.Access) -> None:
        """Send a song to the host."""
        held = [path for track, path in self._files.values() if track.sha256 == effect.sha256]
        path = next((one for one in held if one.exists()), self._cache.path(effect.sha256))
        upload = bulk.Upload(effect.request_id, path, effect.size, effect.sha256, access)
        self._uploads[effect.request_id] = upload
        self._spawn(self._upload(upload))

    def cancel_upload(self, request_id: UUID) -> None:
        """The host does not want this song any more, or is lost."""
        if request_id in self._uploads:
            self._uploads.pop(request_id).cancel()

    def keep(self, hashes: frozenset[bytes]) -> None:
        """The cache must not remove these files."""
        self._keep = hashes
        self._cache.keep(self._keep | self._own)

    async def take_in(self, path: pathlib.Path) -> Request:
        """Copy the user's file into the cache, where it is uploaded and played from. PhaseLockError if it is none that
        can be requested."""
        wish = await self._loop.run_in_executor(self._upload_pool, self._take_in, path)
        if not self._is_over():
            self._own = self._own | {wish.sha256}
            self._cache.keep(self._keep | self._own)
        return wish

    async def report_room(self) -> None:
        """Report the free cache space to the session, and the files that were removed from the cache."""
        room_bytes, gone = await self._loop.run_in_executor(self._pool, self._look, dict(self._files))
        self._tell(self._session.room, room_bytes)
        for file_id in gone:
            self._tell(self._session.file_gone, file_id, is_open=True)

    def end_all(self) -> None:
        """Transfer nothing more."""
        for transfer in [*self._fetches.values(), *self._uploads.values()]:
            transfer.cancel()

    def shutdown(self) -> None:
        """Wait for the worker threads."""
        self._upload_pool.shutdown()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _look(self, files: dict[UUID, tuple[Track, pathlib.Path]]) -> tuple[int, list[UUID]]:
        """Called in the worker thread. Return the free cache space in bytes, and the ids of the files that are gone."""
        return self._cache.room_bytes(), [file_id for file_id, (_, path) in files.items() if not path.exists()]

    def _take_in(self, path: pathlib.Path) -> Request:
        """Called in the upload thread."""
        name = file_label(path.name)
        if names_several(path):
            raise NoticeError(Notice(Code.ONE_SONG, file_name=name))
        sha256, size, cached = self._cache.adopt(path, most_bytes=m.MAX_FILE_BYTES)
        try:
            info = self._inspect(cached, sha256)
            duration_secs = round(info.frames / info.rate_hz, 3)
        except OtherSoundError:  # the host may be able to convert it
            duration_secs = 0.0
        except UnplayableFileError as error:  # name the user's file, not the one in the cache
            raise error.named(name) from None
        tags = read_tags(cached)
        return Request(uuid.uuid4(), name, size, sha256, tags.title, tags.artist, duration_secs)

    async def _upload(self, upload: bulk.Upload) -> None:
        problem = await self._loop.run_in_executor(self._upload_pool, self._send, upload)
        if not self._is_over() and self._uploads.get(upload.request_id) is upload:
            del self._uploads[upload.request_id]
            self._tell(self._session.upload_ended, upload.request_id, problem)

    def _send(self, upload: bulk.Upload) -> str:
        """Called in the upload thread. Return the error as a sentence for users; empty after a success."""
        try:
            with bug_net("an upload", PhaseLockError):
                upload.run(lambda sent_bytes: None)
        except PhaseLockError as error:
            return error.message
        return ""

    async def _fetch_all(self) -> None:
        """Fetch the wanted files one after the other, until there are none."""
        try:
            while self._fetches and not self._is_over():
                with contextlib.suppress(InternalError), bug_net("the end of a transfer"):
                    await self._fetch(next(iter(self._fetches.values())))
        finally:
            self._fetching = False

    async def _fetch(self, fetch: bulk.Fetch) -> None:
        file_id = fetch.track.file_id
        path, problem = await self._loop.run_in_executor(self._pool, self._get, fetch.track, fetch.run)
        if self._is_over() or self._fetches.get(file_id) is not fetch:
            return
        del self._fetches[file_id]
        await self._arrived(fetch.track, path, problem)

    async def _fetch_in_pieces(self, file: FileInPieces) -> None:
        path: pathlib.Path | None = None
        problem: PhaseLockError | None = None
        try:
            path = await self._swarm.arrive(file)
        except PhaseLockError as error:
            problem = error
        if path is not None:
            found = path
            path, problem = await asyncio.to_thread(self._get, file.track, lambda cache: found)
        if not self._is_over() and (path or problem):
            await self._arrived(file.track, path, problem)

    async def _arrived(self, track: Track, path: pathlib.Path | None, problem: PhaseLockError | None) -> None:
        """A fetch has ended: see `_get`."""
        if path and problem:
            self._tell(self._session.decode_failed, track.file_id, problem.message)
        elif path:
            self._files[track.file_id] = track, path
            self._tell(self._session.file_ready, track.file_id)
        elif problem:
            self._tell(self._session.file_failed, track.file_id, problem.message)
        await self.report_room()

    def _get(
        self, track: Track, get: Callable[[FileCache], pathlib.Path]
    ) -> tuple[pathlib.Path | None, PhaseLockError | None]:
        """Fetch a file by `get`. Called in a worker thread. Return its path and an error.

        The path is None if the file did not arrive. The error is None if the file arrived and can be played. A path and
        an error: the file arrived, but cannot be played.
        """
        path = None
        try:
            with bug_net("a transfer", PhaseLockError):
                held = self._files.get(track.file_id)
                if held is not None and held[0].sha256 == track.sha256 and held[1].exists():
                    path = held[1]  # this machine was the host before
                else:
                    path = get(self._cache)
                rate_hz = self._inspect(path, track.sha256).rate_hz
                if rate_hz != track.rate_hz:  # the timelines of the host count other frames than the file has
                    raise UnplayableFileError(path.name, OTHER_RATE)
        except UnplayableFileError as error:  # name the host's file, not the one in the cache
            return path, error.named(track.file_name)
        except PhaseLockError as error:
            return path, error
        return path, None
