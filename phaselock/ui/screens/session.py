"""The common part of the screens of host and peer: the current song, the volume, and a search in the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from phaselock.language.catalogue import tr
from phaselock.session.events import VolumeSet
from phaselock.ui import theme
from phaselock.ui.backend import ArtworkRead, BackendEvent, SessionEvent, WaveformRead
from phaselock.ui.screens.base import Screen
from phaselock.ui.screens.home import label
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.screens.queue import FindBar, QueueList
from phaselock.ui.theme import px
from phaselock.ui.viewmodel import QueueRow, event_banner
from phaselock.ui.widgets.banner import Banner
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.rows import RowList
from phaselock.ui.widgets.slider import VolumeSlider

CAPTION_HEIGHT = 14
_PANEL_PADDING = 32


class SessionScreen(Screen):
    """A subclass creates `playing` and `queue`, `volume` with `make_volume`, and the title with `make_title`."""

    in_session = True
    hosting: ClassVar[bool]
    """True for the host's screen."""

    playing: PlayingPanel
    volume: VolumeSlider
    queue: QueueList
    _queue_panel: Panel
    _find_bar: FindBar | None = None
    banner: Banner | None = None
    """The warning that was shown last, until the user closes it."""

    def make_volume(self, master: Any) -> Any:
        """Create the slider for the volume of this machine. Return the frame with the slider and its caption."""
        place = frame(master)
        self.volume = VolumeSlider(place, self.api.program.set_volume)
        self.volume.pack()
        caption = label(place, tr("This speaker"), theme.CAPTION, theme.TEXT_SECONDARY)
        caption.configure(height=px(CAPTION_HEIGHT))
        caption.pack()
        preferences = self.api.program.preferences()
        self.volume.set(preferences.volume, muted=preferences.muted)
        return place

    def make_title(self, master: Any) -> None:
        """Create title and subtitle of the header; what is beside them keeps its width."""
        master.grid_columnconfigure(0, weight=1)
        self._title = Line(master, theme.TITLE, bold=True)
        self._title.grid(row=0, column=0, sticky="ew", padx=(0, px(16)))
        self._subtitle = Line(master, theme.SECONDARY, theme.TEXT_SECONDARY)
        self._subtitle.grid(row=1, column=0, sticky="ew", padx=(0, px(16)), pady=(px(4), 0))

    def fit(self, column: RowList, width: int, share: float, least: int, most: int) -> None:
        """Give the list in a side column its share of a screen of this width; limits in pixels of the design."""
        column.configure(width=round(min(max(width * share, px(least)), px(most))) - px(_PANEL_PADDING))

    def show_beside(self, panel: Any | None) -> None:
        """Show a panel in the place of the queue; None: the queue again."""
        column = self.grid_size()[0] - 1
        if panel is None:
            self.grid_columnconfigure(column, minsize=0)
            self._queue_panel.grid()
        else:
            self.grid_columnconfigure(column, minsize=self._queue_panel.winfo_width() + px(24))
            self._queue_panel.grid_remove()
            panel.grid(row=1, column=column, sticky="nsew", padx=(0, px(24)), pady=(0, px(8)))

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, ArtworkRead | WaveformRead):
            self.playing.on_event(event)
        if isinstance(event, ArtworkRead):
            self.queue.paint()
        elif isinstance(event, SessionEvent) and isinstance(event.event, VolumeSet):
            self.volume.set(event.event.volume_percent / 100, muted=event.event.muted)
        elif isinstance(event, SessionEvent) and (text := event_banner(event)):
            self.close_banner()
            self.banner = Banner(self, text, self.banner_action(event))

    def banner_action(self, event: SessionEvent) -> tuple[str, Callable[[], object]] | None:
        """The button of the warning that this event is: its text, and what it does. None: it has none."""
        return None

    def close_banner(self) -> None:
        """Remove the warning, if one is shown."""
        if self.banner is not None:
            self.banner.destroy()
            self.banner = None

    def tick(self, session_ns: int | None) -> None:
        self.playing.tick(session_ns)

    def key(self, name: str) -> bool:
        match name:
            case "louder" | "quieter":
                self.volume.step(1 if name == "louder" else -1)
            case "mute":
                self.volume.toggle_mute()
            case "find":
                self.find()
            case "chat":
                self.api.open_chat()
            case _:
                return False
        return True

    def find(self) -> None:
        """Open a field above the queue, which then shows only the songs with its text."""
        if self._find_bar is None:
            self._find_bar = FindBar(self.queue, self._close_find)
            self._find_bar.pack(fill="x", before=self.queue, pady=(0, px(8)))
        self._find_bar.open()

    def show_queue(self, rows: tuple[QueueRow, ...]) -> None:
        """Show these songs."""
        self.queue.show_queue(rows)
        if self._find_bar is not None:
            self._find_bar.refresh()

    def _close_find(self) -> None:
        if self._find_bar is not None:
            self._find_bar.destroy()
            self._find_bar = None
