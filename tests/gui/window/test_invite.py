"""The invitation for a friend elsewhere, in the host's panel for those who want to join."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from phaselock.app.bridge import relays_notice
from phaselock.language.catalogue import words_of
from phaselock.language.message import ENGLISH, Message, Words
from phaselock.model.invitation import InvitationState, Nat
from phaselock.model.notices import Code, Notice
from phaselock.model.relay import DEFAULT_RELAY
from phaselock.model.snapshot import InvitationView
from phaselock.session import commands as c
from phaselock.session.events import Warned
from phaselock.session.sentences import notice_text
from phaselock.ui.backend import SessionEvent
from tests.support.session_views import peer, playing
from tests.support.window_driver import (
    button,
    click,
    commands,
    controls,
    deliver,
    go,
    press,
    reads,
    show,
    texts,
    toasts,
    walk,
)

pytestmark = [pytest.mark.gui, pytest.mark.slow]

LINE = "phaselock:///192.168.1.42:17404,45.32.1.1:17401+17402/4829134471/7-1f00ab42"
OPENING = InvitationView(InvitationState.OPENING, "", False, Nat.UNKNOWN, Message("The router is asked."))
OPEN = InvitationView(InvitationState.OPEN, LINE, True, Nat.HOME, Message("The router lets your friend in."))
DOUBTFUL = dataclasses.replace(OPEN, reachable=False, sentence=Message("There are two routers."))
WITHDRAWN = InvitationView(InvitationState.WITHDRAWN, "", False, Nat.HOME, Message("The invitation is withdrawn."))


def invited(invitation: InvitationView | None = None) -> Any:
    return playing(peer(), invitation=invitation)


@pytest.fixture
def panel(window: Any) -> Any:
    """The panel, at a host without an invitation."""
    show(window, invited())
    window.open_share(2)
    window.update()
    return window.overlay


def shows_code(panel: Any) -> bool:
    return str(panel.invitation.picture.itemcget(panel.invitation.picture._sign, "state")) == "hidden"


def test_an_invitation_is_opened_copied_and_withdrawn(window: Any, panel: Any) -> None:
    assert not shows_code(panel) and not reads(panel, "Withdraw")
    click(button(panel, "Invite a friend who is not here"))
    (invite,) = commands(window)
    assert isinstance(invite, c.Invite) and len(invite.code) == 10 and invite.code.isdecimal()
    show(window, invited(OPENING))
    assert reads(panel, "The router is asked.") and reads(panel, "Withdraw") and not reads(panel, "Copy invitation")
    assert not reads(panel, "Invite a friend who is not here") and not shows_code(panel)
    show(window, invited(OPEN))
    assert reads(panel, "The router lets your friend in.") and shows_code(panel)
    assert panel.invitation.line._text == LINE
    click(button(panel, "Copy invitation"))
    assert window.clipboard_get() == LINE and toasts(window)[-1].startswith("Invitation copied")
    click(button(panel, "Withdraw"))
    assert commands(window)[1:] == [c.WithdrawInvitation()]
    show(window, invited(WITHDRAWN))
    assert (
        reads(panel, "The invitation is withdrawn.") and not shows_code(panel) and not reads(panel, "Copy invitation")
    )
    click(button(panel, "Invite a friend who is not here"))
    again = commands(window)[-1]
    assert isinstance(again, c.Invite) and again.code != invite.code
    show(window, invited())
    assert not reads(panel, "The invitation is withdrawn.")


def test_a_way_that_may_not_work_stands_out(window: Any, panel: Any) -> None:
    from phaselock.ui import theme

    colours = []
    for view in (OPENING, OPEN, DOUBTFUL):
        show(window, invited(view))
        colours.append(panel.invitation.sentence.cget("text_color"))
    assert reads(panel, "There are two routers.") and reads(panel, "Copy invitation")
    assert colours == [theme.TEXT_SECONDARY, theme.TEXT_SECONDARY, theme.WARNING]


def test_the_address_of_a_router_that_is_opened_by_hand_is_told(window: Any, panel: Any) -> None:
    """The router cannot tell it, and without it the line leads no friend here."""
    field = panel.invitation.address
    for view, asked in (
        (OPEN, False),
        (DOUBTFUL, True),
        (dataclasses.replace(DOUBTFUL, nat=Nat.CARRIER), False),
        (DOUBTFUL, True),
    ):
        show(window, invited(view))
        window.update()
        assert bool(field.winfo_ismapped()) is asked
    field.set("45.32.1.9 or so")
    field.focus()
    press(window, "<Key-Return>")
    assert not window.program.of("use_outside_address") and reads(field, "such as 192.168.1.42")
    field.set(" 45.32.1.9 ")
    press(window, "<Key-Return>")
    assert window.program.of("use_outside_address") == ["45.32.1.9"]
    assert toasts(window)[-1] == "The invitation now names 45.32.1.9. Copy it again."


def test_the_keyboard_stays_on_the_buttons_of_the_invitation(window: Any, panel: Any) -> None:
    panel.invitation.invite.focus_force()
    window.update()
    press(window, "<Key-space>")
    show(window, invited(OPENING))
    assert window.focus_get() is panel.invitation.withdraw
    press(window, "<Key-space>")
    assert commands(window)[1:] == [c.WithdrawInvitation()]
    show(window, invited())
    assert window.focus_get() is panel.invitation.invite


def test_everything_of_the_invitation_is_reached_by_tab(window: Any, panel: Any) -> None:
    show(window, invited(OPEN))
    assert {panel.invitation.copy, panel.invitation.withdraw} < {*controls(panel)} <= {*walk(window)}


def test_the_header_shows_that_an_invitation_is_open(window: Any) -> None:
    shown = show(window, invited())
    assert not shown.share.on and shown.share._tooltip().startswith("Let others join")
    show(window, invited(OPENING))
    assert shown.share.on and shown.share._tooltip() == "An invitation for friends elsewhere is open."
    show(window, invited(WITHDRAWN))
    assert not shown.share.on


@pytest.mark.parametrize("code", [Code.INVITATION_GUESSED, Code.INVITATION_VOID])
def test_guessed_codes_of_an_invitation_warn_and_lead_to_it(window: Any, code: Code) -> None:
    shown = show(window, invited(OPEN))
    deliver(window, SessionEvent(Warned(1, Notice(code, number=10))))
    assert reads(shown, "10 wrong codes were tried from elsewhere") and not toasts(window)
    click(button(shown, "Show the invitation"))
    assert reads(window.overlay, "Withdraw") and not commands(window)
    press(window, "<Key-Escape>")
    assert not reads(shown, "wrong codes")


@pytest.mark.parametrize("words", [ENGLISH, words_of("de")], ids=["en", "de"])
def test_a_small_window_says_in_full_who_sees_what_of_the_connection(window: Any, words: Words) -> None:
    from phaselock.ui.placement import MIN_SIZE

    window.geometry("{}x{}+0+0".format(*MIN_SIZE))
    show(window, invited(OPEN))
    window.show_toast(notice_text(relays_notice(DEFAULT_RELAY), words))
    window.update()
    assert not any(text.endswith("…") for text in texts(window.toasts._toasts[-1]))


def test_the_tab_is_remembered(window: Any) -> None:
    show(window, invited())
    go(window, "share")
    assert reads(window.overlay, "Everybody on this network may join.")
    click(window.overlay.tabs.buttons[2])
    assert button(window.overlay, "Invite a friend who is not here")
    press(window, "<Key-Escape>")
    go(window, "share")
    assert button(window.overlay, "Invite a friend who is not here")
