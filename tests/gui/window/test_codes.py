"""A jam with a code: made by its host, shown, changed, and typed by those who join."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.model.code import normal_code
from phaselock.model.notices import Code, Notice
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.ui.backend import Closed, Found, FoundSessions, SessionEvent
from tests.support.session_views import QUEUE, guest, host, line, peer, playing
from tests.support.window_driver import (
    button,
    click,
    commands,
    controls,
    deliver,
    go,
    press,
    reads,
    row,
    screen,
    show,
    texts,
    toasts,
    walk,
)

pytestmark = [pytest.mark.gui, pytest.mark.slow]

PRIVATE = Found("Friday", "Hana", 2, 5, "192.168.1.42", "a", needs_code=True)
OPEN = Found("Saturday", "Igor", 0, 5, "192.168.1.43", "b")
WORDS = "lusab babad gutih tugad"
INVITATION = "phaselock://192.168.1.42/482913"


def closed(why: Code, reason: str) -> Closed:
    return Closed(reason, failed=True, why=why)


def coded(code: str = "482913", **changes: Any) -> Any:
    return dataclasses.replace(playing(peer(), code=code, **changes), host_words=WORDS)


# -- to create one -----------------------------------------------------------------------------------------------------


def test_a_jam_is_open_unless_the_user_chooses_a_code(window: Any) -> None:
    go(window, "create")
    form = window.screen
    assert not form.code.winfo_viewable()
    click(form.who.buttons[1])
    code = normal_code(form.code.get())
    assert len(code) == 6 and code.isdecimal() and form.code.get() == f"{code[:3]} {code[3:]}"
    click(form.another)
    other = normal_code(form.code.get())
    assert other != code
    click(form.button)
    assert window.program.of("host") == [("Friday", "Ana", 17401, 17402, other, 5)]
    assert window.program.preferences().with_code and window.program.preferences().own_code == ""


def test_a_word_of_ones_own_is_kept_for_the_next_jam(window: Any) -> None:
    go(window, "create")
    window.screen.who.choose(1)
    window.screen.code.set("Grüner Tee")
    window.screen.submit()
    assert window.program.of("host")[0][-2] == "grünertee"
    go(window, "home")
    go(window, "create")
    form = window.screen
    assert form.who.chosen == 1 and form.code.get() == "Grüner Tee"
    click(form.who.buttons[0])
    form.submit()
    assert window.program.of("host")[1][-2] == ""
    kept = window.program.preferences()
    assert (kept.with_code, kept.own_code) == (False, "Grüner Tee")


def test_a_code_of_a_wrong_length_is_explained(window: Any) -> None:
    go(window, "create")
    form = window.screen
    form.who.choose(1)
    form.code.set("a b c")
    press(window, "<Key-Return>")
    assert reads(window, "A code has 4 to 64 characters") and not window.program.of("host")
    assert window.focus_get() is form.code.entry._entry
    form.code.set("a b c d")
    form.submit()
    assert window.program.of("host")[0][-2] == "abcd"


def test_who_may_join_is_chosen_by_the_keyboard(window: Any) -> None:
    go(window, "create")
    form = window.screen
    while window.focus_get() is not form.who.buttons[0]:
        press(window, "<Tab>")
    press(window, "<Key-Down>")
    assert form.who.chosen == 1 and window.focus_get() is form.who.buttons[1] and form.code.winfo_viewable()
    press(window, "<Tab>")
    assert window.focus_get() in (form.code.entry._entry, form.another)
    form.who.buttons[1].focus_set()
    press(window, "<Key-Up>")
    assert form.who.chosen == 0 and not form.code.winfo_viewable()


def test_another_look_keeps_the_code(window: Any) -> None:
    go(window, "create")
    window.screen.who.choose(1)
    window.screen.code.set("Grüner Tee")
    window.look.change_text_size(1)
    window.update()
    assert window.screen.who.chosen == 1 and window.screen.code.get() == "Grüner Tee"


# -- to join one -------------------------------------------------------------------------------------------------------


def test_a_jam_with_a_code_asks_for_it(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((PRIVATE, OPEN)))
    rows = window.screen.rows
    assert ["with a code" in one.subtitle for one in rows.rows] == [True, False]
    window.screen.address.set("music.local")
    click(rows, *row(rows, 0))
    dialog = window._question
    assert reads(dialog, "Code of Friday") and not window.program.of("join")
    assert window.focus_get() is dialog.code.entry._entry
    window.clipboard_clear()
    window.clipboard_append("482 914\n")
    press(window, "<<Paste>>")
    press(window, "<Key-Return>")
    assert window.program.of("join") == [("192.168.1.42", "Ana", "482914")]
    assert not dialog.join.enabled and reads(dialog, "Joining…")
    press(window, "<Key-Return>")
    assert len(window.program.of("join")) == 1
    deliver(window, closed(Code.CODE_WRONG, "The code is wrong."))
    assert window._question is dialog and reads(dialog, "The code is wrong.") and dialog.join.enabled
    assert dialog.code.get().strip() == "482 914" and dialog.code.entry._entry.selection_present()
    dialog.code.set("482913")
    assert not reads(dialog, "The code is wrong.")
    click(dialog.join)
    assert window.program.of("join")[1:] == [("192.168.1.42", "Ana", "482913")]
    assert window.screen.address.get() == "music.local"
    show(window, guest())
    assert screen(window) == "PeerScreen" and window._question is None


def test_a_jam_that_was_joined_before_asks_only_if_the_code_is_another_now(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((dataclasses.replace(PRIVATE, code_known=True),)))
    window.screen._open("a")
    assert window.program.of("join") == [("192.168.1.42", "Ana", None)] and window._question is None
    deliver(window, closed(Code.CODE_WRONG, "The code is wrong."))
    assert reads(window._question, "The code is wrong.")


def test_a_jam_that_was_not_announced_with_a_code_asks_when_it_answers(window: Any) -> None:
    go(window, "browse")
    window.screen.address.set("192.168.1.42")
    window.screen.submit()
    assert window.program.of("join") == [("192.168.1.42", "Ana", None)] and window._question is None
    deliver(window, closed(Code.CODE_NEEDED, "This jam has a code. Ask the host for it."))
    dialog = window._question
    assert reads(dialog, "Code of the jam") and not reads(window, "This jam has a code.")
    dialog.code.set("482 913")
    dialog.submit()
    assert window.program.of("join")[1:] == [("192.168.1.42", "Ana", "482913")]
    deliver(window, Closed("Cannot reach it.", failed=True))
    assert window._question is None and reads(window, "Cannot reach it.")
    assert window.screen.address.get() == "192.168.1.42"


def test_an_invitation_is_joined_with_its_code(window: Any) -> None:
    go(window, "browse")
    window.screen.address.set(INVITATION)
    click(button(window, "Connect"))
    assert window.program.of("join") == [(INVITATION, "Ana", None)]
    deliver(window, Closed("", failed=False))
    window.screen.address.set("phaselock://192.168.1.42/482")
    click(button(window, "Connect"))
    assert reads(window, "The code in this invitation is not whole.") and len(window.program.of("join")) == 1


def test_a_code_of_a_wrong_length_is_not_tried(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((PRIVATE,)))
    window.screen._open("a")
    press(window, "<Key-Return>")
    assert reads(window._question, "A code has 4 to 64 characters") and not window.program.of("join")


def test_a_jam_that_does_not_ask_for_the_code_can_be_joined_without(window: Any) -> None:
    go(window, "browse")
    window.screen.address.set(INVITATION)
    window.screen.submit()
    deliver(window, closed(Code.CODE_NOT_ASKED, "This jam does not ask for the code."))
    dialog = window._question
    assert reads(dialog, "This jam does not ask for the code.")
    click(button(dialog, "Join without a code"))
    assert window.program.of("join")[1:] == [(INVITATION, "Ana", "")]


def test_the_question_for_a_code_can_be_given_up(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((PRIVATE,)))
    window.screen._open("a")
    press(window, "<Key-Escape>")
    assert window._question is None and screen(window) == "BrowserScreen" and ("leave",) not in window.program.calls
    window.screen._open("a")
    window._question.code.set("482913")
    window._question.submit()
    press(window, "<Key-Escape>")
    assert window._question is None and ("leave",) in window.program.calls
    deliver(window, Closed("", failed=False))
    assert window.screen.rows.rows[0].pill == "Join"
    window.screen._open("a")
    go(window, "home")
    assert window._question is None


def test_the_keyboard_stays_in_the_question(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((PRIVATE,)))
    window.screen._open("a")
    dialog = window._question
    assert {*walk(window)} == {*controls(dialog)} == {dialog.code.entry._entry, dialog.cancel, dialog.join}


def test_a_name_is_needed_before_the_code(window: Any) -> None:
    go(window, "browse")
    deliver(window, FoundSessions((PRIVATE,)))
    window.screen.display_name.set(" ")
    window.screen._open("a")
    assert window._question is None and reads(window, "so that the others know who you are.")


def test_a_lost_host_that_wants_another_code_asks_for_it(window: Any) -> None:
    show(window, guest())
    window.program.now = None
    deliver(window, Closed("Host disconnected.", failed=True))
    click(window.screen.banner.button)
    deliver(window, closed(Code.CODE_WRONG, "The code is wrong."))
    assert reads(window._question, "The code is wrong.")
    window._question.code.set("482913")
    window._question.submit()
    assert window.program.of("join") == [("192.168.1.42", "Ana", None), ("192.168.1.42", "Ana", "482913")]
    deliver(window, Closed("Cannot reach it.", failed=True))
    assert window._question is None and reads(window, "Cannot reach it.")


def test_a_removed_machine_is_not_offered_to_rejoin(window: Any) -> None:
    show(window, guest())
    window.program.now = None
    deliver(window, Closed("The host has removed you from the jam.", failed=True))
    click(window.screen.banner.button)
    deliver(window, closed(Code.BARRED, "Ask the host to let you in again."))
    banner = window.screen.banner
    assert banner.button is None and reads(banner, "Ask the host to let you in again.")
    assert not reads(window, "The host has removed you from the jam.") and not reads(window, "Rejoin")
    window.look.change_text_size(1)
    window.update()
    assert reads(window.screen, "Ask the host to let you in again.") and not reads(window, "Rejoin")


# -- to show and change one --------------------------------------------------------------------------------------------


def test_the_header_shows_the_code(window: Any) -> None:
    shown = show(window, coded())
    assert reads(shown, "482 913")
    click(shown.code)
    assert window.overlay.code.cget("text") == "482 913"
    press(window, "<Key-Escape>")
    show(window, coded(""))
    assert not reads(shown, "482 913") and reads(shown, "192.168.1.42")
    click(shown.share)
    assert reads(window.overlay, "Everybody on this network may join.")


def test_a_narrow_header_shows_the_code_instead_of_the_address(window: Any) -> None:
    window.geometry("900x600")
    window.update()
    shown = show(window, coded())
    assert shown.code.winfo_viewable() and not shown.address.winfo_viewable()
    window.geometry("1100x720")
    window.update()
    window.update()
    left = [one.winfo_x() for one in (shown.address, shown.copy, shown.code, shown.share)]
    assert shown.address.winfo_viewable() and left == sorted(left)


def test_a_long_word_does_not_push_others_out_of_the_header(window: Any) -> None:
    shown = show(window, coded("x" * 64))
    assert shown.code.winfo_width() < 200 and shown.end.winfo_rootx() + shown.end.winfo_width() <= 1100
    click(shown.code)
    window.update()
    code = window.overlay.code
    assert code.winfo_height() > 2 * 20 and reads(code, "x" * 64)
    assert (
        code.winfo_rootx() + code.winfo_width()
        <= window.overlay.panel.winfo_rootx() + window.overlay.panel.winfo_width()
    )


def test_the_header_has_the_whole_code_as_a_tooltip_if_it_is_cut(window: Any) -> None:
    shown = show(window, coded("x" * 64))
    assert shown.code._tooltip() == "x" * 64
    show(window, coded())
    assert shown.code._tooltip() == ""


def test_nobody_here_yet_is_told_of_the_code(window: Any) -> None:
    shown = show(window, host(code="482913"))
    assert reads(shown.peers, "They are asked for the code 482\N{NO-BREAK SPACE}913.")
    click(button(shown.peers, "Copy invitation"))
    assert window.clipboard_get() == INVITATION and toasts(window)[-1].startswith("Invitation copied")
    show(window, host())
    click(button(shown.peers, "Copy address"))
    assert window.clipboard_get() == "192.168.1.42"


def test_a_removed_machine_is_let_in_again_below_the_peers(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(window, coded())
    assert not reads(shown, "Removed:")
    show(window, coded(removed=("Zed",)))
    assert reads(shown, "Removed: Zed")
    click(shown.let_in)
    assert commands(window) == [c.AllowPeer("Zed")]
    menus: list[Any] = []
    monkeypatch.setattr("phaselock.ui.screens.host.popup", lambda _widget, items, *_place: menus.append(items))
    show(window, coded(removed=("Zed", "Kim", "zed")))
    click(shown.let_in)
    assert len(commands(window)) == 1
    menus[0][1][1]()
    assert [name for name, _ in menus[0]] == ["zed", "Kim"] and commands(window)[1:] == [c.AllowPeer("Kim")]
    show(window, coded())
    assert not reads(shown, "Removed:") and not shown.let_in.winfo_viewable()


def test_the_code_is_changed_and_removed(window: Any) -> None:
    show(window, coded())
    go(window, "share")
    click(button(window.overlay, "New code"))
    (change,) = commands(window)
    assert isinstance(change, c.ChangeCode) and len(change.code) == 6 and change.code.isdecimal()
    click(button(window.overlay, "Remove"))
    assert commands(window)[1:] == [c.ChangeCode("")]
    show(window, coded(""))
    assert toasts(window)[-1] == "Everybody may join now." and not reads(window.overlay, "Those who are here stay")
    click(button(window.overlay, "Use a code"))
    assert len(commands(window)[2].code) == 6
    click(button(window.overlay, "Own word"))
    window.overlay.word.set("abc")
    press(window, "<Key-Return>")
    assert reads(window.overlay, "A code has 4 to 64 characters") and len(commands(window)) == 3
    window.overlay.word.set("Grüner Tee")
    press(window, "<Key-Return>")
    assert commands(window)[3:] == [c.ChangeCode("Grüner Tee")]
    show(window, coded("grünertee"))
    assert reads(window.overlay, "grünertee") and not window.overlay.word.winfo_viewable()


def test_the_removal_of_the_code_is_undone(window: Any) -> None:
    show(window, coded())
    go(window, "share")
    assert reads(window.overlay, "Those who are here stay when you change the code.")
    click(button(window.overlay, "Remove"))
    show(window, coded(""))
    click(button(window, "Undo"))
    assert commands(window) == [c.ChangeCode(""), c.ChangeCode("482913")]


def test_the_word_of_ones_own_is_given_up(window: Any) -> None:
    show(window, coded("teatime"))
    go(window, "share")
    panel = window.overlay
    own = button(panel, "Own word")
    click(own)
    assert window.focus_get() is panel.word.entry._entry and reads(panel, "A word or digits")
    press(window, "<Key-Escape>")
    assert window.overlay is panel and not panel.word.winfo_viewable() and window.focus_get() is own
    click(own)
    click(own)
    assert not panel.word.winfo_viewable()
    click(own)
    panel.word.set("Tea Time")
    press(window, "<Key-Return>")
    assert not panel.word.winfo_viewable() and not commands(window)


def test_what_is_typed_survives_another_address(window: Any) -> None:
    show(window, coded())
    go(window, "share")
    panel = window.overlay
    click(button(panel, "Own word"))
    panel.word.set("Grüner Tee")
    show(window, dataclasses.replace(coded(), address="10.0.0.7"))
    assert reads(panel, "10.0.0.7") and panel.word.winfo_viewable() and panel.word.get() == "Grüner Tee"
    click(panel.set_own)
    assert commands(window) == [c.ChangeCode("Grüner Tee")]


def test_address_code_and_invitation_are_copied(window: Any) -> None:
    show(window, coded())
    go(window, "share")
    for words, text, said in (
        ("Copy the code", "482913", "Code copied."),
        ("Copy address", "192.168.1.42", "Address copied."),
        ("Copy invitation", INVITATION, "Invitation copied: others on this network paste it into the address field."),
    ):
        window.clipboard_clear()
        click(button(window.overlay, words))
        assert window.clipboard_get() == text and toasts(window)[-1] == said


def test_everything_of_the_share_panel_is_reached_by_tab(window: Any) -> None:
    show(window, coded())
    go(window, "share")
    assert {*controls(window.overlay)} <= {*walk(window)}


@pytest.mark.parametrize("code", [Code.CODE_GUESSED, Code.CODE_VOID])
def test_guessed_codes_warn_until_the_code_is_changed(window: Any, code: Code) -> None:
    shown = show(window, coded())
    for number in (10, 11):
        deliver(window, SessionEvent(e.Warned(1, Notice(code, number=number))))
    assert reads(shown, "11 wrong codes were tried") and not reads(shown, "10 wrong codes") and not toasts(window)
    click(button(shown, "Change the code"))
    (change,) = commands(window)
    assert len(change.code) == 6 and reads(window.overlay, "Let others join")
    press(window, "<Key-Escape>")
    assert not reads(shown, "wrong codes")


# -- the key of the host -----------------------------------------------------------------------------------------------


def test_both_ends_show_the_words_of_the_hosts_key(window: Any, make: Callable[..., Any]) -> None:
    show(window, coded())
    go(window, "share")
    assert WORDS in texts(window.overlay)
    other = make()
    show(other, dataclasses.replace(guest(now=QUEUE[0], timeline=line()), host_words=WORDS))
    go(other, "sync")
    assert reads(other.overlay, WORDS)


def test_another_key_of_the_host_is_a_warning_that_stays(window: Any) -> None:
    shown = show(window, guest())
    deliver(window, SessionEvent(e.Warned(1, Notice(Code.HOST_KEY_CHANGED, WORDS, peer="Hana"))))
    assert reads(shown, "Hana has another key than the last time.") and not toasts(window)
    click(button(shown.banner, "Close"))
    assert not reads(shown, "another key")
