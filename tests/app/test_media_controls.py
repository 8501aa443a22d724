from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import UUID

import pytest

from phaselock.app import media_controls
from phaselock.app.media_controls import Actions, MediaControls
from phaselock.app.session import OpenHostSession, OpenPeerSession
from phaselock.desktop.controls import Action, NowPlaying
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import RequestState, SessionSnapshot
from phaselock.model.timeline import Timeline
from phaselock.session import commands as c
from phaselock.session.events import RequestChanged, RequestRow
from phaselock.storage.settings import SettingsStore

SONG = QueueItem(UUID(int=7), "song.mp3", 200.0, "Ana", ItemStatus.PLAYING, "Title", "Artist")
LINE = Timeline(SONG.id, 1000, 5000, 0)
SNAPSHOT = SessionSnapshot("Jam", "Ana", "Ana", (SONG,), SONG, LINE, None)
PAUSED = dataclasses.replace(SNAPSHOT, timeline=LINE.stopped_at(3_000_000_000))
EMPTY = SessionSnapshot("Jam", "Ana", "Ana", (), None, None, None)


class Runner:
    def __init__(self, snapshot: SessionSnapshot) -> None:
        self.now, self.commands = snapshot, list[Any]()
        self.file: pathlib.Path | None = None

    def snapshot(self) -> SessionSnapshot:
        return self.now

    def session_ns(self) -> int:
        return 10_000_000_000

    def path(self, file_id: UUID) -> pathlib.Path | None:
        return self.file

    def command(self, command: Any) -> None:
        self.commands.append(command)


class Player:
    volume = -1.0

    def set_volume(self, volume: float) -> None:
        self.volume = volume


class FakeControls:
    """Takes the place of desktop.controls.Controls."""

    active = True

    def __init__(self, do: Any, window: int = 0, *, on: bool = True) -> None:
        self.do, self.shown, self.notes, self.closed = do, list[NowPlaying](), list[tuple[str, str]](), False

    def show(self, now: NowPlaying) -> None:
        self.shown.append(now)

    def notify(self, summary: str, text: str) -> None:
        self.notes.append((summary, text))

    def close(self) -> None:
        self.closed = True


class Stage:
    def __init__(self, tmp_path: pathlib.Path, snapshot: SessionSnapshot, *, hosting: bool = True) -> None:
        self.runner, self.player, self.did = Runner(snapshot), Player(), list[Any]()
        self.store = SettingsStore(tmp_path / "settings.json")
        kind = OpenHostSession if hosting else OpenPeerSession
        session: Any = object.__new__(kind)
        session.runner, session.player = self.runner, self.player
        actions = Actions(
            lambda: self.did.append("end"), lambda: True, lambda: self.did.append("raise"), self.did.append
        )
        self.media = MediaControls(session, self.store, actions)
        self.controls: Any = self.media._controls

    async def shown(self) -> NowPlaying:
        self.media.changed()
        count = len(self.controls.shown)
        while len(self.controls.shown) == count:
            await asyncio.sleep(0.01)
        found: NowPlaying = self.controls.shown[-1]
        return found

    async def press(self, action: Action, value: float = 0.0) -> list[Any]:
        """The commands that follow."""
        self.runner.commands.clear()
        await asyncio.to_thread(self.controls.do, action, value)
        await asyncio.sleep(0)
        return self.runner.commands

    async def close(self) -> None:
        await self.media.aclose()
        self.store.close()


@pytest.fixture(autouse=True)
def fake_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_controls, "Controls", FakeControls)


