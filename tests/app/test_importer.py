"""What the importer tells about a file that cannot be added."""

from __future__ import annotations

import asyncio
import pathlib
import uuid

import pytest

from phaselock.app import importer as importer_module
from phaselock.app.importer import Importer
from phaselock.language.message import Message
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.types import Track
from phaselock.session.events import Event, Failed, FilesAdded
from phaselock.session.sentences import added_text, event_text
from phaselock.storage import collect
from tests.support.shouting import Shouting


def read(path: pathlib.Path) -> Track:
    raise AssertionError(f"{path} is no file to read")


async def failure_of(path: pathlib.Path) -> Failed:
    told: asyncio.Queue[Event] = asyncio.Queue()
    importer = Importer(lambda track, file: None, read, told.put_nowait, lambda: None)
    try:
        importer.take([str(path)])
        async with asyncio.timeout(10):
            event = await told.get()
    finally:
        importer.close()
    assert isinstance(event, Failed) and event.notice.code is Code.CANNOT_ADD
    return event


def test_the_reason_is_translated_with_its_values(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_PLAYLIST_ENTRIES", 0)
    path = tmp_path / "long.m3u"
    path.write_text("a.mp3\n")
    event = asyncio.run(failure_of(path))
    assert event_text(event) == "long.m3u cannot be added: more than 0 entries."
    assert event_text(event, Shouting()) == "long.m3u CANNOT BE ADDED: MORE THAN 0 ENTRIES."


def test_what_is_left_out_without_a_name_is_translated(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_FILES", 0)
    path = tmp_path / "a.mp3"
    path.write_text("")
    event = asyncio.run(failure_of(path))
    assert event_text(event) == "everything else cannot be added: too many files at once."
    assert event_text(event, Shouting()) == "EVERYTHING ELSE CANNOT BE ADDED: TOO MANY FILES AT ONCE."
    rows = FilesAdded(None, 0, (LeftOut(Message("everything else"), Notice(Code.TOO_MANY_FILES)),))
    assert "EVERYTHING ELSE (TOO MANY FILES AT ONCE)" in added_text(rows, Shouting())


def test_no_failure_ends_the_import(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    """A failure of each part is told, and the next file is still imported."""
    songs = [tmp_path / f"{name}.mp3" for name in "abcde"]
    for song in songs:
        song.write_bytes(b"x")
    told: list[Event] = []
    added: list[pathlib.Path] = []
    finished = asyncio.Event()

    def collected(paths: list[str]) -> collect.Collected:
        if paths == [str(songs[0])]:
            raise LookupError("no such encoding")
        return collect.collect(paths)

    def described(path: pathlib.Path) -> Track:
        if path == songs[1]:
            raise ValueError("an odd header")
        return Track(uuid.uuid4(), path.name, 1, b"", 44100, 1)

    def add(track: Track, path: pathlib.Path) -> None:
        if path == songs[2]:
            raise RuntimeError("an odd queue")
        added.append(path)
        if path == songs[4]:
            finished.set()

    def tell(event: Event) -> None:
        told.append(event)
        if len(told) == 3:
            raise OSError("an odd terminal")

    monkeypatch.setattr(importer_module, "collect", collected)

    async def story() -> None:
        importer = Importer(add, described, tell, lambda: None)
        try:
            for song in songs:
                importer.take([str(song)])
            async with asyncio.timeout(60):
                await finished.wait()
        finally:
            importer.close()

    asyncio.run(story())
    assert added == songs[3:]
    sentence = "Something went wrong inside PhaseLock. The log tells more: phaselock log"
    assert [event_text(event) for event in told] == [
        sentence,
        sentence,
        sentence,
        sentence,
    ]
    assert [bug.rpartition(" failed: ")[0] for bug in bugs] == [
        "an import",
        f"the import of {songs[1]}",
        f"the import of {songs[2]}",
        "an import",
    ]
