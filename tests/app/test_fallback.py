"""The fallback adds one song whenever the session wants one."""

from __future__ import annotations

import asyncio
import pathlib
import threading
from types import SimpleNamespace
from typing import Any

from phaselock.app.fallback import Fallback
from phaselock.app.importer import Imported
from phaselock.errors import PhaseLockError
from phaselock.session.commands import UseFallback
from phaselock.session.events import Event
from phaselock.session.sentences import event_text
from tests.support.simulation import a_track


class Host:
    """In place of a runner: what is added, and what is commanded."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.commands: list[Any] = []
        self.told: list[str] = []
        self.kept: list[str] = []
        """For the next session."""
        self.want_fallback: Any = None
        self.changed = asyncio.Event()

    def session_ns(self) -> None:
        return None

    def command(self, command: Any) -> None:
        self.commands.append(command)
        self.changed.set()

    def add(self, track: Any, path: pathlib.Path, origin: pathlib.Path, *, fallback: bool) -> None:
        assert fallback and path == origin
        self.added.append(path.name)
        self.changed.set()

    def tell(self, event: Event) -> None:
        self.told.append(event_text(event))
        self.changed.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def describe(path: pathlib.Path, name: str | None, report: Any) -> Imported:
    assert threading.current_thread() is not threading.main_thread()
    if "bad" in path.name:
        raise PhaseLockError("It is no music.")
    return Imported(a_track(1), path, ends_early=False)


def test_songs_are_added_in_turn_and_bad_ones_left_out(tmp_path: pathlib.Path) -> None:
    for name in ("1.mp3", "2 bad.mp3", "3.mp3"):
        (tmp_path / name).write_bytes(b"x")

    async def play() -> Host:
        host: Any = Host()
        fallback = Fallback(host, describe, host.tell, host.kept.append)
        fallback.use([str(tmp_path)])
        await host.until(lambda: host.commands == [UseFallback(True)])
        for count in (1, 2, 3):
            host.want_fallback()
            await host.until(lambda count=count: len(host.added) == count)
        fallback.end()
        host.want_fallback()
        fallback.close()
        assert host.want_fallback is None
        return host

    host = asyncio.run(play())
    assert host.added == ["1.mp3", "3.mp3", "1.mp3"]
    assert host.commands == [UseFallback(True), UseFallback(False)]
    assert host.kept == [str(tmp_path), ""]
    assert host.told == ["When nothing waits, songs of the fallback play: 3.", "When nothing waits, nothing plays."]


def test_a_fallback_without_music_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.mp3").write_bytes(b"x")

    async def play() -> SimpleNamespace:
        host: Any = Host()
        fallback = Fallback(host, describe, host.tell, host.kept.append)
        fallback.use([str(tmp_path / "nothing")])
        await host.until(lambda: host.told)
        fallback.use([str(tmp_path)])
        await host.until(lambda: host.commands)
        host.want_fallback()
        await host.until(lambda: len(host.told) == 3)
        fallback.close()
        return host

    host = asyncio.run(play())
    assert "nothing" in host.told[0] and host.kept == [str(tmp_path)]
    assert host.told[2] == "No song of the fallback can be played, so it is off."
    assert host.commands == [UseFallback(True), UseFallback(False)] and host.added == []


def test_the_last_choice_counts(tmp_path: pathlib.Path) -> None:
    for folder, names in (("a", "1"), ("b", "12")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.mp3").write_bytes(b"x")

    async def play() -> Host:
        host: Any = Host()
        fallback = Fallback(host, describe, host.tell, host.kept.append)
        fallback.use([str(tmp_path / "a")])
        fallback.end()
        fallback.use([str(tmp_path / "b")])
        await host.until(lambda: UseFallback(True) in host.commands)
        fallback.close()
        return host

    host = asyncio.run(play())
    assert host.told == ["When nothing waits, nothing plays.", "When nothing waits, songs of the fallback play: 2."]


def test_a_new_host_goes_on_with_the_songs_that_it_has(tmp_path: pathlib.Path) -> None:
    """Each once, under its own name. The user's own choice for other sessions is kept."""
    tracks = [a_track(number, file_name=f"{number}.mp3", sha256=bytes([number % 4]) * 32) for number in range(1, 6)]
    askers = ("fallback", "fallback", "peer:1", "fallback", "fallback")
    songs = [SimpleNamespace(file_id=one.file_id, asker=asker) for one, asker in zip(tracks, askers, strict=True)]
    files = {one.file_id: (one, tmp_path / one.sha256.hex()) for one in tracks if one is not tracks[1]}
    named: list[str | None] = []

    def describe_cached(path: pathlib.Path, name: str | None, report: Any) -> Imported:
        named.append(name)
        return Imported(a_track(9), path, ends_early=False)

    def heritage(on: bool) -> Any:
        return SimpleNamespace(songs=songs, settings=SimpleNamespace(fallback=on, host_name="Ben"))

    async def play() -> Host:
        host: Any = Host()
        fallback = Fallback(host, describe_cached, host.tell, host.kept.append)
        fallback.go_on(heritage(False), files)
        assert (fallback.source, host.commands) == ("", [])
        fallback.go_on(heritage(True), files)
        assert fallback.source == "Music of Ben"
        for count in (1, 2, 3):
            host.want_fallback()
            await host.until(lambda count=count: len(host.added) == count)
        fallback.end()
        fallback.close()
        return host

    host = asyncio.run(play())
    assert named == ["5.mp3", "4.mp3", "5.mp3"]
    assert host.commands == [UseFallback(True), UseFallback(False)]
    assert host.kept == []
