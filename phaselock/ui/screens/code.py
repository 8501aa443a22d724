"""The dialog that asks for the code of a jam before this machine joins it, and new codes for the host."""

from __future__ import annotations

import secrets
import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.model.code import CODE_RULE, code_from_number, normal_code
from phaselock.model.invitation import invitation_text
from phaselock.model.notices import Code
from phaselock.ui import theme
from phaselock.ui.backend import Closed
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton, TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.question import Dialog

WIDTH = 340


def new_code() -> str:
    """A code of random digits."""
    return code_from_number(secrets.randbits(64))


def copy_invitation(widget: tk.Misc, api: WindowApi, address: str, code: str) -> None:
    """Copy the invitation to the host's jam, and say so. `code`: see `invitation_text`."""
    widget.clipboard_clear()
    widget.clipboard_append(invitation_text(address, code))
    api.show_toast(tr("Invitation copied: others on this network paste it into the address field."))


class CodeDialog(Dialog):
    """Asks until the session is joined or the user gives up: then `cancel` is called. `join` gets each code in its
    normal form; the answer is `refuse`, or the caller destroys the dialog."""

    def __init__(self, root: Any, jam: str, join: Callable[[str], object], cancel: Callable[[], object]) -> None:
        """`jam`: its name; empty: not known."""
        super().__init__(root)
        self._join = join
        title = tr("Code of {name}").format(name=jam) if jam else tr("Code of the jam")
        heading = label(self.body, title, theme.SECTION, bold=True, wrap=px(WIDTH))
        heading.pack(anchor="w")
        hint = label(self.body, "", theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(WIDTH))
        hint.configure(text=tr("Ask the host."), height=px(20))
        hint.pack(anchor="w", pady=(px(4), px(16)))
        self.code = Field(self.body, "", on_submit=self.submit, roomy=True, width=WIDTH)
        self.code.entry.configure(height=px(56), font=theme.font(theme.TITLE, True), justify="center")
        self.code.pack(fill="x")
        buttons = frame(self.body)
        buttons.pack(fill="x", pady=(px(8), 0))
        self.join = SecondaryButton(buttons, tr("Join"), self.submit)
        self.join.set_main(True)
        self.join.pack(side="right")
        self.cancel = SecondaryButton(buttons, tr("Cancel"), cancel)
        self.cancel.pack(side="right", padx=(0, px(8)))
        self.without = TextButton(buttons, tr("Join without a code"), lambda: self._try(""))
        self._set_controls()

    def submit(self) -> None:
        """Try the code in the field."""
        if not self.join.enabled:
            return
        if code := normal_code(self.code.get()):
            self._try(code)
        else:
            self._complain(tr(CODE_RULE))

    def refuse(self, closed: Closed) -> None:
        """The session was not joined with what the field has: say why, and let the user try again."""
        self._set_busy(False)
        if closed.why is Code.CODE_NOT_ASKED:
            self.without.pack(side="left")
        else:
            self.without.pack_forget()
        self._set_controls()
        self._complain(closed.reason)

    def take_keyboard(self) -> None:
        self.code.focus()

    def _try(self, code: str) -> None:
        self.code.set_error("")
        self._set_busy(True)
        self._join(code)

    def _complain(self, text: str) -> None:
        self.code.set_error(text)
        self.code.focus()

    def _set_busy(self, busy: bool) -> None:
        self.join.set_enabled(not busy)
        self.without.set_enabled(not busy)
        self.join.set_text(tr("Joining…") if busy else tr("Join"))

    def _set_controls(self) -> None:
        offered = (self.without,) if self.without.winfo_manager() else ()
        self.set_controls(self.code.entry._entry, *offered, self.cancel, self.join)
