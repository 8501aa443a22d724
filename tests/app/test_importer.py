"""What the importer tells about a file that cannot be added."""

from __future__ import annotations

import asyncio
import functools
import pathlib
import uuid
from collections.abc import Callable
from typing import NoReturn

import pytest

from phaselock.app import importer as importer_module
from phaselock.app.converter import ConversionCancelledError
from phaselock.app.importer import Imported, Importer, import_file
from phaselock.audio.music import Inspector
from phaselock.language.message import Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.model.notices import Code, LeftOut, Notice
from phaselock.model.types import Track
from phaselock.session.events import ConversionChanged, Event, Failed, FilesAdded
from phaselock.session.sentences import added_text, event_text
from phaselock.storage import collect
from tests.support.mp3 import encode
from tests.support.shouting import Shouting


def read(path: pathlib.Path, name: str | None, report: Callable[[float], bool]) -> Imported:
    raise AssertionError(f"{path} is no file to read")


def no_converter(
    path: pathlib.Path, name: str, sha256: bytes, kind: Message, report: Callable[[float], bool]
) -> NoReturn:
    raise OtherSoundError(name, kind)


async def failure_of(path: pathlib.Path) -> Failed:
    told: asyncio.Queue[Event] = asyncio.Queue()
    importer = Importer(lambda track, file, origin: None, read, told.put_nowait, lambda: None)
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

    def described(path: pathlib.Path, name: str | None, report: Callable[[float], bool]) -> Imported:
        if path == songs[1]:
            raise ValueError("an odd header")
        return Imported(Track(uuid.uuid4(), path.name, 1, b"", 44100, 1), path, ends_early=False)

    def add(track: Track, path: pathlib.Path, origin: pathlib.Path) -> None:
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


def told_of(paths: list[pathlib.Path], count: int) -> list[Event]:
    """The events of the import of these paths, with the real inspection."""

    async def story() -> list[Event]:
        told: asyncio.Queue[Event] = asyncio.Queue()
        describe = functools.partial(import_file, inspect=Inspector(), convert=no_converter)
        importer = Importer(lambda track, file, origin: None, describe, told.put_nowait, lambda: None)
        try:
            importer.take([str(path) for path in paths])
            async with asyncio.timeout(60):
                return [await told.get() for _ in range(count)]
        finally:
            importer.close()

    return asyncio.run(story())


