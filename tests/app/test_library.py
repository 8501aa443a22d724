"""The host's music folder, with the process that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest

from phaselock.app import json_process, library
from phaselock.app.library import MusicFolder
from phaselock.session.events import Event, LibraryChanged, LibraryState
from phaselock.session.sentences import event_text
from phaselock.storage.library import Library
from tests.support.tagged import tagged_mp3


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    tagged_mp3(tmp_path / "music" / "a.mp3", "Yesterday", "The Beatles")
    tagged_mp3(tmp_path / "music" / "b.mp3", "Hej då", "Ana")
    return tmp_path / "music"


@contextlib.asynccontextmanager
async def opened(folder: pathlib.Path) -> AsyncIterator[tuple[MusicFolder, asyncio.Queue[Event]]]:
    told: asyncio.Queue[Event] = asyncio.Queue()
    music = MusicFolder(folder.parent / "indexes", told.put_nowait, lambda: 7)
    try:
        async with asyncio.timeout(60):
            yield music, told
    finally:
        music.close()


async def state(told: asyncio.Queue[Event], wanted: LibraryState) -> LibraryChanged:
    while True:
        event = await told.get()
        assert isinstance(event, LibraryChanged)
        if event.state is wanted:
            return event


def test_the_folder_is_read_and_its_changes_are_noticed(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "RESCAN_EVERY_S", 0.05)
    monkeypatch.setattr(library, "RESCAN_SHARE", 0)

    async def run() -> None:
        async with opened(folder) as (music, told):
            assert (await music.search("beatles"), await music.song(1), music.library) == ([], None, None)
            music.use(folder)
            event = await state(told, LibraryState.READY)
            assert event == LibraryChanged(7, str(folder), LibraryState.READY, 2)
            assert event_text(event) == f"2 songs can be searched in {folder}."
            (song,) = await music.search("hej da")
            assert await music.song(song.song_id) == song
            assert (music.path_of(song.song_id), music.path_of(99)) == (folder / "b.mp3", None)
            tagged_mp3(folder / "c.mp3", "New")
            assert (await state(told, LibraryState.READY)).songs == 3
            shutil.move(folder, folder.with_name("elsewhere"))
            away = await state(told, LibraryState.AWAY)
            assert away.songs == 3 and len(await music.search("hej")) == 1
            shutil.move(folder.with_name("elsewhere"), folder)
            await state(told, LibraryState.READY)
            music.use(None)
            assert music.status.state is LibraryState.OFF and await music.search("hej") == []
            assert (await state(told, LibraryState.OFF)).folder == ""

    asyncio.run(run())


def test_what_was_found_last_is_there_at_once(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(wanted: LibraryState) -> None:
        async with opened(folder) as (music, told):
            music.use(folder)
            assert (await state(told, wanted)).songs == 2

    asyncio.run(run(LibraryState.READY))
    monkeypatch.setattr(library, "SCAN_CODE", "import time; time.sleep(3600)")
    asyncio.run(run(LibraryState.READING))


@pytest.mark.parametrize(
    ("code", "wanted", "text"),
    [
        ("""print('{"failed": "disk full"}')""", LibraryState.FAILED, "cannot be indexed: disk full"),
        ("""print('{"away": ""}')""", LibraryState.AWAY, "cannot be reached."),
        ("""print('{"done": 5, "of": 10}'); input()""", LibraryState.READING, "Reading the music folder: 50 %."),
    ],
)
def test_trouble_is_told(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: str, wanted: LibraryState, text: str
) -> None:
    monkeypatch.setattr(library, "SCAN_CODE", code)

    async def run() -> None:
        async with opened(folder) as (music, told):
            music.use(folder)
            sentence = event_text(await state(told, wanted))
            if wanted is LibraryState.READING:  # the first one says that the reading begins
                sentence = event_text(await state(told, wanted))
            assert text in sentence

    asyncio.run(run())


def test_a_drive_that_does_not_answer_is_away(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SCAN_CODE", "import time; time.sleep(3600)")
    monkeypatch.setattr(json_process, "SILENCE_S", 0.2)

    async def run() -> None:
        async with opened(folder) as (music, told):
            music.use(folder)
            assert (await state(told, LibraryState.AWAY)).folder == str(folder)

    asyncio.run(run())


def test_a_crash_is_followed_by_another_try(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = folder.parent / "tries"
    crashing = "import os, sys; open({!r}, 'a').write('x'); len(open({!r}).read()) < 3 and os.abort(); ".format(
        *[str(tries)] * 2
    )
    monkeypatch.setattr(library, "SCAN_CODE", crashing + library.SCAN_CODE)

    async def run() -> None:
        async with opened(folder) as (music, told):
            music.use(folder)
            assert (await state(told, LibraryState.READY)).songs == 2

    asyncio.run(run())
    assert tries.read_text() == "xxx"


class Over:
    """In place of the event that ends a watcher: records the pauses, and ends it after six."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    def is_set(self) -> bool:
        return len(self.pauses_s) == 6

    def wait(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)


def test_only_some_crashes_are_followed_by_another_try_at_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "MAX_CRASHES", 3)
    monkeypatch.setattr(library._Watcher, "_scan", lambda _self: False)
    index = tmp_path / "index.sqlite"
    watcher: Any = library._Watcher(Library(tmp_path, index), index, lambda _watcher, _status: None)
    watcher._over = over = Over()
    watcher.run()
    assert over.pauses_s == [0, 0] + [library.RESCAN_EVERY_S] * 4
