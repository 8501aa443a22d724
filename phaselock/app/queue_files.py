"""The songs of the host's queue as files: the last queue, which is kept for the next session, and playlists.

All functions and methods are called on the network thread's loop; the disk is used in worker threads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import pathlib
from typing import TYPE_CHECKING

from phaselock.errors import InternalError, PhaseLockError, bug_net, message_of
from phaselock.model.names import is_cut, whole_title
from phaselock.storage.last_queue import save_last_queue
from phaselock.storage.playlist import Entry, save_playlist, with_ending
from phaselock.storage.tags import read_tags

if TYPE_CHECKING:
    from phaselock.network.host import HostRunner

SAVE_DELAY_S = 2.0
"""Changes within this time, such as the songs of a folder, are saved together."""

log = logging.getLogger("phaselock.app.queue_files")


class QueueKeeper:
    """Saves the queue of a session soon after each change. An empty queue does not replace the last one."""

    def __init__(self, runner: HostRunner, path: pathlib.Path) -> None:
        self._runner = runner
        self._path = path
        self._due: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """The queue has changed."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(SAVE_DELAY_S, self._start)

    async def close(self) -> None:
        """Save the last changes."""
        if self._due is not None:
            self._due.cancel()
            self._start()
        if self._saving is not None:
            await self._saving

    def _start(self) -> None:
        self._due = None
        if self._saving is not None and not self._saving.done():
            self.changed()  # the disk is slow
            return
        songs = [entry.path for entry in entries_of(self._runner)]
        if songs:
            self._saving = asyncio.create_task(self._save(songs))

    async def _save(self, songs: list[pathlib.Path]) -> None:
        with contextlib.suppress(InternalError), bug_net("saving the last queue", OSError):
            try:
                await asyncio.to_thread(save_last_queue, self._path, songs)
            except OSError as error:
                log.warning("The last queue cannot be saved: %s", message_of(error))


def entries_of(runner: HostRunner) -> list[Entry]:
    """The songs of the queue whose files are on this machine."""
    found = [(item, runner.origin(item.id)) for item in runner.snapshot().queue]
    return [Entry(path, item.title, item.artist, item.duration_secs) for item, path in found if path is not None]


async def save_queue(
    runner: HostRunner, wish: pathlib.Path, *, may_replace: pathlib.Path | None = None
) -> tuple[str, int]:
    """Save the queue as a playlist: `wish`, with the ending of playlists. The name of its file and the number of its
    songs. `may_replace`: the only file that the user has agreed to replace. FileExistsError if another one has the
    name, with that name; PhaseLockError if saving fails."""
    entries, path = entries_of(runner), with_ending(wish)
    if path != may_replace and await asyncio.to_thread(os.path.lexists, path):
        raise FileExistsError(path.name)
    try:
        with bug_net("saving a playlist", OSError):
            await asyncio.to_thread(lambda: save_playlist(path, map(_with_whole_titles, entries)))
    except OSError as error:
        reason = message_of(error)
        raise PhaseLockError("{file_name} cannot be saved: {reason}.", file_name=path.name, reason=reason) from None
    return path.name, len(entries)


def _with_whole_titles(entry: Entry) -> Entry:
    """The entry with the texts of its file's tags, if those of the session were cut. Reads the file."""
    if not is_cut(entry.title) and not is_cut(entry.artist):
        return entry
    tags = read_tags(entry.path, whole_title)
    return dataclasses.replace(entry, title=tags.title or entry.title, artist=tags.artist or entry.artist)
