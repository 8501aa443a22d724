"""The invitation for a friend elsewhere, in the host's overlay for those who want to join: its line, its QR code, and
what is known of the way to this machine."""

from __future__ import annotations

import secrets
from typing import Any

from phaselock.language.catalogue import current, tr
from phaselock.language.message import translated
from phaselock.model.code import INVITATION_DIGITS, code_from_number
from phaselock.model.invitation import InvitationState, Nat, parse_candidate
from phaselock.model.snapshot import InvitationView
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.qr import QrPicture

_VALID = (InvitationState.OPENING, InvitationState.OPEN)
_OPENED_BY_HAND = (Nat.HOME, Nat.OPEN, Nat.DOUBLE, Nat.UNKNOWN)
"""Where a router can be told to let a friend in."""

EXAMPLE = "203.0.113.7"


class InvitePart:
    """Two columns of an overlay: the picture in `left`, all else in `right`. Sizes in pixels of the design."""

    def __init__(self, left: Any, right: Any, api: WindowApi, *, picture: int, width: int) -> None:
        self._api = api
        self._shown: InvitationView | None | str = ""
        self.picture = QrPicture(left, picture, "globe")
        self.picture.pack()
        self.address = Field(
            left, tr("Router opened by hand? Its address:"), "", EXAMPLE, on_submit=self._use_address, width=picture
        )
        heading = Line(right, theme.BODY, bold=True)
        heading.set(tr("A friend who is not here"))
        heading.pack(fill="x")
        about = tr(
            "Send your friend the invitation by mail or in a chat: one line. Your friend needs PhaseLock, and clicks "
            "it or pastes it into the window. Everybody who has it can come in until you withdraw it or end the jam."
        )
        self._words(right, about, width).pack(anchor="w", pady=(px(4), 0))
        self._open = frame(right)
        self._words(self._open, tr("Invitation"), width).pack(anchor="w")
        self.line = Line(self._open, theme.BODY)
        self.line.pack(fill="x")
        self.sentence = self._words(right, "", width)
        buttons = self._buttons = frame(right)
        buttons.pack(fill="x", pady=(px(16), 0))
        self.invite = SecondaryButton(buttons, tr("Invite a friend who is not here"), self._invite)
        self.copy = SecondaryButton(buttons, tr("Copy invitation"), self._copy)
        self.copy.set_main(True)
        self.withdraw = TextButton(buttons, tr("Withdraw"), self._withdraw)

    def on_state(self, state: SessionView) -> None:
        """Show the newest view; draws only what differs."""
        shown = state.snapshot.invitation
        if shown == self._shown:
            return
        self._shown = shown
        valid, line = shown is not None and shown.state in _VALID, shown.text if shown is not None else ""
        self.picture.show(line)
        self.line.set(line)
        sentence = shown.sentence.translated(current()) if shown is not None else ""
        doubtful = shown is not None and shown.state is InvitationState.OPEN and not shown.reachable
        self.sentence.configure(text=sentence, text_color=theme.WARNING if doubtful else theme.TEXT_SECONDARY)
        self.address.pack_forget()
        if doubtful and shown is not None and shown.nat in _OPENED_BY_HAND:
            self.address.pack(fill="x", pady=(px(12), 0))
        focused = self.line.focus_get()
        for widget, visible, place in (
            (self._open, bool(line), {"fill": "x", "pady": (px(16), 0), "before": self._buttons}),
            (self.sentence, bool(sentence), {"anchor": "w", "pady": (px(12), 0), "before": self._buttons}),
            (self.invite, not valid, {"side": "left"}),
            (self.copy, bool(line), {"side": "left"}),
            (self.withdraw, valid, {"side": "left", "padx": (px(8) if line else 0, 0)}),
        ):
            widget.pack_forget()
            if visible:
                widget.pack(**place)
        shown_buttons = [one for one in (self.copy, self.withdraw, self.invite) if one.winfo_manager()]
        if focused in (self.copy, self.withdraw, self.invite) and focused not in shown_buttons:
            shown_buttons[0].focus_set()

    def _words(self, place: Any, text: str, width: int) -> Any:
        words = label(place, text, theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(width))
        words.configure(height=px(20))
        return words

    def _invite(self) -> None:
        self._api.program.command(c.Invite(code_from_number(secrets.randbits(64), INVITATION_DIGITS)))

    def _withdraw(self) -> None:
        self._api.program.command(c.WithdrawInvitation())

    def _use_address(self) -> None:
        address = self.address.get().strip()
        try:
            parse_candidate(address)
        except ValueError as error:
            self.address.set_error(translated(error.args[0], current()))
        else:
            self._api.program.use_outside_address(address)
            self._api.show_toast(tr("The invitation now names {address}. Copy it again.").format(address=address))

    def _copy(self) -> None:
        if isinstance(self._shown, InvitationView):
            self.line.clipboard_clear()
            self.line.clipboard_append(self._shown.text)
            self._api.show_toast(tr("Invitation copied: send it to your friend."))
