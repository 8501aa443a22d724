"""The signals that ask a program to end."""

from __future__ import annotations

import pathlib
import signal
from collections.abc import Callable
from types import FrameType

import pytest

from phaselock.console import interrupts
from phaselock.console.interrupts import handling, raise_and_wait

HANGUP = getattr(signal, "SIGHUP", None)


@pytest.mark.parametrize("number", interrupts.interrupts())
def test_each_is_handled_within_the_block(number: signal.Signals) -> None:
    heard: list[int] = []
    before = {one: signal.getsignal(one) for one in interrupts.interrupts()}
    with handling(lambda number, frame: heard.append(number)):
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert heard == [number, number]
    assert {one: signal.getsignal(one) for one in before} == before


def test_every_system_has_its_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {one.name for one in interrupts.interrupts()}
    assert names == {"SIGINT", "SIGTERM", "SIGHUP"} or names == {"SIGINT", "SIGTERM", "SIGBREAK"}
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGABRT, raising=False)
    assert signal.SIGABRT in interrupts.interrupts()


@pytest.mark.skipif(HANGUP is None, reason="there is no such signal")
def test_an_ignored_hangup_stays_ignored() -> None:
    assert HANGUP is not None
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        with handling(signal.default_int_handler):
            assert signal.getsignal(HANGUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(HANGUP, before)


def test_a_handler_of_another_library_is_not_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """signal.signal returns None for it, and does not take None."""
    set_handler = signal.signal

    def foreign(number: int, handler: Callable[[int, FrameType | None], object]) -> object:
        set_handler(number, handler)
        return None

    before = {one: signal.getsignal(one) for one in interrupts.interrupts()}
    monkeypatch.setattr(signal, "signal", foreign)
    try:
        with handling(signal.default_int_handler):
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            set_handler(number, handler)


@pytest.mark.parametrize("event", [2, 5, 6])
def test_the_end_of_a_console_waits_for_the_goodbye(event: int, monkeypatch: pytest.MonkeyPatch) -> None:
    story: list[object] = []
    monkeypatch.setattr(interrupts.time, "sleep", lambda seconds: story.append("waits"))
    with handling(lambda number, frame: story.append(number)):
        assert raise_and_wait(event)
    assert story == [getattr(signal, "SIGBREAK", signal.SIGTERM), "waits"]


@pytest.mark.parametrize("event", [0, 1])
def test_ctrl_c_and_ctrl_break_are_signals_without_help(event: int) -> None:
    assert not raise_and_wait(event)


def test_all_programs_share_the_list() -> None:
    house = pathlib.Path(interrupts.__file__).parent.parent
    named = [path.name for path in house.rglob("*.py") if "signal.SIGTERM" in path.read_text("utf-8")]
    assert named == ["interrupts.py"]
