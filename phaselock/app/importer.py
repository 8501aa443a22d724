"""Import of files into the host's queue: a worker thread finds, hashes and inspects them, one after the other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import pathlib
import uuid
from collections.abc import Callable, Iterator, Sequence

from phaselock.app.converter import ConversionCancelledError
from phaselock.audio.formats.base import Music
from phaselock.errors import InternalError, PhaseLockError, bug_net, message_of
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.model.names import file_label, sentence
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.types import Track
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.session.events import ConversionChanged, ConversionState, Event, Failed, FilesAdded, Warned
from phaselock.session.sentences import NOTICES, NoticeError, notice_of, short_text
from phaselock.storage.collect import collect
from phaselock.storage.hashing import hash_file
from phaselock.storage.tags import read_tags

CONVERSION_EVERY_S = 1.0
"""Smallest time between two reports of a conversion."""

_log = logging.getLogger("phaselock.app.importer")


@frozen
class Imported:
    """A file that can be played."""

    track: Track
    path: pathlib.Path
    """The file that is played: the user's, or one that was made of it."""
    ends_early: bool
    """Its end is missing."""


def played(imported: Imported) -> tuple[Track, pathlib.Path]:
    """What is played, and from which file."""
    return imported.track, imported.path


class Importer:
    """Imports files, folders and playlists. Create it on the event loop that uses it.

    `describe` is `import_file`; it is called in a worker thread. `add` appends a track to the queue: it gets the
    file that is played, and the user's. `tell` gets
    `Failed` for a single file that cannot be added, `FilesAdded` for folders, playlists and several paths, `Warned`
    for a file whose end is missing, and `ConversionChanged`. The log names all files that were left out.
    `session_ns` gives the session time of the event. These three are called on the loop.
    """

    def __init__(
        self,
        add: Callable[[Track, pathlib.Path, pathlib.Path], None],
        describe: Callable[[pathlib.Path, None, Callable[[float], bool]], Imported],
        tell: Callable[[Event], None],
        session_ns: Callable[[], int | None],
    ) -> None:
        self._add = add
        self._describe = describe
        self._tell = tell
        self._session_ns = session_ns
        self._conversion: _Conversion | None = None
        """Of the file that is being imported."""
        self._asked: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self._worker = asyncio.create_task(self._work())
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "files")

    def take(self, paths: Sequence[str]) -> None:
        """Import these paths after those of earlier calls; each file is added as soon as it is read. Does not wait."""
        self._asked.put_nowait(paths)

    def cancel_conversion(self) -> bool:
        """Leave out the file that is being converted; the others are imported. False if there is none."""
        conversion = self._conversion
        if conversion is None or not conversion.is_running:
            return False
        conversion.is_wanted = False
        return True

    def close(self) -> None:
        """Stop: no more files are added."""
        self._worker.cancel()
        self._pool.shutdown(cancel_futures=True)

    async def _work(self) -> None:
        while True:
            paths = await self._asked.get()
            with contextlib.suppress(InternalError), bug_net("the report of an import"):
                try:
                    with bug_net("an import"):
                        await self._import(paths)
                except InternalError as error:
                    self._tell(Failed(self._session_ns(), notice_of(error)))

    async def _import(self, paths: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, collect, paths)
        left_out, added = list(found.left_out), 0
        for file in found.files:
            conversion = self._conversion = _Conversion(file.name, self._tell, self._session_ns)
            try:
                with conversion.told(), bug_net(f"the import of {file}", PhaseLockError):
                    imported = await loop.run_in_executor(self._pool, self._describe, file, None, conversion.report)
                    self._add(imported.track, imported.path, file)
                    if imported.ends_early:
                        notice = Notice(Code.ENDS_EARLY, file_name=imported.track.file_name)
                        self._tell(Warned(self._session_ns(), notice))
                added += 1
            except ConversionCancelledError:
                pass  # the user knows
            except PhaseLockError as error:
                left_out.append(LeftOut(file.name, notice_of(error)))
        left_out.sort(key=lambda one: one.notice.code is Code.NOT_MUSIC)  # covers and texts are the least important
        await loop.run_in_executor(self._pool, _log_left_out, left_out)
        self._conversion = None
        one_file = [str(file) for file in found.files] == list(paths) and len(paths) == 1
        if not one_file and (found.files or len(left_out) != 1):
            self._tell(FilesAdded(self._session_ns(), added, tuple(left_out)))
            return
        for one in left_out:
            notice = one.notice
            if notice.code is Code.NO_FILE and len(paths) == 1 and one.name == file_label(paths[0]):
                notice = dataclasses.replace(notice, file_name=sentence(paths[0]))
            elif not one_file and notice.code is not Code.NO_FILE:  # the text of NO_FILE names the file itself
                reason = notice.detail or Message(NOTICES[notice.code], number=notice.number)
                notice = Notice(Code.CANNOT_ADD, reason, file_name=one.name)
            self._tell(Failed(self._session_ns(), notice))


