"""The chat in the window: closed until the user opens it, with a count of new messages, and a draft that stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.model.notices import Code, Notice
from phaselock.model.party import PartyRules
from phaselock.model.snapshot import ChatLine
from phaselock.session import events as e
from phaselock.session.commands import SetRules
from phaselock.ui.backend import Closed, SessionEvent
from phaselock.ui.chat import MAX_TOAST_CHARS, MAX_TOASTS
from tests.support.session_views import guest, host, peer, playing
from tests.support.window_driver import button, click, commands, deliver, go, press, reads, show, texts, toasts, walk

pytestmark = [pytest.mark.gui, pytest.mark.slow]

OFF = PartyRules(chat=False)


def line(number: int, name: str = "Ben", text: str = "hello", age_s: float = 0) -> ChatLine:
    return ChatLine(number, name, text, 10**15 - int(age_s * 1e9))


def say(window: Any, number: int, name: str = "Ben", text: str = "hello") -> None:
    """A message of this person arrives."""
    deliver(window, SessionEvent(e.ChatSaid(1, number, name, text)))


def refuse(window: Any, code: Code) -> None:
    deliver(window, SessionEvent(e.Failed(1, Notice(code))))


def shown(window: Any) -> list[str]:
    """The lines of the messages."""
    return str(window.overlay.messages.text.get("1.0", "end")).rstrip("\n").split("\n")


def badge(window: Any) -> list[str]:
    return [text for text in texts(window.screen.chat) if text]


@pytest.fixture(params=["host", "peer"])
def state(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The states of a host called Hana, or of a peer called Ben."""
    return playing if request.param == "host" else guest


def test_it_is_closed_until_the_user_opens_it(window: Any, state: Callable[..., Any]) -> None:
    show(window, state())
    assert badge(window) == [] and window.screen.chat._tooltip == "Chat"
    say(window, 1, "Zoë", "more bass")
    assert window.overlay is None
    assert badge(window) == ["1"] and window.screen.chat._tooltip == "Chat: 1 new message"
    assert toasts(window) == ("Zoë: more bass",)
    say(window, 2, "Zoë", "please")
    assert badge(window) == ["2"] and toasts(window) == ("Zoë: please",)
    show(window, state(chat=(line(1, "Zoë", "more bass"), line(2, "Zoë", "please"))))
    click(window.screen.chat)
    assert shown(window) == ["Zoë", "more bass", "please"]
    assert badge(window) == [] and toasts(window) == () and window.screen.chat.on
    say(window, 3, "Zoë", "thanks")
    assert badge(window) == [] and toasts(window) == ()
    click(window.screen.chat)
    assert window.overlay is None and not window.screen.chat.on


def test_many_messages_are_counted_and_not_shown_one_by_one(window: Any) -> None:
    show(window, host())
    say(window, 0, "Hana")  # this machine's user
    assert badge(window) == [] and toasts(window) == ()
    for number in range(1, 13):
        say(window, number, "Ben", f"line {number}")
    assert badge(window) == ["9+"] and toasts(window) == (f"Ben: line {MAX_TOASTS}",)
    go(window, "chat")
    window.close_overlay()
    say(window, 13, "Ben", "x" * 500)
    assert toasts(window) == (f"Ben: {'x' * MAX_TOAST_CHARS}…",)


def test_enter_sends(window: Any) -> None:
    show(window, guest())
    go(window, "chat")
    field = window.overlay.field
    assert window.focus_get() is field.entry._entry
    for key in ("h", "i", "space"):
        press(window, f"<Key-{key}>")
    press(window, "<Key-Return>")
    assert window.program.of("say") == ["hi "] and field.get() == ""
    press(window, "<Key-Return>")
    click(window.overlay.button)
    assert len(window.program.of("say")) == 1
    field.set("yo")
    click(window.overlay.button)
    assert window.program.of("say")[1:] == ["yo"]
    field.set("x" * 501)
    window.overlay.send()
    window.update()
    assert reads(window.overlay, "A message has at most 500 characters.")
    assert len(window.program.of("say")) == 2 and len(field.get()) == 501


def test_a_draft_stays(window: Any) -> None:
    show(window, host())
    go(window, "chat")
    for key in ("h", "i"):
        press(window, f"<Key-{key}>")
    press(window, "<Key-Escape>")
    assert window.overlay is None
    go(window, "chat")
    assert window.overlay.field.get() == "hi"
    window.look.change_text_size(1)
    window.update()
    assert window.overlay.field.get() == "hi"
    show(window, host(rules=OFF))
    show(window, host())
    assert window.overlay.field.get() == "hi"
    window.program.now = None
    deliver(window, Closed("", failed=False))
    show(window, host())
    go(window, "chat")
    assert window.overlay.field.get() == ""


