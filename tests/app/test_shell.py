"""The answers to commands on standard input."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.shell import HostShell
from phaselock.session.events import Event
from phaselock.session.sentences import event_text
from tests.support.shouting import Shouting


def answer(line: str) -> Event:
    """What a host's shell tells about this line, if the line is wrong."""
    told: list[Event] = []
    parts: Any = SimpleNamespace(session_ns=lambda: None, event=told.append, command=None)
    HostShell(parts, parts, parts, parts, parts).line(line)
    (event,) = told
    return event


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("seek far", "USAGE: SEEK SECONDS"),
        ("remove", "USAGE: REMOVE NUMBER"),
        ("offset 3000", "USAGE: OFFSET MILLISECONDS (-2000 TO 2000)"),
    ],
)
def test_a_usage_is_translated(line: str, text: str) -> None:
    assert event_text(answer(line), Shouting()) == text


def test_a_word_that_was_typed_stays_as_it_is() -> None:
    assert event_text(answer("playing"), Shouting()).startswith("UNKNOWN COMMAND: playing. COMMANDS: accept, add,")


def test_a_failure_of_a_command_is_told(bugs: list[str]) -> None:
    told: list[Event] = []

    def fail(volume: float) -> None:
        raise ValueError("odd")

    parts: Any = SimpleNamespace(session_ns=lambda: None, event=told.append, command=None, set_volume=fail)
    shell = HostShell(parts, parts, parts, parts, parts)
    shell.line("volume 50")
    shell.line("seek far")
    assert event_text(told[0]) == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
    assert event_text(told[1]) == "Usage: seek SECONDS"
    assert bugs == ["a typed command failed: ValueError('odd')"]
