"""The typed commands that search in the music folder."""

from __future__ import annotations

import asyncio
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.library_commands import LibraryCommands
from phaselock.console.lines import event_lines
from phaselock.model.notices import Code
from phaselock.session.events import SongsFound
from phaselock.session.sentences import NoticeError
from phaselock.storage.library import LibrarySong

SONGS = [
    LibrarySong(5, pathlib.Path("/music/a.mp3"), "Help!", "The Beatles", "Help!", 139.25, 1000, "a.mp3"),
    LibrarySong(6, pathlib.Path("/music/b.mp3"), "", "", "", 0.0, 1000, "b.mp3"),
]


def failure(commands: LibraryCommands, name: str, text: str) -> Code:
    with pytest.raises(NoticeError) as caught:
        getattr(commands, name)(text)
    return caught.value.notice.code


def test_found_songs_are_shown_and_added() -> None:
    shown: asyncio.Queue[SongsFound] = asyncio.Queue()
    added: list[str] = []

    async def search(text: str) -> list[LibrarySong]:
        return SONGS if text == "help" else []

    async def run() -> None:
        music: Any = SimpleNamespace(library=object(), search=search)
        commands = LibraryCommands(music, shown.put_nowait, added.append)
        assert failure(commands, "add", "1") is Code.NO_FOUND_NUMBER
        commands.search("help")
        assert event_lines(await shown.get()) == [
            "   song                 length  album",
            "1  Help! – The Beatles    2:19  Help!",
            "2  b.mp3",
        ]
        assert commands.add("2") == "b.mp3"
        assert commands.add("1") == "Help! – The Beatles"
        assert added == [str(SONGS[1].path), str(SONGS[0].path)]
        assert failure(commands, "add", "3") is Code.NO_FOUND_NUMBER
        assert failure(commands, "add", "x") is Code.USAGE
        assert failure(commands, "search", "") is Code.USAGE
        commands.search("other")
        commands.search("nothing")
        assert event_lines(await shown.get()) == ['No song with "nothing".']
        assert failure(commands, "add", "1") is Code.NO_FOUND_NUMBER

    asyncio.run(run())


def test_without_a_folder_there_is_no_search() -> None:
    music: Any = SimpleNamespace(library=None)
    for one in (None, music):
        assert failure(LibraryCommands(one, print, print), "search", "help") is Code.NO_LIBRARY