def test_what_is_shown(tmp_path: pathlib.Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path, SNAPSHOT)
        now = await stage.shown()
        assert (now.status, now.track, now.title, now.artist) == ("Playing", SONG.id.hex, "Title", "Artist")
        assert (now.position_s, now.duration_s, now.can_control, now.can_play) == (15.0, 200.0, True, True)
        stage.runner.now = PAUSED
        now = await stage.shown()
        assert (now.status, now.position_s) == ("Paused", 8.0)
        stage.runner.now = EMPTY
        now = await stage.shown()
        assert (now.status, now.track, now.can_play, now.can_raise) == ("Stopped", "", False, True)
        await stage.close()
        assert stage.controls.closed
        peer = Stage(tmp_path, SNAPSHOT, hosting=False)
        now = await peer.shown()
        assert (now.status, now.can_control, now.can_play) == ("Playing", False, False)
        await peer.close()

    asyncio.run(go())


def test_album_and_cover(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    frames = b""
    for name, body in (("TALB", b"\x03Album"), ("APIC", b"\x03image/png\0\x03\0" + picture)):
        frames += name.encode() + len(body).to_bytes(4, "big") + bytes(2) + body
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    song = tmp_path / "song.mp3"
    song.write_bytes(b"ID3\x03\0\0" + size + frames + b"\xff\xfb\x90\0" + bytes(413))

    async def go() -> None:
        stage = Stage(tmp_path, SNAPSHOT)
        stage.runner.file = song
        now = await stage.shown()
        while not now.album:
            now = await stage.shown()
        assert now.album == "Album"
        cover = pathlib.Path(url2pathname(urlsplit(now.art_url).path))
        assert cover.read_bytes() == picture and cover.is_relative_to(tmp_path)
        await stage.close()
        assert not cover.exists()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("snapshot", "action", "value", "command"),
    [
        (SNAPSHOT, Action.PLAY, 0, None),
        (PAUSED, Action.PLAY, 0, c.Play()),
        (EMPTY, Action.PLAY_PAUSE, 0, c.Play()),
        (SNAPSHOT, Action.PLAY_PAUSE, 0, c.Pause()),
        (SNAPSHOT, Action.PAUSE, 0, c.Pause()),
        (PAUSED, Action.PAUSE, 0, None),
        (SNAPSHOT, Action.STOP, 0, c.Stop()),
        (EMPTY, Action.STOP, 0, None),
        (SNAPSHOT, Action.NEXT, 0, c.Next()),
        (SNAPSHOT, Action.PREVIOUS, 0, c.Previous()),
        (SNAPSHOT, Action.SEEK, 12.5, c.Seek(12.5)),
        (EMPTY, Action.SEEK, 12.5, None),
        (SNAPSHOT, Action.REPEAT, 1, c.Repeat(True)),
    ],
)
def test_what_is_done(
    tmp_path: pathlib.Path, snapshot: SessionSnapshot, action: Action, value: float, command: Any
) -> None:
    async def go() -> None:
        stage = Stage(tmp_path, snapshot)
        assert await stage.press(action, value) == ([] if command is None else [command])
        await stage.close()
        peer = Stage(tmp_path, snapshot, hosting=False)
        assert await peer.press(action, value) == []
        await peer.close()

    asyncio.run(go())


def test_volume_window_and_end(tmp_path: pathlib.Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path, SNAPSHOT, hosting=False)
        stage.store.update(muted=True)
        await stage.press(Action.VOLUME, 0.25)
        assert stage.player.volume == 0.25
        assert (stage.store.settings.volume, stage.store.settings.muted) == (0.25, False)
        await stage.press(Action.RAISE)
        await stage.press(Action.QUIT)
        assert stage.did == [0.25, "raise", "end"]
        assert (await stage.shown()).volume == 0.25
        await stage.close()

    asyncio.run(go())


def test_a_request_is_notified(tmp_path: pathlib.Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path, SNAPSHOT)
        row = RequestRow(UUID(int=1), 1, "Sam", "<b>.mp3", 10, RequestState.OPEN, 0, "")
        for changed in (row, dataclasses.replace(row, state=RequestState.ADDED), dataclasses.replace(row, peer="")):
            stage.media.tell(RequestChanged(0, changed))
        assert stage.controls.notes == [("Jam", 'Sam wants to add "<b>.mp3".')]
        await stage.close()

    asyncio.run(go())