def test_a_message_that_is_not_told_comes_back_to_the_field(window: Any) -> None:
    show(window, guest())
    go(window, "chat")
    for code in (Code.CHAT_TOO_FAST, Code.CHAT_BUSY, Code.CHAT_OFF, Code.NOT_CONNECTED):
        window.overlay.field.set(f"again {code}")
        window.overlay.send()
        refuse(window, code)
        assert window.overlay.field.get() == f"again {code}"
    window.overlay.field.set("one")
    window.overlay.send()
    say(window, 1, "Ben", "one")
    refuse(window, Code.NOT_CONNECTED)  # of another command
    assert window.overlay.field.get() == ""
    window.overlay.field.set("two")
    window.overlay.send()
    window.overlay.field.focus()
    press(window, "<Key-x>")
    refuse(window, Code.CHAT_TOO_FAST)
    assert window.overlay.field.get() == "x"


def test_it_says_where_the_rules_switch_it_off(window: Any, state: Callable[..., Any]) -> None:
    show(window, state(rules=OFF, chat=(line(1),)))
    go(window, "chat")
    assert reads(window.overlay, "The chat is switched off in this jam.")
    assert not window.overlay.field.winfo_viewable()
    assert "hello" in shown(window)
    if state is playing:
        click(button(window.overlay, "Switch on"))
        assert commands(window) == [SetRules(PartyRules(chat=True))]
    else:
        assert not reads(window.overlay, "Switch on")
    show(window, state(chat=(line(1),)))
    assert window.overlay.field.winfo_viewable() and not reads(window.overlay, "switched off")


def test_names_and_times(window: Any) -> None:
    show(window, host())
    window.program.now_ns = 10**15
    lines = (
        line(1, "Ben", "a", 3700),
        line(2, "Ben", "b", 3700),
        line(3, "Ben", "c"),
        line(4, "Hana", "d"),
        line(5, "Ben", "e"),
    )
    show(window, host(chat=lines))
    go(window, "chat")
    then, now = (time.strftime("%H:%M", time.localtime(time.time() - age_s)) for age_s in (3700, 0))
    found = shown(window)
    assert found[:5] == [f"Ben  {then}", "a", "b", f"Ben  {now}", "c"] or then != found[0][-5:]  # a minute may pass
    assert [text.partition("  ")[0] for text in found[5:]] == ["You", "d", "Ben", "e"]


def test_an_empty_chat_says_who_reads_it_and_long_texts_are_wrapped(window: Any) -> None:
    show(window, host())
    go(window, "chat")
    assert reads(window.overlay, "No messages yet.")
    show(window, playing(peer(), chat=(line(1, "n" * 64, "word " * 60), line(2, "Zoë", "x" * 500))))
    assert not reads(window.overlay, "No messages yet.")
    text = window.overlay.messages.text
    assert text.xview() == (0.0, 1.0)
    assert text.count("1.0", "2.0", "displaylines") in (1, (1,))  # the name ends in an ellipsis


def test_it_stays_where_the_user_has_scrolled_to(window: Any) -> None:
    lines = tuple(line(number, f"P{number}") for number in range(1, 60))
    show(window, host(chat=lines[:50]))
    go(window, "chat")
    text = window.overlay.messages.text
    assert text.yview()[1] == 1.0
    show(window, host(chat=lines[1:51]))
    assert text.yview()[1] == 1.0
    text.focus_force()
    window.update()
    press(window, "<Key-Home>")
    for _ in range(40):
        press(window, "<Key-Down>")
    top = text.get("@0,0 linestart", "@0,0 lineend")
    assert 0 < text.yview()[0] and text.yview()[1] < 1
    show(window, host(chat=lines[2:52]))
    assert text.get("@0,0 linestart", "@0,0 lineend") in (top, f"P{top[1:]}")
    press(window, "<Key-End>")
    assert text.yview()[1] == 1.0


def test_the_keyboard_reaches_everything(window: Any) -> None:
    show(window, host(peer(), chat=(line(1),)))
    press(window, "<Control-Key-t>")
    overlay = window.overlay
    assert window.focus_get() is overlay.field.entry._entry
    reached = walk(window)
    assert {overlay.button, overlay.messages.text, button(overlay, "Close (Escape)")} <= set(reached)
    press(window, "<Key-Escape>")
    assert window.overlay is None
    assert window.screen.chat in walk(window)


def test_a_text_from_right_to_left_is_one_line_in_its_order(window: Any) -> None:
    from phaselock.ui.direction import visual

    show(window, host(chat=(line(1, "שרה", "שלום לכולם"),)))
    go(window, "chat")
    assert shown(window)[0].startswith(visual("שרה")) and shown(window)[1] == visual("שלום לכולם")
