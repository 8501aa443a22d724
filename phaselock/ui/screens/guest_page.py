"""The host's page for phones, in the overlay for those who want to join: a switch, its address, and its QR code."""

from __future__ import annotations

from typing import Any

from phaselock.language.catalogue import tr
from phaselock.model.code import shown_code
from phaselock.ui import theme
from phaselock.ui.backend import ServedPage, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import IconButton, SecondaryButton, TextButton
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.qr import QrPicture
from phaselock.ui.widgets.switch import Switch


class GuestPagePart:
    """Two columns of an overlay: the picture in `left`, all else in `right`. Sizes in pixels of the design."""

    def __init__(self, left: Any, right: Any, api: WindowApi, *, picture: int, width: int) -> None:
        self._api = api
        self._shown: tuple[ServedPage, str] | None = None
        self.picture = QrPicture(left, picture, "phone")
        self.picture.pack()
        line = frame(right)
        line.pack(fill="x")
        line.grid_columnconfigure(0, weight=1)
        heading = Line(line, theme.BODY, bold=True)
        heading.set(tr("Let phones in"))
        heading.grid(row=0, column=0, sticky="ew")
        self.switch = Switch(line, api.program.show_guest_page)
        self.switch.grid(row=0, column=1)
        about = tr(
            "Guests scan the QR code and open a page in their browser. There they ask for songs, vote, and listen."
        )
        self._words(right, about, width).pack(anchor="w", pady=(px(4), 0))
        self.problem = label(right, "", theme.SECONDARY, theme.ERROR_TEXT, wrap=px(width))
        self._on = frame(right)
        caption = self._words(self._on, tr("Address"), width)
        caption.pack(anchor="w")
        typed = frame(self._on)
        typed.pack(fill="x")
        typed.grid_columnconfigure(0, weight=1)
        self.address = Line(typed, theme.SECTION, bold=True)
        self.address.grid(row=0, column=0, sticky="ew")
        copy = IconButton(typed, "copy", self._copy, tooltip=tr("Copy address"))
        copy.grid(row=0, column=1, padx=(px(8), 0))
        self._hint = self._words(self._on, "", width)
        self._hint.pack(anchor="w")
        buttons = frame(right)
        buttons.pack(side="bottom", fill="x", pady=(px(12), 0))
        self.rules = SecondaryButton(buttons, tr("Party rules"), api.open_rules)
        self.rules.pack(side="left")
        self.new = TextButton(buttons, tr("New QR code"), self._renew)
        again = tr("After a new QR code, everybody who came in by the old one must scan again.")
        self._again = self._words(right, again, width)

    def on_state(self, state: SessionView) -> None:
        """Show the newest view; draws only what differs."""
        page, code = shown = state.guest_page, state.snapshot.code
        if shown == self._shown:
            return
        self._shown = shown
        on = bool(page.link)
        self.switch.set_on(on)
        self.picture.show(page.link)
        self.problem.configure(text=page.problem)
        for widget, visible, place in (
            (self.new, on, {"side": "left", "padx": (px(8), 0)}),
            (self._again, on, {"side": "bottom", "anchor": "w"}),
            (self._on, on, {"fill": "x", "pady": (px(16), 0)}),
            (self.problem, bool(page.problem), {"anchor": "w", "pady": (px(12), 0)}),
        ):
            if visible:
                widget.pack(**place)
            else:
                widget.pack_forget()
        self.address.set(page.address)
        hint = tr("This jam has no code: everybody who types the address comes in.")
        if code:
            hint = tr("A guest who types the address is asked for the code {code}.").format(
                code=shown_code(code).replace(" ", "\N{NO-BREAK SPACE}")
            )
        self._hint.configure(text=hint)

    def _words(self, place: Any, text: str, width: int) -> Any:
        words = label(place, text, theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(width))
        words.configure(height=px(20))
        return words

    def _renew(self) -> None:
        self._api.program.renew_guest_page()
        self._api.show_toast(tr("Guests must scan the new QR code."))

    def _copy(self) -> None:
        if self._shown is not None:
            self.address.clipboard_clear()
            self.address.clipboard_append(self._shown[0].address)
            self._api.show_toast(tr("Address copied."))