class _Conversion:
    """Tells how far the conversion of a file is, if it needs one. Create it on the event loop."""

    def __init__(self, file_name: str, tell: Callable[[Event], None], session_ns: Callable[[], int | None]) -> None:
        self._file_name, self._tell, self._session_ns = file_name, tell, session_ns
        self._loop = asyncio.get_running_loop()
        self._percent: int | None = None
        """As it was told last; None: it has not begun."""
        self._due_s = 0.0
        """Time of the loop from which it is told again."""
        self.is_wanted = True

    @property
    def is_running(self) -> bool:
        return self._percent is not None

    def report(self, share: float) -> bool:
        """For the worker thread: this share is converted, 0 to 1. Returns whether to go on."""
        self._loop.call_soon_threadsafe(self._progressed, share)
        return self.is_wanted

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Tell how the conversion ends, if it begins in this context."""
        try:
            yield
        except ConversionCancelledError:
            self._end(ConversionState.CANCELLED)
            raise
        except PhaseLockError:
            self._end(ConversionState.FAILED)
            raise
        self._end(ConversionState.DONE)

    def _progressed(self, share: float) -> None:
        percent = int(100 * share)
        if self._percent is None:
            self._note(ConversionState.STARTED, percent)
        elif percent // 10 > self._percent // 10 and self._loop.time() >= self._due_s:
            self._note(ConversionState.CONVERTING, percent)

    def _end(self, state: ConversionState) -> None:
        if self._percent is not None:
            self._note(state, 100 if state is ConversionState.DONE else self._percent)

    def _note(self, state: ConversionState, percent: int) -> None:
        self._percent, self._due_s = percent, self._loop.time() + CONVERSION_EVERY_S
        self._tell(ConversionChanged(self._session_ns(), self._file_name, state, percent))


def _log_left_out(left_out: Sequence[LeftOut]) -> None:
    for one in left_out:
        _log.info("left out %s: %s", one.name, short_text(one.notice))


def import_file(
    path: pathlib.Path,
    name: str | None,
    report: Callable[[float], bool],
    *,
    inspect: Callable[[pathlib.Path, bytes], Music],
    convert: Callable[[pathlib.Path, str, bytes, Message, Callable[[float], bool]], tuple[bytes, int, pathlib.Path]],
) -> Imported:
    """The track in a file. It gets the name `name`, else the name of the file. `inspect`: an Inspector, `convert`: a
    Converter, which gets `report`.

    Reads the whole file: call this in a worker thread. UnplayableFileError if it is no music, PhaseLockError if it
    cannot be read, is too large, or `report` says that it is not wanted any more.
    """
    name = name or path.name
    if not path.is_file():  # reading a device or a pipe may never end
        raise NoticeError(Notice(Code.NO_FILE, file_name=str(path)))
    try:
        stated_bytes = path.stat().st_size
        if stated_bytes > MAX_FILE_BYTES:
            raise NoticeError(Notice(Code.FILE_TOO_LARGE, file_name=name))
        if not stated_bytes:  # an empty file, or a file of the system (/proc) without a known size
            raise UnplayableFileError(name, Message(N_("it is empty")))
        sha256, size = hash_file(path)
        try:
            info = inspect(path, sha256)
        except OtherSoundError as error:
            sha256, size, path = convert(path, name, sha256, error.kind, report)
            info = inspect(path, sha256)
    except UnplayableFileError as error:
        raise error.named(name) from None
    except OSError as error:
        raise NoticeError(Notice(Code.FILE_UNREADABLE, message_of(error), file_name=name)) from None
    tags = read_tags(path)
    track = Track(uuid.uuid4(), name, size, sha256, info.rate_hz, info.frames, tags.title, tags.artist)
    return Imported(track, path, info.ends_early)
