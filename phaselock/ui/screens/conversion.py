"""The line of a file that is being converted, below the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr
from phaselock.session.events import ConversionChanged, ConversionState
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionEvent
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import IconButton
from phaselock.ui.widgets.line import Line


class ConversionLine:
    """Says which file is being converted and how far, with a button that cancels it; hidden while there is none."""

    def __init__(self, master: Any, above: Any, on_cancel: Callable[[], object]) -> None:
        self._above = above
        self._box = frame(master)
        self.line = Line(self._box, theme.CAPTION, theme.TEXT_SECONDARY)
        self.line.grid(row=0, column=0, sticky="ew")
        self.cancel = IconButton(self._box, "close", on_cancel, diameter=28, tooltip=tr("Cancel the conversion"))
        self.cancel.grid(row=0, column=1)
        self._box.grid_columnconfigure(0, weight=1)

    def on_event(self, event: BackendEvent) -> None:
        match event:
            case SessionEvent(ConversionChanged(state=ConversionState.STARTED | ConversionState.CONVERTING) as told):
                form = tr("Converting {file_name}, {number} %")
                self.line.set(form.format(file_name=told.file_name, number=told.done_percent))
                self._box.pack(fill="x", pady=(px(12), 0), side="bottom", after=self._above)
            case SessionEvent(ConversionChanged()):
                self._box.pack_forget()
