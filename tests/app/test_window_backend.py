"""The window is told in the language of the user why there is no session."""

from __future__ import annotations

import time

import pytest

from phaselock.app.window import WindowProgram
from phaselock.language import catalogue
from phaselock.ui.backend import BackendEvent, Closed
from tests.support.shouting import Shouting


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("host:x", "THE PORT IS A NUMBER FROM 1 TO 65535."),
        ("host.invalid:1", "CANNOT REACH host.invalid ON PORT 1: NO ADDRESS WAS FOUND."),
    ],
)
def test_why_it_cannot_join(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_current", Shouting())
    program = WindowProgram("null")
    told: list[BackendEvent] = []
    try:
        program.join(address, "Ann")
        until_s = time.monotonic() + 10
        while not told and time.monotonic() < until_s:
            time.sleep(0.01)
            told += program.events(10)
    finally:
        program.close()
    assert told == [Closed(reason, failed=True)]
