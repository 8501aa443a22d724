"""Guests in the window: the page for phones, the rules, votes, and the people who use the page."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from phaselock.model.party import I_CHOOSE, SMALL_PARTY
from phaselock.model.snapshot import GuestView, SkipView, VotesView
from phaselock.session import commands as c
from phaselock.ui.backend import ServedPage
from tests.support.session_views import QUEUE, guest, line, playing
from tests.support.window_driver import action, button, click, commands, go, press, reads, show, toasts

pytestmark = [pytest.mark.gui, pytest.mark.slow]

ANA = GuestView(bytes(range(16)), "Ana", True, True, 5_000_000)
DINO = GuestView(bytes(16), "Dino", False, False, None)
PAGE = ServedPage("http://192.168.1.5:17403/#secret", "http://192.168.1.5:17403")
VOTES = (VotesView(QUEUE[1].id, 3, False, ("Ana", "Ben", "Cleo")), VotesView(QUEUE[2].id, 1, True))
VOTED = {"rules": SMALL_PARTY, "votes": VOTES}


def served(page: ServedPage = PAGE, **changes: Any) -> Any:
    return dataclasses.replace(playing(**changes), guest_page=page)


def test_the_page_for_phones_is_switched_on_and_renewed(window: Any) -> None:
    show(window, served(ServedPage()))
    go(window, "share")
    click(window.overlay.tabs.buttons[1])
    page = window.overlay.page
    assert not page.address.winfo_viewable() and not page.new.winfo_viewable()
    click(page.switch)
    assert window.program.of("show_guest_page") == [True] and not page.switch.on, "only the session says that it is on"
    show(window, served(code="482913"))
    assert page.switch.on and reads(window.overlay, "http://192.168.1.5:17403")
    assert reads(window.overlay, "is asked for the code 482\N{NO-BREAK SPACE}913.")
    assert not reads(window.overlay, "#secret"), "only the picture has the secret"
    click(page.new)
    assert window.program.of("renew_guest_page") == [()] and toasts(window) == ("Guests must scan the new QR code.",)
    show(window, served())
    assert reads(window.overlay, "This jam has no code")
    click(page.switch)
    assert window.program.of("show_guest_page") == [True, False]
    show(window, served(ServedPage(problem="Port 17403 is taken.")))
    assert reads(window.overlay, "Port 17403 is taken.") and not page.switch.on
    click(page.rules)
    assert reads(window.overlay, "Small party")


def test_the_tabs_walk_with_the_arrows(window: Any) -> None:
    show(window, served())
    go(window, "share")
    tabs = window.overlay.tabs
    tabs.buttons[0].focus_force()
    window.update()
    press(window, "<Key-Right>")
    assert window.overlay.page.address.winfo_viewable() and window.focus_get() is tabs.buttons[1]
    window.close_overlay()
    go(window, "share")
    assert window.overlay.page.address.winfo_viewable(), "the last tab opens again"
    window.close_overlay()
    window.screen.change_code()
    window.update()
    assert window.overlay.words.winfo_viewable() and not window.overlay.page.address.winfo_viewable()


def test_the_host_chooses_a_preset_and_changes_its_lines(window: Any) -> None:
    def changed() -> Any:
        rules = commands(window)[-1].rules
        show(window, playing(rules=rules))
        return rules

    show(window, playing())
    go(window, "rules")
    rules = window.overlay
    assert rules.presets.chosen == 0 and not rules.presets.buttons[3].winfo_manager()
    click(rules.chat)
    assert changed() == dataclasses.replace(I_CHOOSE, chat=False) and rules.presets.chosen == 0
    click(rules.presets.buttons[1])
    assert changed() == dataclasses.replace(SMALL_PARTY, chat=False) and rules.presets.chosen == 1
    click(rules.limits["max_waiting"].more)
    click(rules.limits["max_waiting"].more)
    click(rules.order.buttons[0])
    own = changed()
    assert own == dataclasses.replace(SMALL_PARTY, chat=False, max_waiting=5, order="hand")
    assert rules.presets.chosen == 3 and rules.presets.buttons[3].winfo_viewable()
    click(rules.presets.buttons[2])
    assert changed().max_per_hour == 8
    click(rules.presets.buttons[3])
    assert changed() == own, "own rules come back"


def test_the_host_chooses_what_plays_when_no_one_asks(window: Any) -> None:
    show(window, playing())
    go(window, "rules")
    window.ask_folder, window.ask_files = lambda: "/music/calm", lambda: ()
    window.overlay._choose_folder()
    window.overlay._choose_file()
    assert window.program.of("set_fallback") == ["/music/calm"] and not window.overlay.no_fallback.winfo_viewable()
    show(window, dataclasses.replace(playing(), fallback="/music/calm"))
    assert button(window.overlay, "calm") is window.overlay.fallback
    click(window.overlay.no_fallback)
    assert window.program.of("set_fallback") == ["/music/calm", ""]


@pytest.mark.parametrize("hosting", [True, False])
def test_a_song_is_voted_for(window: Any, hosting: bool) -> None:
    state = playing(**VOTED) if hosting else guest(**VOTED, now=QUEUE[0], timeline=line())
    shown = show(window, state)
    assert [one.chip and one.chip[0] for one in shown.queue.rows] == [None, "3", "1"]
    assert [one.tooltip for one in shown.queue.rows] == ["", "3 votes: Ana, Ben, Cleo", "1 vote"]
    click(shown.queue, *action(shown.queue, 1, "vote"))
    click(shown.queue, *action(shown.queue, 2, "vote"))
    assert window.program.of("vote") == [(QUEUE[1].id, True), (QUEUE[2].id, False)]
    assert commands(window) == []
    items = [one for one in shown.queue._menu((str(QUEUE[1].id),)) if one]
    dict(items)["Vote for this song"]()  # type: ignore[operator]
    assert window.program.of("vote")[2:] == [(QUEUE[1].id, True)]
    if hosting:
        click(shown.queue, *action(shown.queue, 1, "remove"))
        assert commands(window) == [c.Remove(QUEUE[1].id)]


def test_votes_for_the_next_song(window: Any) -> None:
    now = {"now": QUEUE[0], "timeline": line()}
    shown = show(window, guest(**now))
    assert not shown.skip.winfo_viewable()
    show(window, guest(**now, skip=SkipView(0, 3, False)))
    click(shown.skip)
    assert window.program.of("want_skip") == [(QUEUE[0].id, True)]
    show(window, guest(**now, skip=SkipView(2, 3, True)))
    assert shown.skip.on and reads(shown, "2 of 3 want the next song")
    click(shown.skip)
    assert window.program.of("want_skip")[1:] == [(QUEUE[0].id, False)]


def test_a_guest_is_removed_and_let_in_again(window: Any) -> None:
    shown = show(window, playing(guests=(ANA, DINO)))
    assert [row.title for row in shown.guests.rows] == ["Ana", "Dino"]
    assert not shown.peers.rows and reads(shown, "1 here")
    click(shown.guests, *action(shown.guests, 0, "remove"))
    assert commands(window) == [] and reads(window, "cannot come back until you allow it.")
    click(button(window, "Remove"))
    assert commands(window) == [c.RemoveGuest(ANA.guest_id)]
    show(window, playing(guests=(DINO,), removed_guests=("Ana",)))
    assert reads(shown, "Removed: Ana")
    click(shown.let_in)
    assert commands(window)[1:] == [c.AllowGuest("Ana")]
    show(window, playing())
    assert not shown.guests.winfo_viewable()


def test_a_peer_reads_the_rules(window: Any) -> None:
    shown = show(window, guest(rules=SMALL_PARTY))
    assert reads(shown, "3 waiting songs each")
    show(window, guest())
    assert not reads(shown, "waiting songs")
