"""The typed commands of a host that search in the music folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from phaselock.app import typed
from phaselock.app.library import MusicFolder
from phaselock.errors import InternalError, bug_net
from phaselock.language.message import Message
from phaselock.model.notices import Code, Notice
from phaselock.session.events import FoundSongRow, SongsFound
from phaselock.session.sentences import NoticeError, song_text

if TYPE_CHECKING:
    from phaselock.storage.library import LibrarySong


class LibraryCommands:
    """For the event loop. `show` gets the songs of each search, `add` the path of one that the user adds. No `music`:
    there is no folder. Its methods raise NoticeError for what cannot be done."""

    def __init__(
        self, music: MusicFolder | None, show: Callable[[SongsFound], object], add: Callable[[str], object]
    ) -> None:
        self._music = music
        self._show, self._add = show, add
        self._found: tuple[LibrarySong, ...] = ()
        """What the last search has found."""
        self._searching: asyncio.Task[None] | None = None

    def search(self, text: str) -> None:
        """Show the songs with these words."""
        if not text:
            raise typed.usage_error(Message("search TEXT"))
        if self._music is None or self._music.library is None:
            raise NoticeError(Notice(Code.NO_LIBRARY))
        if self._searching is not None:
            self._searching.cancel()
        self._searching = asyncio.get_running_loop().create_task(self._search(self._music, text))

    async def _search(self, music: MusicFolder, text: str) -> None:
        try:
            with bug_net("a search"):
                self._found = tuple(await music.search(text))
        except InternalError:
            self._found = ()
        rows = tuple(
            FoundSongRow(number, one.title, one.artist, one.album, round(one.duration_secs, 3), one.file_name)
            for number, one in enumerate(self._found, 1)
        )
        self._show(SongsFound(None, text, rows))

    def add(self, text: str) -> str:
        """Add the found song with this number. Returns what people call it."""
        number = int(typed.number(text, 1, 1e6, Message("add-found NUMBER (of the songs that search has found)")))
        if number > len(self._found):
            raise NoticeError(Notice(Code.NO_FOUND_NUMBER, number=number))
        song = self._found[number - 1]
        self._add(str(song.path))
        return song_text(song.title, song.artist, song.file_name)
