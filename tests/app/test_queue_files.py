"""The window's program keeps the queue, and saves it as a playlist."""

from __future__ import annotations

import asyncio
import pathlib
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.queue_files import save_queue
from phaselock.app.window import WindowProgram
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.storage.collect import collect
from phaselock.storage.last_queue import load_last_queue
from phaselock.storage.paths import last_queue_path
from phaselock.storage.tags import read_tags
from phaselock.ui.backend import BackendEvent, Closed, LastQueue, Opened, QueueSaved
from tests.support.mp3 import encode


def event_of(program: WindowProgram, kind: type[BackendEvent]) -> BackendEvent:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        for event in program.events(1):
            if isinstance(event, kind):
                return event
        time.sleep(0.01)
    raise AssertionError(f"no {kind.__name__} came")


def until(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def with_title(title: str, mp3: bytes) -> bytes:
    text = b"\3" + title.encode()
    frame = b"TIT2" + len(text).to_bytes(4) + bytes(2) + text  # ID3v2.3
    size = bytes(len(frame) >> 7 * place & 0x7F for place in (3, 2, 1, 0))
    return b"ID3\3\0\0" + size + frame + mp3


def test_a_playlist_has_the_whole_titles_of_the_tags(tmp_path: pathlib.Path) -> None:
    title = "A very long title of a symphony " * 10
    song = tmp_path / "song.mp3"
    song.write_bytes(with_title(title, encode(frames=20_000)))
    tags = read_tags(song)
    assert tags.title.endswith(" A…")
    item = QueueItem(uuid.uuid4(), "song.mp3", 1.0, "Ana", ItemStatus.READY, tags.title, "Band")
    runner: Any = SimpleNamespace(snapshot=lambda: SimpleNamespace(queue=(item,)), origin=lambda file_id: song)
    assert asyncio.run(save_queue(runner, tmp_path / "all", may_replace=None)) == ("all.m3u8", 1)
    assert (tmp_path / "all.m3u8").read_text("utf-8").splitlines()[1] == f"#EXTINF:1,Band - {title.strip()}"


def test_the_queue_is_kept_and_saved_as_a_playlist(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path / "home"))
    songs = [tmp_path / f"{number}.mp3" for number in range(2)]
    for number, song in enumerate(songs):
        song.write_bytes(encode(frames=20_000 + number * 5_000))
    program = WindowProgram("null")
    program.bind = "127.0.0.1"
    try:
        program.read_last_queue()
        assert event_of(program, LastQueue) == LastQueue(())
        program.host("Friday", "Hana", 0, 0)
        event_of(program, Opened)
        program.add([str(song) for song in songs])
        until(lambda: (view := program.state()) is not None and len(view.snapshot.queue) == 2)
        program.save_queue(str(tmp_path / "party.m3u8"))
        assert event_of(program, QueueSaved) == QueueSaved("party.m3u8", 2, "")
        assert collect([tmp_path / "party.m3u8"]).files == tuple(songs)
        program.save_queue(str(tmp_path / "Summer 2.0"))
        assert event_of(program, QueueSaved) == QueueSaved("Summer 2.0.m3u8", 2, "")
        program.save_queue(str(tmp_path / "party"))  # the dialog has asked about "party" only
        refused = event_of(program, QueueSaved)
        assert isinstance(refused, QueueSaved) and "party.m3u8 already" in refused.problem
        program.save_queue(str(tmp_path / "none" / "party.m3u8"))
        failed = event_of(program, QueueSaved)
        assert isinstance(failed, QueueSaved) and failed.problem
        program.leave()
        event_of(program, Closed)
        assert load_last_queue(last_queue_path()) == tuple(map(str, songs))
        program.host("Friday", "Hana", 0, 0)  # an empty queue does not replace it
        event_of(program, Opened)
        program.leave()
        event_of(program, Closed)
        program.read_last_queue()
        assert event_of(program, LastQueue) == LastQueue(tuple(map(str, songs)))
    finally:
        program.close()
