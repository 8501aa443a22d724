"""A list of messages that people have written: long texts are wrapped, and can be selected and copied."""

from __future__ import annotations

import functools
import tkinter as tk
from collections.abc import Sequence
from typing import Any, Literal

from phaselock.frozen import frozen
from phaselock.ui import theme
from phaselock.ui.direction import isolated, visual, wrapped
from phaselock.ui.widgets.base import Drawing, bind_wheel
from phaselock.ui.widgets.rows.scroll import ScrollBar, Viewport

_BAR_ROOM = 10
_GAP = 4
_RING = 2
_NOTCH_LINES = 3
"""A notch of the mouse wheel."""
_ALL = 10_000
"""More lines than there are."""


@frozen
class Shown:
    """One message."""

    number: int
    """Grows from message to message."""
    name: str
    """Who wrote it; empty: the same person as the message before."""
    time: str
    """When; may be empty."""
    text: str
    own: bool


class Messages(tk.Frame):
    """Stays at the newest message, unless the user has scrolled up. Arrows and page keys scroll it."""

    def __init__(self, master: Any) -> None:
        ground = theme.behind(master)
        super().__init__(master, background=ground, borderwidth=0, highlightthickness=0)
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(0, weight=1)
        self._shown: tuple[Shown, ...] = ()
        self._first_lines: list[int] = []
        """The line of the text at which each message begins, from 1."""
        self.text = tk.Text(
            self,
            width=1,
            height=1,
            wrap="word",
            state="disabled",
            cursor="",
            font=theme.canvas_font(theme.BODY),
            background=ground,
            foreground=theme.TEXT,
            selectbackground=theme.TEXT_SECONDARY,
            selectforeground=theme.BACKGROUND,
            inactiveselectbackground=theme.TEXT_SECONDARY,
            borderwidth=0,
            highlightthickness=theme.px(_RING),
            highlightbackground=ground,
            highlightcolor=theme.FOCUS,
            padx=theme.px(_RING),
            pady=theme.px(_GAP),
            takefocus=True,
            yscrollcommand=self._on_scroll,
        )
        self.text.grid(row=0, column=0, sticky="nsew")
        bold = theme.canvas_font(theme.SECONDARY, True)
        self.text.tag_configure("name", font=bold, foreground=theme.TEXT_SECONDARY, spacing1=theme.px(12))
        self.text.tag_configure("own", foreground=theme.PRIMARY)
        self.text.tag_configure("first", spacing1=0)
        self.text.tag_configure("time", font=theme.canvas_font(theme.CAPTION), foreground=theme.FAINT)
        self.text.tag_configure("words", spacing1=theme.px(2))
        self._strip = Drawing(self, theme.px(_BAR_ROOM), 1)
        self._strip.grid(row=0, column=1, sticky="ns", padx=(theme.px(_GAP), 0))
        self._view = Viewport(self._strip, 1)
        self._bar = ScrollBar(self._strip, self._view)
        self._strip.bind("<ButtonPress-1>", self._on_press)
        self._strip.bind("<B1-Motion>", self._on_motion)
        self._strip.bind("<ButtonRelease-1>", lambda _event: self._bar.release())
        self.text.bind("<Configure>", self._on_configure, add="+")
        for key, lines in (("Up", -1), ("Down", 1)):
            self.text.bind(f"<Key-{key}>", functools.partial(self._on_key, lines, "units"))
        for key, pages in (("Prior", -1), ("Next", 1)):
            self.text.bind(f"<Key-{key}>", functools.partial(self._on_key, pages, "pages"))
        for key, sign in (("Home", -1), ("End", 1)):
            self.text.bind(f"<Key-{key}>", functools.partial(self._on_key, sign * _ALL, "units"))
        self.text.bind("<ButtonRelease-1>", lambda _event: self._note_place(), add="+")  # a selection may scroll
        for part in (self.text, self._strip):
            bind_wheel(part, self._turn)
        self._width = 0
        self._follows = True
        """The newest message is visible, and so will be the next one."""

    def set(self, messages: Sequence[Shown]) -> None:
        """Show these messages."""
        if self._shown != tuple(messages):
            top = self._top_number()
            self._shown = tuple(messages)
            self._fill(top)

    def _fill(self, top: int | None) -> None:
        """Write all messages; `top`: the number of the one that is the first to see, unless the newest one is seen."""
        width = max(self.text.winfo_width() - 4 * theme.px(_RING), 1)
        font, bold = theme.canvas_font(theme.BODY), theme.canvas_font(theme.SECONDARY, True)
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        self._first_lines = []
        for place, one in enumerate(self._shown):
            if place:
                self.text.insert("end", "\n")
            self._first_lines.append(int(str(self.text.index("end - 1 char")).partition(".")[0]))
            if one.name:
                tags = ("name", *(("own",) if one.own else ()), *(() if place else ("first",)))
                time = f"  {one.time}" if one.time else ""
                name_width = width - theme.measure(time, theme.canvas_font(theme.CAPTION))
                name = visual(isolated(theme.ellipsis(one.name, bold, name_width)))
                self.text.insert("end", name, tags, f"{time}\n", ("name", "time"))
            self.text.insert("end", wrapped(one.text, font, width), ("words",))
        self.text.configure(state="disabled")
        self.text.tk.call(self.text, "sync")  # the heights of wrapped lines are known only then
        if self._follows or top is None:
            self.text.yview_moveto(1.0)
        else:
            places = [n for n, one in enumerate(self._shown) if one.number >= top]
            self.text.yview(f"{self._first_lines[places[0]]}.0" if places else "end")

    def _top_number(self) -> int | None:
        """The number of the message at the upper end; None: there is none."""
        line = int(str(self.text.index("@0,0")).partition(".")[0])
        numbers = [one.number for one, at in zip(self._shown, self._first_lines, strict=False) if at <= line]
        return numbers[-1] if numbers else None

    def _on_key(self, number: int, what: Literal["units", "pages"], _event: object) -> str:
        self.text.yview_scroll(number, what)
        self._note_place()
        return "break"

    def _turn(self, notches: float) -> None:
        self.text.yview_scroll(
            round(notches * _NOTCH_LINES * theme.line_height(theme.canvas_font(theme.BODY))), "pixels"
        )
        self._note_place()

    def _note_place(self) -> None:
        """The user has scrolled."""
        self._follows = float(self.text.yview()[1]) > 0.999

    def _on_configure(self, event: tk.Event[Any]) -> None:
        if event.width != self._width:
            self._width = event.width
            self._fill(self._top_number())
        elif self._follows:
            self.text.yview_moveto(1.0)

    def _on_scroll(self, first: float, last: float) -> None:
        low, high = float(first), float(last)  # Tk passes texts
        visible, height = max(high - low, 0.001), self._strip.winfo_height()
        self._view.count = round(height / visible)
        self._view.top = round(low * self._view.count)
        self._bar.show()

    def _on_press(self, event: tk.Event[Any]) -> None:
        if self._bar.press(event.x, event.y):
            self._on_motion(event)

    def _on_motion(self, event: tk.Event[Any]) -> None:
        if self._bar.held:
            self.text.yview_moveto(self._bar.top_at(event.y) / max(self._view.count, 1))
            self._note_place()
