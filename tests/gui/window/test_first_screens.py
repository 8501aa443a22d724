"""The first screens: home, the form of a new jam, the jams on this network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.ui.backend import Closed, Found, FoundSessions, Opened
from tests.support.session_views import guest, host
from tests.support.window_driver import button, click, deliver, drag, go, press, reads, row, screen, show, texts, toasts

pytestmark = pytest.mark.gui

GONE = "Host disconnected — session ended."
FRIDAY = Found("Friday", "Hana", 2, 5, "192.168.1.42", "a")
CROWD = Found("Saturday", "Igor", 5, 5, "192.168.1.43:18000", "b")


def type_into(field: Any, letter: str) -> None:
    """Type a letter at the end of a field."""
    field.focus()
    field.update()
    field.entry._entry.select_clear()
    field.entry._entry.icursor("end")
    press(field.winfo_toplevel(), f"<Key-{letter}>")


def test_home_leads_to_both_forms_and_back(window: Any) -> None:
    assert {"PhaseLock", "Create jam", "Join jam", "Ana  ·  Sound: default output"} <= set(texts(window))
    click(button(window, "Create jam"))
    assert screen(window) == "CreateScreen" and reads(window, "Create a jam")
    click(button(window, "Back (Escape)"))
    click(button(window, "Join jam"))
    assert screen(window) == "BrowserScreen"
    click(button(window, "Back (Escape)"))
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
    click(window.screen.fold)
    form.port.set("18000")
    click(button(window, "Create jam"))
    ((name, *others),) = window.program.of("host")
    assert name in ("Friday B", " B") or name == "B"
    assert others == ["Ana", 18000, 17402, "", 5]
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
    assert texts(window).count("From 1 to 65535, please.") == 2 and reads(window, "TCP port")
    assert not window.program.of("host")
    form.display_name.set("Ana")
    form.port.set("1")
    form.clock_port.set("65535")
    form.session_name.set("")
    form.submit()
    assert window.program.of("host") == [("Ana's jam", "Ana", 1, 65535, "", 5)]
    assert not reads(window, "please.") and not reads(window, "Please")


def test_places_are_submitted_or_explained(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.places.set("64")
    form.submit()
    window.update()
    assert reads(window, "From 1 to 63, please.") and window.focus_get() is form.places.entry._entry
    form.places.set("63")
    form.submit()
    assert [call[-1] for call in window.program.of("host")] == [63]


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
    click(button(window, "Back (Escape)"))
    assert window.program.calls[-1] == ("leave",)


def test_a_found_session_is_joined_by_one_click_or_by_return(window: Any) -> None:
    go(window, "browse")
    assert reads(window, "Looking for jams on this network")
    deliver(window, FoundSessions(()))
    assert reads(window, "No jams found yet.")
    deliver(window, FoundSessions((FRIDAY, CROWD)))
    rows = window.screen.rows
    assert [(one.title, one.right, one.pill, one.dimmed) for one in rows.rows] == [
        ("Friday", "", "Join", False),
        ("Saturday", "full", "", True),
    ]
    assert reads(rows, "hosted by Hana — 2/5 peers")
    click(rows, *row(rows, 1))
    assert not window.program.of("join")
    click(rows, *row(rows, 0))
    assert [(one.right, one.pill) for one in rows.rows] == [("Joining…", ""), ("full", "")]
    click(rows, *row(rows, 0))
    assert window.program.of("join") == [("192.168.1.42", "Ana", None)]
    deliver(window, Closed("It does not answer.", failed=True))
    assert reads(window, "It does not answer.") and rows.rows[0].pill == "Join"
    rows.focus_set()
    press(window, "<Key-Down>")
    press(window, "<Key-Up>")
    press(window, "<Key-Return>")
    assert window.program.of("join")[1:] == [("192.168.1.42", "Ana", None)]
    assert not reads(window, "It does not answer.")
    deliver(window, FoundSessions((), "The network cannot be searched."))
    assert reads(window, "The network cannot be searched.")


def test_a_press_that_is_released_on_another_row_joins_nothing(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((FRIDAY, CROWD)))
    rows = window.screen.rows
    drag(rows, row(rows, 1), row(rows, 0))
    drag(rows, row(rows, 0), (5000, 20))
    assert not window.program.of("join")


def test_no_row_moves_under_the_pointer(window: Any) -> None:
    go(window, "browse")
    rows = window.screen.rows

    def titles() -> list[str]:
        return [one.title for one in rows.rows]

    deliver(window, FoundSessions((FRIDAY,)))
    deliver(window, FoundSessions((CROWD, FRIDAY)))
    assert titles() == ["Friday", "Saturday"]
    rows.event_generate("<Motion>", x=row(rows, 1)[0], y=row(rows, 1)[1])
    deliver(window, FoundSessions((dataclasses.replace(CROWD, peers=1),)))
    assert titles() == ["Friday", "Saturday"] and rows.rows[0].right == "gone"
    click(rows, *row(rows, 0))
    assert not window.program.of("join")
    rows.event_generate("<Leave>")
    window.update()
    assert titles() == ["Saturday"] and rows.rows[0].pill == "Join"


def test_jams_with_the_same_names_show_their_addresses(window: Any) -> None:
    go(window, "browse")
    again = dataclasses.replace(FRIDAY, session_id="c", address="192.168.1.50")
    deliver(window, FoundSessions((FRIDAY, again, CROWD)))
    shown = [one.subtitle for one in window.screen.rows.rows]
    assert [text.partition("  ·  ")[0] for text in shown[:2]] == ["192.168.1.42", "192.168.1.50"]
    assert shown[2] == "hosted by Igor — 5/5 peers"


def test_a_jam_that_two_machines_announce_is_joined_by_its_address_only(window: Any) -> None:
    go(window, "browse")
    problem = 'Two machines announce "Friday": 192.168.1.42 and 192.168.1.66.'
    deliver(window, FoundSessions((dataclasses.replace(FRIDAY, problem=problem),)))
    click(window.screen.rows, *row(window.screen.rows, 0))
    assert reads(window, problem) and not window.program.of("join")
    window.screen.address.set("192.168.1.42")
    click(button(window, "Connect"))
    assert window.program.of("join") == [("192.168.1.42", "Ana", None)]


def test_there_is_one_error_at_a_time(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((FRIDAY,)))
    window.screen.address.set("host:0")
    click(button(window, "Connect"))
    assert reads(window, "The port is a number from 1 to 65535.")
    click(window.screen.rows, *row(window.screen.rows, 0))
    deliver(window, Closed("Cannot reach 192.168.1.42.", failed=True))
    assert reads(window, "Cannot reach 192.168.1.42.") and not reads(window, "The port is a number")
    window.screen.address.set("music.local")
    click(button(window, "Connect"))
    assert window.program.of("join")[1:] == [("music.local", "Ana", None)] and not reads(window, "Cannot reach")


def test_the_fields_are_filled_in_and_the_jam_is_named_after_the_person(make: Callable[..., Any]) -> None:
    window = make(display_name="Ada", session_name="")
    go(window, "create")
    form = window.screen
    assert (form.session_name.get(), form.display_name.get()) == ("Ada's jam", "Ada")
    type_into(form.display_name, "m")
    assert form.session_name.get() == "Adam's jam"
    form.submit()
    assert window.program.of("host") == [("", "Adam", 17401, 17402, "", 5)]
    go(window, "browse")
    assert window.screen.display_name.get() == "Ada"


def test_an_error_gets_the_keyboard_and_goes_away_with_the_next_letter(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.display_name.set(" ")
    click(button(window, "Create jam"))
    assert reads(window, "Please choose a name") and window.focus_get() is form.display_name.entry._entry
    type_into(form.display_name, "B")
    assert not reads(window, "Please choose a name")


def test_return_in_a_port_submits_and_escape_goes_back(window: Any) -> None:
    go(window, "create")
    click(window.screen.fold)
    window.screen.clock_port.focus()
    window.update()
    press(window, "<Key-Return>")
    assert len(window.program.of("host")) == 1
    click(window.screen.fold)
    assert not reads(window, "UDP port")
    window.screen.session_name.focus()
    window.update()
    press(window, "<Key-Escape>")
    assert screen(window) == "HomeScreen" and window.program.calls[-1] == ("leave",)


def test_a_port_that_is_taken_is_shown_at_its_field(window: Any) -> None:
    go(window, "create")
    window.screen.submit()
    reason = "Port 17402 is in use. Please close the other application or change the port."
    deliver(window, Closed(reason, failed=True, taken_port=17402))
    assert reads(window.screen.clock_port, reason) and texts(window).count(reason) == 1
    assert window.focus_get() is window.screen.clock_port.entry._entry


def test_a_lost_host_can_be_joined_again(window: Any) -> None:
    show(window, guest())
    window.program.now = None
    places = []
    deliver(window, Closed(GONE, failed=True))
    for _ in range(2):
        window.update()
        places.append(window.screen.create.winfo_rooty())
        rejoin = window.screen.banner.button
        click(rejoin)
        assert reads(window, "Joining…") and not rejoin.enabled
        deliver(window, Closed("Cannot reach it.", failed=True))
        assert reads(window, "Cannot reach it.") and rejoin.enabled
    assert window.program.of("join") == [("192.168.1.42", "Ana", None)] * 2
    click(rejoin)
    go(window, "create")
    assert window.program.of("leave") == [()]
    go(window, "home")
    assert {*places, window.screen.create.winfo_rooty()} == {places[0]}


@pytest.mark.parametrize("address", ["music.local", "192.168.1.42:18000", "[fe80::1]:18000", " ::1\n"])
def test_an_address_is_joined(window: Any, address: str) -> None:
    go(window, "browse")
    window.screen.address.set(address)
    window.screen.address.focus()
    window.update()
    press(window, "<Key-Return>")
    assert window.program.of("join") == [(address.strip(), "Ana", None)]


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
    click(button(window, "Back (Escape)"))
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


def test_places_and_ports_have_the_same_width(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.fold.open()
    window.update()
    assert form.places.winfo_width() == form.port.winfo_width() == form.clock_port.winfo_width() > 1