def test_what_cannot_be_played_says_why(tmp_path: pathlib.Path) -> None:
    sound = encode()
    contents = {
        "a.m4a": (
            b"\0\0\0\x20ftypM4A ",
            "a.m4a cannot be played: it is an M4A file, which needs: pip install 'av>=14'.",
        ),
        "b.txt": (b"Dear host", "b.txt cannot be played: it is a text, not a music file."),
        "c.mp3": (b"", "c.mp3 cannot be played: it is empty."),
        "d.mp3": (b"\0\1\2", "Invalid or corrupted MP3 file: d.mp3"),
        "e.mp3": (sound[: len(sound) // 2], "e.mp3 cannot be played: 51 % of it is missing at its end."),
        "f.mp3": (sound + encode(48000), "f.mp3 cannot be played: its sample rate changes at 0:02."),
    }
    for name, (content, sentence) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert [event_text(event) for event in told_of([tmp_path / name], 1)] == [sentence]
    (summary,) = told_of([tmp_path / name for name in contents if name != "b.txt"][:3], 1)
    assert event_text(summary) == (
        "Added no tracks; left out 3: a.m4a (it is an M4A file, which needs: pip install 'av>=14'), "
        "c.mp3 (it is empty) and d.mp3 (Invalid or corrupted MP3 file)."
    )


def test_songs_are_named_before_other_files_that_are_left_out(tmp_path: pathlib.Path) -> None:
    for name in ("a.jpg", "b.txt", "c.mp3", "d.jpg"):
        (tmp_path / name).write_bytes(b"\0\1\2")
    (summary,) = told_of([tmp_path], 1)
    assert event_text(summary) == (
        "Added no tracks; left out 4: c.mp3 (Invalid or corrupted MP3 file), a.jpg (a picture), b.txt (a text) and "
        "1 more (see: phaselock log)."
    )


def test_a_file_that_ends_early_is_added_with_a_warning(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(encode()[:-500])
    missing = tmp_path / "b.mp3"
    warning, summary = told_of([path, missing], 2)
    assert event_text(warning) == "Warning: a.mp3 ends early: its end is missing."
    assert event_text(summary) == "Added 1 track; left out 1: b.mp3 (no such file)."


def test_the_log_names_everything_that_was_left_out(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(9):
        (tmp_path / f"{number}.jpg").touch()
    caplog.set_level("INFO", "phaselock.app.importer")
    (summary,) = told_of([tmp_path], 1)
    assert event_text(summary) == (
        "Added no tracks; left out 9: 0.jpg (a picture), 1.jpg (a picture), 2.jpg (a picture) and "
        "6 more (see: phaselock log)."
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"left out {number}.jpg: a picture" for number in range(9)
    ]


def test_a_path_that_does_not_exist_is_told_as_it_was_given(tmp_path: pathlib.Path) -> None:
    told: list[Event] = []

    async def story(*lines: list[str]) -> None:
        importer = Importer(lambda track, path: None, import_nothing, told.append, lambda: None)
        try:
            for count, paths in enumerate(lines, 1):
                importer.take(paths)
                async with asyncio.timeout(60):
                    while len(told) < count:
                        await asyncio.sleep(0.005)
        finally:
            importer.close()

    missing = str(tmp_path / "no" / "nope")
    (tmp_path / "list.m3u8").write_text("gone.mp3\n")
    asyncio.run(story([missing], [str(tmp_path / "list.m3u8")]))
    assert [event_text(event) for event in told] == [f"There is no file {missing}.", "There is no file gone.mp3."]


def import_nothing(path: pathlib.Path, name: str | None, report: Callable[[float], bool]) -> Imported:
    raise AssertionError(path)


class Described:
    """Describes files as if it converted each of them, in these shares."""

    def __init__(self, *shares: float) -> None:
        self._shares = shares
        self.importer: Importer | None = None
        self.cancel_at: float | None = None
        self.cancels: list[bool] = []
        """What `cancel_conversion` has returned."""

    def __call__(self, path: pathlib.Path, name: str | None, report: Callable[[float], bool]) -> Imported:
        if path.suffix == ".mp3":
            return Imported(Track(uuid.uuid4(), path.name, 1, b"", 44100, 1), path, ends_early=False)
        for share in self._shares:
            if not report(share):
                raise ConversionCancelledError(path.name)
            if share == self.cancel_at:
                assert self.importer is not None
                asyncio.run_coroutine_threadsafe(self._cancel(self.importer), self.loop).result(60)
        if path.name.startswith("bad"):
            raise UnplayableFileError(path.name, Message("it is damaged or protected"))
        return Imported(Track(uuid.uuid4(), path.name, 1, b"", 44100, 1), path, ends_early=False)

    async def _cancel(self, importer: Importer) -> None:
        self.cancels.append(importer.cancel_conversion())

    async def story(self, paths: list[pathlib.Path], count: int) -> list[Event]:
        """The first events of the import of these paths."""
        told: asyncio.Queue[Event] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        importer = self.importer = Importer(lambda track, file, origin: None, self, told.put_nowait, lambda: None)
        self.cancels.append(importer.cancel_conversion())
        try:
            importer.take([str(path) for path in paths])
            async with asyncio.timeout(60):
                return [await told.get() for _ in range(count)]
        finally:
            importer.close()


def conversions(events: list[Event]) -> list[tuple[str, str, int]]:
    return [(one.file_name, one.state, one.done_percent) for one in events if isinstance(one, ConversionChanged)]


def songs(folder: pathlib.Path, *names: str) -> list[pathlib.Path]:
    for name in names:
        (folder / name).write_bytes(b"x")
    return [folder / name for name in names]


def test_a_conversion_is_told_in_tenths(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer_module, "CONVERSION_EVERY_S", 0)
    paths = songs(tmp_path, "a.m4a", "b.mp3", "bad.m4a")
    events = asyncio.run(Described(0.0, 0.05, 0.129, 0.13, 0.5, 1.0).story(paths, 11))
    steps = [("started", 0), ("converting", 12), ("converting", 50), ("converting", 100)]
    told = [
        [(name, *step) for step in [*steps, (end, 100)]] for name, end in (("a.m4a", "done"), ("bad.m4a", "failed"))
    ]
    assert conversions(events) == [*told[0], *told[1]]
    assert event_text(events[0]) == "Converting a.m4a." and event_text(events[1]) == "Converting a.m4a: 12 %."
    assert event_text(events[4]) == "" == event_text(events[9])
    assert event_text(events[10]) == "Added 2 tracks; left out 1: bad.m4a (it is damaged or protected)."


def test_a_conversion_is_told_seldom(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer_module, "CONVERSION_EVERY_S", 3600)
    events = asyncio.run(Described(*(number / 100 for number in range(100))).story(songs(tmp_path, "a.m4a"), 2))
    assert [(state, percent) for _, state, percent in conversions(events)] == [("started", 0), ("done", 100)]


def test_a_conversion_can_be_cancelled(tmp_path: pathlib.Path) -> None:
    """The file is left out without an error, and the next one is imported."""
    describe = Described(0.0, 0.5)
    describe.cancel_at = 0.0
    one, another = songs(tmp_path, "a.m4a", "b.mp3")
    events = asyncio.run(describe.story([one, another], 3))
    assert describe.cancels == [False, True]
    assert [event_text(event) for event in events] == [
        "Converting a.m4a.",
        "The conversion of a.m4a was cancelled.",
        "Added 1 track.",
    ]
