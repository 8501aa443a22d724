"""Drawn buttons: reachable by Tab, with a focus ring, pressed by pointer, space or Return."""

from __future__ import annotations

import dataclasses
import tkinter as tk
from collections.abc import Callable
from typing import Any

from phaselock.frozen import frozen
from phaselock.ui import theme
from phaselock.ui.widgets import tooltip as tips
from phaselock.ui.widgets.base import Drawing, inside
from phaselock.ui.widgets.icons import SHAPES, disc_icon
from phaselock.ui.widgets.raster import plate


class Clickable(Drawing):
    """A button without looks. It calls `command` if the pointer is released inside."""

    def __init__(self, master: Any, width: int, height: int, command: Callable[[], object]) -> None:
        super().__init__(master, width, height, focus=True)
        self._command = command
        self.enabled = True
        self.hovered = False
        self.pressed = False
        self.configure(cursor="hand2")
        self.bind("<Enter>", lambda _event: self._touch(hovered=True), add="+")
        self.bind("<Leave>", lambda _event: self._touch(hovered=False), add="+")
        self.bind("<ButtonPress-1>", lambda _event: self._touch(pressed=True), add="+")
        self.bind("<B1-Motion>", self._on_motion, add="+")
        self.bind("<ButtonRelease-1>", self._on_release, add="+")
        for key in ("space", "Return", "KP_Enter"):
            self.bind(f"<Key-{key}>", self._on_key)

    def invoke(self) -> None:
        """Call the command if the button is enabled."""
        if self.enabled:
            self._command()

    def set_enabled(self, enabled: bool) -> None:
        """Enable or disable it; Tab skips a disabled button."""
        if enabled == self.enabled:
            return
        self.enabled = enabled
        self.pressed = self.pressed and enabled
        self.configure(cursor="hand2" if enabled else "", takefocus=enabled)
        self.paint()

    def _touch(self, *, hovered: bool | None = None, pressed: bool | None = None) -> None:
        self.hovered = self.hovered if hovered is None else hovered
        self.pressed = self.pressed if pressed is None else pressed and self.enabled
        self.paint()

    def _on_motion(self, event: tk.Event[Any]) -> None:
        if self.hovered != inside(self, event):
            self._touch(hovered=not self.hovered)

    def _on_release(self, event: tk.Event[Any]) -> None:
        was, within = self.pressed, inside(self, event)
        self._touch(pressed=False, hovered=within)
        if was and within:  # pressed: it is enabled
            self._command()  # may destroy the widget

    def _on_key(self, _event: tk.Event[Any]) -> str:
        self.invoke()
        return "break"  # the window has bindings for the same keys


@frozen
class _Look:
    height: int
    pad: int
    size: int
    bold: bool
    text: str
    fill: str = ""
    hover: str = ""
    pressed: str = ""
    hover_text: str = ""
    disabled: str = theme.ELEVATED


