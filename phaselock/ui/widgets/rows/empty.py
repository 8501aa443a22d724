"""What a list without rows shows."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.ui import theme
from phaselock.ui.widgets.base import Drawing
from phaselock.ui.widgets.buttons import SecondaryButton


class EmptyNotice:
    """A text, and perhaps a button below it, in the middle of a list without rows."""

    def __init__(
        self, canvas: Drawing, text: str, button_text: str | None, command: Callable[[], object] | None
    ) -> None:
        self._canvas = canvas
        self.text = canvas.create_text(
            0,
            0,
            text=text,
            font=theme.canvas_font(theme.SECONDARY),
            fill=theme.TEXT_SECONDARY,
            justify="center",
            anchor="center",
        )
        self.button: SecondaryButton | None = None
        self._window = canvas.create_window(0, 0, anchor="n", state="hidden")
        self.set_button(button_text, command)

    def set_text(self, text: str) -> None:
        """Show another text."""
        self._canvas.itemconfigure(self.text, text=text)

    def set_button(self, button_text: str | None, command: Callable[[], object] | None) -> None:
        """Show another button, or none."""
        if self.button is not None:
            self.button.destroy()
        self.button = SecondaryButton(self._canvas, button_text, command) if button_text and command else None
        self._canvas.itemconfigure(self._window, window=self.button or "")

    def show(self, shown: bool) -> None:
        """Show it in the middle of the canvas, or hide it."""
        canvas, button = self._canvas, self.button
        if not shown:
            canvas.itemconfigure(self.text, state="hidden")
            canvas.itemconfigure(self._window, state="hidden")
            return
        width, height = canvas.winfo_width(), canvas.winfo_height()
        canvas.itemconfigure(self.text, state="normal", width=max(width - 2 * theme.px(16), 1))
        button_height = (button.winfo_reqheight() + theme.px(16)) if button is not None else 0
        canvas.coords(self.text, width / 2, (height - button_height) / 2)
        if button is not None:
            canvas.itemconfigure(self._window, width=min(button.winfo_reqwidth(), width))
            box = canvas.bbox(self.text)
            canvas.coords(self._window, width / 2, (box[3] if box else height / 2) + theme.px(16))
            canvas.itemconfigure(self._window, state="normal")
