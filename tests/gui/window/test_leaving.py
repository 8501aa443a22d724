"""Leaving, ending and closing, and the events that are shown as toasts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from phaselock.model.heritage import Cause
from phaselock.model.notices import Code, Notice
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.ui.backend import Closed, Opened, SessionEvent
from tests.support.session_views import guest, host, peer, playing
from tests.support.window_driver import button, click, commands, deliver, go, press, reads, screen, show, toasts

pytestmark = [pytest.mark.gui, pytest.mark.slow]

GONE = "Host disconnected — session ended."


@pytest.mark.parametrize(
    ("state", "name", "warning"),
    [(host(), "End jam", "This ends the jam for everybody."), (guest(), "Leave jam", "This takes you out of the jam.")],
)
def test_leaving_is_asked_below_its_button_until_it_is_answered(
    window: Any, state: Any, name: str, warning: str
) -> None:
    shown = show(window, state)
    end = button(shown, name)
    for cancel in (lambda: press(window, "<Key-Escape>"), lambda: click(button(window, "Cancel"))):
        click(end)
        assert window._question.text == warning and window.focus_get() is window._question.cancel
        below = window._question.winfo_rooty() - end.winfo_rooty() - end.winfo_height()
        assert 0 < below < 20 and window._question.winfo_rootx() < end.winfo_rootx()
        window.leave(end)
        cancel()
        assert window._question is None and window.program.of("leave") == [] and window.screen is shown
    click(end)
    click(window._question.act)
    assert window.program.of("leave") == [()] and window._question is None
    window.program.now = None
    deliver(window, Closed("", failed=False))
    assert screen(window) == "HomeScreen" and toasts(window) == () and window.title() == "PhaseLock"


def test_a_question_ends_with_its_session(window: Any) -> None:
    show(window, host())
    window.leave()
    window.program.now = None
    deliver(window, Closed("", failed=False))
    assert window._question is None


def test_closing_is_asked_in_the_middle_while_a_session_runs(window: Any) -> None:
    show(window, guest())
    go(window, "sync")
    for _ in range(2):
        window.close()
        window.update()
        question = window._question
        assert not window.program.closed and question.text == "This takes you out of the jam."
        middle = question.winfo_rootx() + question.winfo_width() // 2 - window.winfo_rootx()
        assert abs(middle - window.winfo_width() // 2) <= 1 and question.winfo_viewable()
    press(window, "<Key-Escape>")
    assert window._question is None and window.overlay is not None, "Escape answers the question only"
    window.close()
    window._question.act.invoke()
    assert window.program.closed


@pytest.mark.parametrize("asked", ["leave", "close", "drop"])
def test_the_keyboard_stays_inside_a_question(window: Any, asked: str) -> None:
    shown = show(window, playing(peer()))
    go(window, "sound")
    {
        "leave": lambda: window.leave(shown.end),
        "close": window.close,
        "drop": lambda: shown._peer_action(shown.peers.rows[0].key, "drop"),
    }[asked]()
    window.update()
    question = window._question
    assert question.cancel.winfo_rootx() < question.act.winfo_rootx()
    order = [question.act, question.cancel] * 2
    for key in ("<Tab>", "<<PrevWindow>>", "<Key-Right>", "<Key-Left>"):
        assert window.focus_get() is question.cancel
        reached = []
        for _ in order:
            press(window, key)
            reached.append(window.focus_get())
        assert reached == order
    shown.peers.focus_set()
    press(window, "<Tab>")
    assert window.focus_get() is question.cancel, "and comes back to it"
    press(window, "<Key-Escape>")
    assert window._question is None and commands(window) == [] and not window.program.closed
    press(window, "<Tab>")
    assert window.focus_get() not in (None, window)


def test_a_question_keeps_a_margin_and_its_buttons_a_line(window: Any) -> None:
    window.geometry("900x600")
    shown = show(window, playing(peer("Wohnzimmer-Küche und Balkon")))
    shown._peer_action(shown.peers.rows[0].key, "drop")
    window.update()
    question = window._question
    assert question.winfo_rootx() - window.winfo_rootx() >= 8
    assert question.cancel.winfo_rooty() == question.act.winfo_rooty()
    assert question.cancel.winfo_height() == question.act.winfo_height()
    assert question._corners == [], "a picture may lie behind it"


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
        SessionEvent(e.Failed(1, Notice(Code.INVALID_FILE, file_name="bad.mp3"))),
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


def test_a_removed_peer_is_let_in_again_from_its_toast(window: Any) -> None:
    show(window, playing(peer()))
    removed, barred = Notice(Code.PEER_REMOVED), Notice(Code.PEER_BARRED, peer="Zoe", choices=("Sam",))
    for event in (e.PeerLeft(1, 2, "Sam", removed), e.Warned(1, barred)):
        deliver(window, SessionEvent(event))
        click(button(window, "Let in again"))
    assert commands(window) == [c.AllowPeer("Sam")] * 2 and toasts(window) == ()


def test_a_host_is_asked_to_hand_over_while_others_can_host(window: Any) -> None:
    shown = show(window, playing(peer(), successors=("Sam", "Ana")))
    click(button(shown, "End jam"))
    question = window._question
    assert reads(question, "Sam becomes the host, and the music plays on. You keep listening.")
    assert window.focus_get() is question.act and button(question, "Hand over to Sam") is question.act
    press(window, "<Key-Escape>")
    assert window._question is None and commands(window) == []
    click(button(shown, "End jam"))
    click(window._question.act)
    assert commands(window) == [c.HandOver(None)] and window._question is None
    click(button(shown, "End jam"))
    click(button(window._question, "End for everybody"))
    assert window.program.of("leave") == [()]


def test_a_host_that_closes_the_window_hands_over_or_ends(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    show(window, playing(peer(), successors=("Sam",)))
    with monkeypatch.context() as patch:
        patch.setattr(window, "end", lambda: ends.append(len(window.program.of("leave"))))
        for word in ("Hand over to Sam", "End for everybody"):
            window.close()
            assert reads(window._question, "Sam becomes the host, and the music plays on.")
            click(button(window._question, word))
    assert ends == [0, 1]


def test_a_new_host_is_told_and_a_question_about_the_old_role_is_closed(window: Any) -> None:
    show(window, guest())
    window.leave()
    window.program.now = host()
    deliver(window, SessionEvent(e.HostChanged(1, "Ben", True, Cause.HOST_LOST)), Opened())
    assert screen(window) == "HostScreen" and window._question is None
    assert toasts(window) == ("The host is gone. You are the host now, and the music plays on.",)
