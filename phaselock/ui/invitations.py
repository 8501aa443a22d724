"""Invitations that the user pastes into the window, or opens with PhaseLock: the window joins by them."""

from __future__ import annotations

import tkinter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from phaselock.model.invitation import find_invitation
from phaselock.ui.keys import before_paste

if TYPE_CHECKING:
    from phaselock.ui.screens.forms import BrowserScreen
    from phaselock.ui.window import Window


class WindowInvitations:
    """`in_session`: whether a session is open. `ask_to_leave` asks whether to leave it, and then calls the function."""

    def __init__(
        self,
        window: Window,
        in_session: Callable[[], bool],
        ask_to_leave: Callable[[Callable[[], object]], object],
    ) -> None:
        self._window, self._in_session, self._ask_to_leave = window, in_session, ask_to_leave
        self._next = ""
        """By which to join when the session that is open has ended."""
        before_paste(window, lambda: not in_session() and self.paste())  # in a session it is a text to write

    def join(self, invitation: str) -> None:
        """Join by an invitation; while a session is open, after a question."""

        def change() -> None:
            self._next = invitation
            self._window.program.leave()

        if self._in_session():
            self._ask_to_leave(change)
        else:
            self._join(invitation)

    def paste(self) -> bool:
        """Join by the invitation in the clipboard. False: there is none."""
        try:
            invitation = find_invitation(self._window.clipboard_get())
        except tkinter.TclError:  # it has no text
            return False
        if invitation:
            self.join(invitation)
        return bool(invitation)

    def session_ended(self) -> bool:
        """Join by the invitation for which the user has left the session. False: there is none."""
        invitation, self._next = self._next, ""
        if invitation:
            self._join(invitation)
        return bool(invitation)

    def _join(self, invitation: str) -> None:
        from phaselock.ui.screens.forms import BrowserScreen

        self._window.close_question()
        if not isinstance(self._window.screen, BrowserScreen):
            self._window.go_browse()
        self._window.close_overlay()
        cast("BrowserScreen", self._window.screen).join_by(invitation)
