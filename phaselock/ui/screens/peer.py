"""The screen of a peer: the current song, the queue (read-only), and requests for songs."""

from __future__ import annotations

from typing import Any

from phaselock.language.catalogue import tr
from phaselock.ui import theme
from phaselock.ui.backend import SessionView
from phaselock.ui.direction import isolated
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.chat import ChatButton
from phaselock.ui.screens.microphone import MicrophoneQuestion
from phaselock.ui.screens.playing import PlayingPanel
from phaselock.ui.screens.queue import QueueList
from phaselock.ui.screens.queue_menu import peer_menu
from phaselock.ui.screens.requests import Requests
from phaselock.ui.screens.session import SessionScreen
from phaselock.ui.theme import ctk, px
from phaselock.ui.viewmodel import PeerScreenView, QueueRows, RequestRow, SkipVote, peer_view
from phaselock.ui.widgets.buttons import IconButton, MainButton, TextButton
from phaselock.ui.widgets.chip import Chip
from phaselock.ui.widgets.line import Line
from phaselock.ui.widgets.panel import Panel
from phaselock.ui.widgets.rows import Row

QUEUE_COLUMN = (0.34, 308, 720)
"""Share of the width of the window, and limits in pixels of the design."""


class PeerScreen(SessionScreen):
    """Shows the session and sends requests."""

    hosting = False

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, api)
        self._view: PeerScreenView | None = None
        self._queue_rows = QueueRows()
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(1, weight=1)
        self._microphone = MicrophoneQuestion(self, api)
        self._build_header()
        self.playing = PlayingPanel(self, api, on_seek=None)
        self.playing.grid(row=1, column=0, sticky="nsew", padx=(px(24), px(12)), pady=(0, px(8)))
        controls = self.playing.controls
        controls.grid_columnconfigure((0, 2), weight=1)
        self.skip = IconButton(controls, "next", self._want_skip)
        self.make_volume(controls).grid(row=0, column=1)
        self.playing.make_spectrum_button(controls).grid(row=0, column=2, sticky="e")
        self._build_queue()
        self.bind("<Configure>", lambda event: self.fit(self.queue, event.width, *QUEUE_COLUMN), add="+")

    def on_state(self, state: SessionView) -> None:
        view, before = peer_view(state, self._queue_rows), self._view
        self._view = view
        if before is None or view.title != before.title:
            self._title.set(isolated(view.title))
        if before is None or (view.connection, view.connection_kind) != (before.connection, before.connection_kind):
            colour = theme.WARNING if view.connection_kind == "warning" else theme.TEXT_SECONDARY
            self._subtitle.set(view.connection, colour)
        if before is None or (view.chip_text, view.chip_kind) != (before.chip_text, before.chip_kind):
            self.chip.set(view.chip_text, view.chip_kind)
        if before is None or view.queue is not before.queue:
            self.show_queue(view.queue)
        if before is None or view.requests != before.requests:
            self._requests.show([_request_row(row) for row in view.requests])
        self._microphone.on_state(state)
        self.playing.show(state, view.now, view.sync, view.skip)
        if before is None or view.skip != before.skip:
            self._show_skip(view.skip)
        if before is None or view.rules_note != before.rules_note:
            self._show_rules(view.rules_note)

    def key(self, name: str) -> bool:
        if name == "add":
            self.ask()
        return name == "add" or super().key(name)

    def ask(self) -> None:
        """Let the user choose a song to request."""
        if path := self.api.ask_song():
            self.api.program.request(path)

    def _want_skip(self) -> None:
        if self._view is not None and self._view.now.file_id is not None:
            self.api.program.want_skip(self._view.now.file_id, not self._view.skip.wanted)

    def _show_skip(self, skip: SkipVote) -> None:
        self.skip.set_on(skip.wanted)
        self.skip.set_tooltip(tr("Take the vote back") if skip.wanted else tr("Vote for the next song"))
        if skip.can_vote:
            self.skip.grid(row=0, column=0, sticky="w")
        else:
            self.skip.grid_remove()

    def _show_rules(self, note: str) -> None:
        """Show below the button by which rules the host takes songs."""
        self._rules.set(note)
        if note:
            self._rules.pack(side="bottom", fill="x", pady=(px(8), 0), before=self.button)
        else:
            self._rules.pack_forget()

    def _build_header(self) -> None:
        head = ctk.CTkFrame(self, fg_color="transparent")
        head.grid(row=0, column=0, columnspan=2, sticky="ew", padx=px(24), pady=(px(16), px(12)))
        self.make_title(head)
        buttons = ctk.CTkFrame(head, fg_color="transparent")
        buttons.grid(row=0, column=1, rowspan=2, sticky="e")
        self.chip = Chip(buttons)
        self.chip.pack(side="left")
        self.chat = ChatButton(buttons, self.api)
        self.chat.pack(side="left", padx=(px(12), 0))
        IconButton(buttons, "settings", self.api.open_sound, tooltip=tr("Sound")).pack(side="left", padx=(px(4), 0))
        self.end = TextButton(buttons, tr("Leave jam"), lambda: self.api.leave(self.end))
        self.end.pack(side="left", padx=(px(12), 0))

    def _build_queue(self) -> None:
        panel = self._queue_panel = Panel(self, tr("Queue"))
        panel.grid(row=1, column=1, sticky="nsew", padx=(0, px(24)), pady=(0, px(8)))
        hint = tr("No songs yet. Ask the host for one with Request song.")
        self.queue = QueueList(
            panel.body,
            self.api.covers,
            menu=lambda ids: peer_menu(self.api.program, ids, copy=self.queue.copy),
            empty=(hint, None, None),
            on_vote=self.api.program.vote,
        )
        self.queue.pack(fill="both", expand=True)
        self.button = MainButton(panel.body, tr("Request song"), self.ask)
        self.button.pack(fill="x", pady=(px(12), 0), side="bottom")
        self._rules = Line(panel.body, theme.CAPTION, theme.TEXT_SECONDARY)
        self._requests = Requests(panel.body, self.button)
        self.requests = self._requests.list


def _request_row(row: RequestRow) -> Row:
    return Row(str(row.request_id), row.title, row.subtitle, right=row.duration_text, progress=row.progress)
