"""The first screens: home, the form of a new jam, the jams on this network."""

from __future__ import annotations

from typing import Any

import pytest

from phaselock.ui.backend import Closed, Found, FoundSessions, Opened
from tests.support.session_views import guest, host
from tests.support.window_driver import button, click, deliver, go, press, reads, row, screen, show, texts, toasts

pytestmark = pytest.mark.gui

GONE = "Host disconnected — session ended."


def test_home_leads_to_both_forms_and_back(window: Any) -> None:
    assert {"PhaseLock", "Create jam", "Join jam", "Ana  ·  Sound: default output"} <= set(texts(window))
    click(button(window, "Create jam"))
    assert screen(window) == "CreateScreen" and reads(window, "Create a jam")
    click(button(window, "Back"))
    click(button(window, "Join jam"))
    assert screen(window) == "BrowserScreen"
    click(button(window, "Back"))
    assert screen(window) == "HomeScreen" and window.title() == "PhaseLock"
    assert window.program.of("browse") == [True, False]


def test_create_submits_its_fields(window: Any) -> None:
    go(window, "create")
    form = window.screen
    assert (form.session_name.get(), form.display_name.get()) == ("Friday", "Ana")
    window.update()
    press(window, "<Key>", keysym="End")
    for letter in ("space", "B"):
        press(window, f"<Key-{letter}>")
    click(button(window, "More"))
    form.port.set("18000")
    click(button(window, "Create jam"))
    ((name, *others),) = window.program.of("host")
    assert name in ("Friday B", " B") or name == "B"
    assert others == ["Ana", 18000, 17402]
    assert not form.button.enabled
    click(form.button)
    assert len(window.program.of("host")) == 1


def test_create_shows_errors_of_its_fields(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.display_name.set("  ")
    form.port.set("0")
    form.clock_port.set("65536")
    window.update()
    assert not reads(window, "TCP port")
    press(window, "<Key-Return>")
    assert reads(window, "Please choose a name, so that the others know who hosts.")
    assert texts(window).count("A number from 1 to 65535, please.") == 2 and reads(window, "TCP port")
    assert not window.program.of("host")
    form.display_name.set("Ana")
    form.port.set("1")
    form.clock_port.set("65535")
    form.session_name.set("")
    form.submit()
    assert window.program.of("host") == [("", "Ana", 1, 65535)]
    assert not reads(window, "please.") and not reads(window, "Please")


def test_a_session_that_cannot_be_opened_says_why(window: Any) -> None:
    go(window, "create")
    window.screen.submit()
    reason = "Port 17401 is in use. Please close the other application or change the port."
    deliver(window, Closed(reason, failed=True))
    assert screen(window) == "CreateScreen" and reads(window, reason) and window.screen.button.enabled
    click(button(window, "Create jam"))
    assert not reads(window, reason) and len(window.program.of("host")) == 2


def test_going_back_cancels_hosting(window: Any) -> None:
    go(window, "create")
    window.screen.submit()
    click(button(window, "Back"))
    assert window.program.calls[-1] == ("leave",)


def test_found_sessions_are_joined_by_double_click_and_by_return(window: Any) -> None:
    go(window, "browse")
    assert reads(window, "Looking for jams on this network")
    deliver(window, FoundSessions(()))
    assert reads(window, "No sessions found yet.")
    found = (
        Found("Friday", "Hana", 2, 5, "192.168.1.42", "a"),
        Found("Crowd", "Igor", 5, 5, "192.168.1.43:18000", "b"),
    )
    deliver(window, FoundSessions(found))
    rows = window.screen.rows
    assert [(one.title, one.right, one.dimmed) for one in rows.rows] == [("Friday", "", False), ("Crowd", "full", True)]
    assert reads(rows, "hosted by Hana — 2/5 peers") and reads(rows, "full")
    click(rows, *row(rows, 0))
    assert not window.program.of("join")
    click(rows, *row(rows, 0))
    assert window.program.of("join") == [("192.168.1.42", "Ana")]
    deliver(window, Closed("Session is full.", failed=True))
    assert reads(window, "Session is full.") and window.screen.button.enabled
    rows.focus_set()
    press(window, "<Key-Down>")
    press(window, "<Key-Return>")
    assert window.program.of("join")[1:] == [("192.168.1.43:18000", "Ana")]
    assert not reads(window, "Session is full.")
    deliver(window, FoundSessions((), "The network cannot be searched."))
    assert reads(window, "The network cannot be searched.")


def test_connect_joins_the_address_or_else_the_selected_session(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((Found("Friday", "Hana", 2, 5, "192.168.1.42", "a"),)))
    click(window.screen.rows, *row(window.screen.rows, 0))
    click(button(window, "Connect"))
    assert window.program.of("join") == [("192.168.1.42", "Ana")]
    deliver(window, Closed("It does not answer.", failed=True))
    window.screen.address.set("music.local")
    click(button(window, "Connect"))
    assert window.program.of("join")[1:] == [("music.local", "Ana")]


@pytest.mark.parametrize("address", ["music.local", "192.168.1.42:18000", "[fe80::1]:18000", " ::1 "])
def test_an_address_is_joined(window: Any, address: str) -> None:
    go(window, "browse")
    window.screen.address.set(address)
    window.update()
    press(window, "<Key-Return>")
    assert window.program.of("join") == [(address, "Ana")]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Enter the address that the host shows"),
        ("a b", "Enter the address that the host shows"),
        ("[::1", "Enter the address that the host shows"),
        ("host:0", "The port is a number from 1 to 65535."),
    ],
)
def test_an_invalid_address_is_explained(window: Any, address: str, words: str) -> None:
    go(window, "browse")
    window.screen.address.set(address)
    click(button(window, "Connect"))
    assert reads(window, words) and not window.program.of("join")
    window.screen.address.set("::1")
    window.screen.display_name.set("")
    click(button(window, "Connect"))
    assert not reads(window, words) and reads(window, "so that the others know who you are.")


def test_going_back_cancels_joining(window: Any) -> None:
    go(window, "browse")
    window.screen.address.set("::1")
    window.screen.submit()
    click(button(window, "Back"))
    assert screen(window) == "HomeScreen" and ("leave",) in window.program.calls
    deliver(window, Closed("", failed=False))
    assert toasts(window) == ()


@pytest.mark.parametrize(("state", "name"), [(host(), "HostScreen"), (guest(), "PeerScreen")], ids=["host", "peer"])
def test_the_session_decides_which_screen_opens(window: Any, state: Any, name: str) -> None:
    go(window, "create")
    show(window, state)
    assert screen(window) == name and window.title() == "Friday · PhaseLock"
    assert reads(window, "Friday")


def test_a_session_that_has_ended_already_opens_no_screen(window: Any) -> None:
    go(window, "create")
    deliver(window, Opened(), Closed("Host disconnected — session ended.", failed=True))
    assert screen(window) == "CreateScreen" and reads(window, GONE)
