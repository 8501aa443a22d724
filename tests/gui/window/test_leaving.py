"""Leaving, ending and closing, and the events that are shown as toasts."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.notices import Code, Notice
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.ui.backend import Closed, SessionEvent
from tests.support.session_views import guest, host, peer, playing
from tests.support.window_driver import button, click, commands, deliver, go, reads, screen, show, toasts, until

pytestmark = pytest.mark.gui

GONE = "Host disconnected — session ended."


@pytest.mark.parametrize(
    ("state", "name", "warning"),
    [(host(), "End jam", "This ends the jam for everybody."), (guest(), "Leave jam", "This takes you out of the jam.")],
)
def test_leaving_asks_once(window: Any, state: Any, name: str, warning: str) -> None:
    shown = show(window, state)
    click(button(shown, name))
    assert toasts(window) == (warning,) and window.program.of("leave") == []
    click(button(shown, name))
    assert window.program.of("leave") == [()]
    window.program.now = None
    deliver(window, Closed("", failed=False))
    assert screen(window) == "HomeScreen" and toasts(window) == () and window.title() == "PhaseLock"


def test_the_button_of_the_warning_leaves(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(window, host())
    click(button(shown, "End jam"))
    until(window, lambda: not window.toasts._toasts[0].waits("slide"))
    real, asked = time.monotonic, window._confirm_asked_s
    monkeypatch.setattr(time, "monotonic", lambda: real() + 60)
    assert asked is not None
    click(button(window.toasts._toasts[0], "End jam"))
    assert window.program.of("leave") == [()], "however long one has thought about it"


def test_a_confirmation_expires_and_ends_with_its_session(window: Any) -> None:
    show(window, host())
    window.leave()
    window._confirm_asked_s -= 60
    window.leave()
    assert window.program.of("leave") == []
    window.program.now = None
    deliver(window, Closed("", failed=False))
    show(window, host())
    window.leave()
    assert window.program.of("leave") == []


def test_closing_asks_once_while_a_session_runs(window: Any) -> None:
    show(window, guest())
    window.close()
    assert not window.program.closed and toasts(window) == ("This takes you out of the jam.",)
    window.close()
    assert window.program.closed


def test_the_button_of_the_warning_closes(window: Any) -> None:
    show(window, host())
    window.close()
    until(window, lambda: not window.toasts._toasts[0].waits("slide"))
    button(window, "Close").invoke()
    assert window.program.closed


@pytest.mark.parametrize("state", [host(), guest()], ids=["host", "peer"])
@pytest.mark.parametrize("failed", [False, True])
def test_the_first_screen_says_why_a_session_ended(window: Any, state: Any, failed: bool) -> None:
    show(window, state)
    go(window, "sync")
    window.program.now = None
    reason = GONE if failed else "The host has ended the session."
    deliver(window, Closed(reason, failed))
    assert screen(window) == "HomeScreen" and window.overlay is None and window.title() == "PhaseLock"
    assert (reads(window.screen, reason), toasts(window)) == ((True, ()) if failed else (False, (reason,)))
    assert button(window, "Create jam").enabled


def test_events_are_shown_as_toasts(window: Any) -> None:
    show(window, playing(peer()))
    deliver(
        window,
        SessionEvent(e.Failed(1, Notice(Code.INVALID_MP3, file_name="bad.mp3"))),
        SessionEvent(e.DeviceChanged(1, "none", None, "", None)),
        SessionEvent(e.Playing(1, UUID(int=1), "a.mp3", 0.0)),
        SessionEvent(e.PeerJoined(1, 3, "Cleo", again=False)),
    )
    assert toasts(window) == (
        "Invalid or corrupted MP3 file. bad.mp3 was not added.",
        "No audio output detected.",
        "Cleo has joined.",
    )


def test_a_failed_transfer_is_retried_from_its_toast(window: Any) -> None:
    show(window, playing(peer()))
    deliver(
        window,
        SessionEvent(e.Failed(1, Notice(Code.TRANSFER_GIVEN_UP, file_name="a.mp3", peer="Sam", number=3))),
    )
    assert toasts(window) == ("Sam could not receive a.mp3 in 3 tries.",)
    click(button(window, "Retry"))
    assert commands(window) == [c.Retry("Sam")] and toasts(window) == ()
