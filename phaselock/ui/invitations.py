"""Invitations that the user pastes into the window, or opens with PhaseLock: the window joins by them."""

from __future__ import annotations

import tkinter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from phaselock.language.catalogue import current, tr
from phaselock.model.invitation import find_invitation, parse_invitation
from phaselock.model.notices import Code, Notice
from phaselock.session.sentences import window_text
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
        before_paste(window, lambda: self._is_wanted() and self.paste())  # else it is a text to write

    def opened(self, invitation: str) -> None:
        """Join by an invitation that was opened with PhaseLock, after a question: any page that a browser shows can
        open one, and this machine then plays what its host plays."""
        if self._in_session():
            self.join(invitation)  # this asks, too
        else:
            question = tr("Join the jam of this invitation? This machine then plays what the host plays.")
            self._window.ask(question, tr("Join"), lambda: self._join(invitation), harmless=True)

    def join(self, invitation: str) -> None:
        """Join by an invitation that was pasted; while a session is open, after a question. By one to the session that
        is open, its host is looked for if it is lost."""

        def change() -> None:
            self._next = invitation
            self._window.program.leave()

        if self._is_there(invitation):
            self._return_by(invitation)
        elif self._in_session():
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

    def _is_there(self, invitation: str) -> bool:
        """The invitation leads to the session that is open."""
        state = self._window.program.state() if self._in_session() else None
        if state is None:
            return False
        try:
            told = parse_invitation(invitation)
            if told.session:
                return state.snapshot.session_id.startswith(told.session)
            return parse_invitation(state.address).place in told.places
        except ValueError:
            return False

    def _is_wanted(self) -> bool:
        """An invitation that is pasted into a field is more than a text."""
        state = self._window.program.state()
        return not self._in_session() or (state is not None and not state.snapshot.connected)

    def _return_by(self, invitation: str) -> None:
        state = self._window.program.state()
        if state is None or state.snapshot.connected:
            self._window.show_toast(window_text(Notice(Code.INVITATION_HERE), current()))
        else:
            self._window.program.return_by(invitation)
            self._window.show_toast(window_text(Notice(Code.INVITATION_TAKEN), current()))

    def _join(self, invitation: str) -> None:
        from phaselock.ui.screens.forms import BrowserScreen

        self._window.close_question()
        if not isinstance(self._window.screen, BrowserScreen):
            self._window.go_browse()
        self._window.close_overlay()
        cast("BrowserScreen", self._window.screen).join_by(invitation)