class _TextButton(Clickable):
    """A pill with a text."""

    _look: _Look

    def __init__(self, master: Any, text: str, command: Callable[[], object]) -> None:
        self._text = text
        super().__init__(master, self._width_of(text), theme.px(self._look.height), command)
        self._plate = self.create_image(0, 0, anchor="nw")
        font = theme.canvas_font(self._look.size, self._look.bold)
        self._words = self.create_text(0, 0, text=text, font=font, anchor="center")
        self.bind("<Configure>", lambda _event: self.paint(), add="+")

    def set_text(self, text: str) -> None:
        """Set the text and request the width it needs."""
        if text != self._text:
            self._text = text
            self.configure(width=self._width_of(text))
            self.paint()

    def paint(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        if width <= 1:
            return
        look = self._look
        fill, text = look.fill, look.text
        if not self.enabled:
            fill, text = look.disabled if look.fill else "", theme.DISABLED
        elif self.pressed and self.hovered:
            fill, text = look.pressed, look.hover_text or text
        elif self.hovered:
            fill, text = look.hover, look.hover_text or text
        ring, line = (theme.FOCUS, theme.px(2)) if self.keyboard else ("", 0)
        body = min(theme.px(look.height), height)
        fill, text = theme.present(fill), theme.present(text)
        image = plate(width, body, body / 2, fill or self.ground, self.ground, outline=ring, line=line, gap=line)
        self.itemconfigure(self._plate, image=self.hold("plate", image))
        self.coords(self._plate, 0, (height - body) // 2)
        font = theme.canvas_font(look.size, look.bold)
        self.itemconfigure(
            self._words, text=theme.ellipsis(self._text, font, width - theme.px(min(look.pad, 8) * 2)), fill=text
        )
        self.coords(self._words, width / 2, height / 2)

    def _width_of(self, text: str) -> int:
        look = self._look
        return theme.measure(text, theme.canvas_font(look.size, look.bold)) + 2 * theme.px(look.pad)


class MainButton(_TextButton):
    """The main action of a screen; one a screen."""

    _look = _Look(
        height=48, pad=32, size=theme.BODY, bold=True, text=theme.ON_PRIMARY,
        fill=theme.PRIMARY, hover=theme.PRIMARY_HOVER, pressed=theme.PRIMARY_PRESSED,
    )  # fmt: skip


class SecondaryButton(_TextButton):
    """Any other action."""

    _look = _Look(
        height=40, pad=24, size=theme.BODY, bold=False, text=theme.TEXT,
        fill=theme.ELEVATED, hover=theme.RAISED, pressed=theme.GRID,
    )  # fmt: skip

    def set_main(self, main: bool) -> None:
        """Give it the colours of the main action of the screen, while it is that."""
        own, green = type(self)._look, MainButton._look
        look = dataclasses.replace(green, height=own.height, pad=own.pad, bold=own.bold) if main else own
        if look != self._look:
            self._look = look
            self.paint()


class CodeButton(_TextButton):
    """The code of the jam, which people read from across the room."""

    _look = _Look(
        height=40, pad=12, size=theme.SECTION, bold=True, text=theme.TEXT,
        fill=theme.ELEVATED, hover=theme.RAISED, pressed=theme.GRID,
    )  # fmt: skip


class StepButton(_TextButton):
    """Changes a number by a step."""

    _look = _Look(
        height=40, pad=6, size=theme.SECONDARY, bold=False, text=theme.TEXT,
        fill=theme.ELEVATED, hover=theme.RAISED, pressed=theme.GRID,
    )  # fmt: skip


class DangerButton(_TextButton):
    """An action that cannot be undone."""

    _look = _Look(
        height=40, pad=24, size=theme.BODY, bold=True, text=theme.TEXT,
        fill=theme.ERROR, hover=theme.ERROR_HOVER, pressed=theme.ERROR_PRESSED,
    )  # fmt: skip


class TextButton(_TextButton):
    """A minor action: text without a plate."""

    _look = _Look(
        height=32, pad=12, size=theme.SECONDARY, bold=False, text=theme.TEXT_SECONDARY, hover_text=theme.TEXT,
    )  # fmt: skip


class FoldButton(TextButton):
    """Opens and closes what is below it; `on_fold` receives whether it is open now."""

    _look = dataclasses.replace(TextButton._look, pad=0)

    def __init__(self, master: Any, text: str, on_fold: Callable[[bool], object]) -> None:
        self._on_fold, self._label, self.opened = on_fold, text, False
        super().__init__(master, f"▸  {text}", self._toggle)

    def open(self) -> None:
        """Open it, if it is closed."""
        if not self.opened:
            self._toggle()

    def _toggle(self) -> None:
        self.opened = not self.opened
        self.set_text(f"{'▾' if self.opened else '▸'}  {self._label}")
        self._on_fold(self.opened)


class IconButton(Clickable):
    """A round button with an icon; `filled`: a black icon on a green disc."""

    def __init__(
        self,
        master: Any,
        icon: str,
        command: Callable[[], object],
        *,
        diameter: int = 36,
        tooltip: tips.Text = "",
        filled: bool = False,
    ) -> None:
        assert icon in SHAPES, icon
        self._icon = icon
        self._filled = filled
        self.on = False
        self._size = theme.px(diameter)
        self._glyph = 1 / 2 if filled else 24 / 36
        super().__init__(master, self._size, self._size, command)
        self._face = self.create_image(0, 0, anchor="nw")
        dot_size = theme.px(4)
        x, y = (self._size - dot_size) / 2, self._size - dot_size
        self._mark = self.create_oval(x, y, x + dot_size, y + dot_size, width=0, fill=theme.PRIMARY, state="hidden")
        tips.attach(self, tooltip)
        self.paint()

    def set_icon(self, name: str) -> None:
        """Set the icon."""
        assert name in SHAPES, name
        if name != self._icon:
            self._icon = name
            self.paint()

    def set_on(self, on: bool) -> None:
        """Show whether what it switches is on: by colour, and by a dot."""
        if on != self.on:
            self.on = on
            self.paint()

    def set_tooltip(self, text: tips.Text) -> None:
        """Set the tooltip."""
        tips.attach(self, text)

    def paint(self) -> None:
        over = self.hovered and self.enabled
        down = over and self.pressed
        if self._filled:
            disc = theme.PRIMARY_PRESSED if down else theme.PRIMARY_HOVER if over else theme.PRIMARY
            disc, colour = (disc, theme.ON_PRIMARY) if self.enabled else (theme.ELEVATED, theme.DISABLED)
        else:
            raised = theme.RAISED if self.ground == theme.ELEVATED else theme.ELEVATED
            disc = (theme.GRID if down else raised) if over else self.ground
            colour = theme.PRIMARY if self.on else theme.TEXT if self.enabled else theme.DISABLED
        self.itemconfigure(self._mark, state="normal" if self.on else "hidden")
        image = disc_icon(self._icon, self._size, colour, disc, self.ground, glyph=self._glyph, ring=self.keyboard)
        self.itemconfigure(self._face, image=self.hold("face", image))
