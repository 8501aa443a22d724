"""The question when the host leaves while others are in the jam: another machine can be the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.direction import isolated
from phaselock.ui.screens.home import label
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import SecondaryButton
from phaselock.ui.widgets.question import Dialog

WIDTH = 480
NAME_WIDTH = 140
"""Limit of the width of the name on the button."""


class HandOverQuestion(Dialog):
    """Asks until it is answered. The button that hands over has the keyboard. `stays`: this machine stays in the jam
    afterwards."""

    def __init__(
        self,
        root: Any,
        name: str,
        hand_over: Callable[[], object],
        end: Callable[[], object],
        cancel: Callable[[], object],
        *,
        stays: bool = False,
    ) -> None:
        """`name`: of the first machine in the line of succession."""
        super().__init__(root)
        heading = label(self.body, tr("The jam can go on without you"), theme.SECTION, bold=True, wrap=px(WIDTH))
        if stays:
            heading.configure(text=tr("The jam can go on with another host"))
        heading.pack(anchor="w")
        what = (
            tr("{name} becomes the host, and the music plays on. You keep listening.")
            if stays
            else tr("{name} becomes the host, and the music plays on.")
        )
        text = what.format(name=isolated(name))
        hint = label(self.body, text, theme.SECONDARY, theme.TEXT_SECONDARY, wrap=px(WIDTH))
        hint.pack(anchor="w", pady=(px(4), px(20)))
        buttons = frame(self.body)
        buttons.pack(fill="x")
        short = theme.ellipsis(isolated(name), theme.canvas_font(theme.BODY, False), px(NAME_WIDTH))
        self.act = SecondaryButton(buttons, tr("Hand over to {name}").format(name=short), hand_over)
        self.act.set_main(True)
        self.act.pack(side="right")
        self.cancel = SecondaryButton(buttons, tr("Cancel"), cancel)
        self.cancel.pack(side="right", padx=px(8))
        # At the other side: a click that misses its neighbour must not end the jam.
        self.end = SecondaryButton(buttons, tr("End for everybody"), end)
        self.end.pack(side="left")
        self.set_controls(self.end, self.cancel, self.act)
        for button in (self.end, self.cancel, self.act):
            for key, step in (("Left", -1), ("Right", 1), ("Up", -1), ("Down", 1)):
                button.bind(f"<Key-{key}>", lambda _event, step=step: self.walk(step))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def take_keyboard(self) -> None:
        self.act.focus_set()
