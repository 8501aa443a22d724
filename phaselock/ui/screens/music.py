"""The host's panel that searches in the music folder, in the place of the queue, and the choice of that folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import current, tr, tr_plural
from phaselock.session.events import LibraryChanged, LibraryState
from phaselock.session.sentences import library_text, time_text
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, FoundSong, FoundSongs, SessionEvent
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import TextButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.rows import Row, RowList

ADD = "add"
"""The action of a row."""


class MusicOverlay(Overlay):
    """Shows the songs with the typed words at each key. Return gives the keyboard to the first of them; Return or a
    double click there adds a song to the queue."""

    beside = True

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("My music"), on_close)
        self.panel.place(relx=0, rely=0, relwidth=1, relheight=1, anchor="nw")
        self._api = api
        self._songs: dict[str, FoundSong] = {}
        self._added: set[str] = set()
        """Keys of the rows that the user has added."""
        self._status: LibraryChanged | None = None
        self._place = frame(self.body)
        self.field = Field(
            self._place,
            "",
            placeholder=tr("Title, artist or album"),
            on_submit=self._enter,
            on_change=self._search,
            width=1,  # it must not widen the panel
        )
        self.field.pack(fill="x", pady=(0, px(8)))
        self._foot = frame(self.body)
        self.folder = Line(self._foot, theme.SECONDARY, theme.TEXT_SECONDARY)
        self.folder.pack(fill="x")
        self.news = label(self._foot, "", theme.CAPTION, theme.TEXT_SECONDARY)
        self.choose = TextButton(self._foot, tr("Another folder"), self._choose)
        self.choose.pack(side="left")
        self.forget = TextButton(self._foot, tr("No folder"), lambda: api.program.choose_library(""))
        self.forget.pack(side="left", padx=(px(8), 0))
        self.results = RowList(self.body, on_open=self._add, on_action=lambda key, _action: self._add(key))
        self.results.pack(side="top", fill="both", expand=True)
        self.body.bind("<Configure>", lambda event: self.news.configure(wraplength=max(event.width, 1)), add="+")
        api.program.read_library()

    def focus_set(self) -> None:
        """Give the keyboard to the field."""
        self.field.focus()

    def on_event(self, event: BackendEvent) -> None:
        if isinstance(event, FoundSongs) and event.text == self.field.get():
            self._show(event)
        elif isinstance(event, SessionEvent) and isinstance(event.event, LibraryChanged):
            self._tell(event.event)

    def _tell(self, status: LibraryChanged) -> None:
        """Show what is known of the folder."""
        has_folder = status.state is not LibraryState.OFF
        if self._status is None or has_folder != (self._status.state is not LibraryState.OFF):
            if has_folder:
                self._foot.pack(side="bottom", fill="x", pady=(px(8), 0), before=self.results)
                self._place.pack(side="top", fill="x", before=self.results)
                self.field.focus()  # a hidden one cannot have the keyboard
            else:
                self._foot.pack_forget()
                self._place.pack_forget()
        self._status = status
        count = tr_plural("{number} song", "{number} songs", status.songs).format(number=status.songs)
        self.folder.set(f"{count} · {status.folder}")
        if status.state is LibraryState.READY:
            self.news.pack_forget()
        else:
            self.news.configure(text=library_text(status, current()))
            self.news.pack(anchor="w", after=self.folder)
        self._show_empty()
        if self.field.get().strip() and has_folder:
            self._search()

    def _show_empty(self) -> None:
        if self._status is None or self._status.state is LibraryState.OFF:
            self.results.set_empty(tr("Choose the folder with your music. Then its songs can be found here."))
            self.results.set_empty_button(tr("Choose the folder"), self._choose)
            return
        text = self.field.get().strip()
        self.results.set_empty(
            tr('No song with "{text}".').format(text=text) if text else tr("Type what you look for.")
        )
        self.results.set_empty_button(None, None)

    def _choose(self) -> None:
        if path := self._api.ask_folder():
            self._api.program.choose_library(path)

    def _search(self) -> None:
        text = self.field.get()
        if text.strip():
            self._api.program.search_library(text)
        else:
            self._show(FoundSongs(text, ()))

    def _show(self, found: FoundSongs) -> None:
        self._songs = {str(one.song_id): one for one in found.songs}
        self._show_rows()
        self._show_empty()

    def _show_rows(self) -> None:
        self.results.set_rows([self._row(key, song) for key, song in self._songs.items()])

    def _row(self, key: str, song: FoundSong) -> Row:
        title = song.title or song.file_name
        length = time_text(song.duration_secs) if song.duration_secs else ""
        added = key in self._added
        return Row(
            key,
            title,
            " · ".join(filter(None, (length, song.artist, song.album))),
            dimmed=added,
            actions=((ADD, "tick" if added else "add", tr("Add it again") if added else tr("Add to the queue")),),
            actions_shown=True,
        )

    def _enter(self) -> None:
        if self.results.rows:
            first = self.results.rows[0].key
            self.results.select([first])
            self.results.see(first)
            self.results.focus_set()
            self.results.by_keyboard()

    def _add(self, key: str) -> None:
        self._api.program.add_from_library(self._songs[key].song_id)
        self._added.add(key)
        self._show_rows()
