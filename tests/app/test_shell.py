"""The answers to commands on standard input."""

from __future__ import annotations

import asyncio
import pathlib
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.shell import HostShell
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.session.events import Event
from phaselock.session.sentences import event_text
from tests.support.shouting import Shouting


def parts(told: list[Event], **more: Any) -> Any:
    """What a shell needs, in place of its runner, its output, its settings and its terminal."""
    nothing: Any = SimpleNamespace(queue=(), requests=(), peers=(), now=None, waiting_for=None, timeline=None)
    return SimpleNamespace(
        session_ns=lambda: None,
        event=lambda event, **_: told.append(event),
        snapshot=lambda: nothing,
        command=None,
        **more,
    )


def answer(line: str) -> Event:
    """What a host's shell tells about this line, if the line is wrong."""
    told: list[Event] = []
    HostShell(*([parts(told)] * 5)).line(line)
    (event,) = told
    return event


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("remove", "USAGE: REMOVE NUMBER"),
        ("offset 3000", "USAGE: OFFSET MILLISECONDS (-2000 TO 2000)"),
    ],
)
def test_a_usage_is_translated(line: str, text: str) -> None:
    assert event_text(answer(line), Shouting()) == text


def test_a_word_that_was_typed_stays_as_it_is() -> None:
    assert event_text(answer("status!"), Shouting()) == "UNKNOWN COMMAND: status!. DID YOU MEAN status?"
    assert event_text(answer("playing music"), Shouting()) == "UNKNOWN COMMAND: playing. DID YOU MEAN play?"
    assert event_text(answer("xyzzy"), Shouting()) == "UNKNOWN COMMAND: xyzzy. TYPE HELP FOR A LIST."


def test_a_failure_of_a_command_is_told(bugs: list[str]) -> None:
    told: list[Event] = []

    def fail(volume: float) -> None:
        raise ValueError("odd")

    settings = SimpleNamespace(volume=1.0)
    shell = HostShell(*([parts(told, set_volume=fail, settings=settings)] * 5))
    shell.line("volume 50")
    shell.line("remove")
    assert event_text(told[0]) == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
    assert event_text(told[1]) == "Usage: remove NUMBER"
    assert bugs == ["a typed command failed: ValueError('odd')"]


def test_the_queue_is_saved_as_a_playlist(tmp_path: pathlib.Path) -> None:
    told: list[Event] = []
    item = QueueItem(uuid.uuid4(), "tune.mp3", 12.6, "Ana", ItemStatus.READY, "Tune", "Band")
    fake = parts(told, path=lambda file_id: tmp_path / "tune.mp3")
    fake.snapshot = lambda: SimpleNamespace(queue=(item,), now=None, waiting_for=None)

    async def say(*lines: str) -> None:
        shell = HostShell(*([fake] * 5))
        for count, line in enumerate(lines, 1):
            shell.line(line)
            while len(told) < count:
                await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(say(f"save {tmp_path / 'my list'}", f"save {tmp_path / 'no' / 'a.m3u8'}", "save"), 60))
    assert (tmp_path / "my list.m3u8").read_text("utf-8") == "#EXTM3U\n#EXTINF:13,Band - Tune\ntune.mp3\n"
    saved, failed, usage = map(event_text, told)
    assert saved == "The queue is saved in my list.m3u8." and usage == "Usage: save FILE"
    assert failed.startswith("a.m3u8 cannot be saved: ")
