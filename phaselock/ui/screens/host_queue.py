"""The host's queue: its menu, saving it as a playlist, and the offer of the last queue."""

from __future__ import annotations

import re
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from phaselock.language.catalogue import tr, tr_plural
from phaselock.session import commands as c
from phaselock.ui.backend import BackendEvent, LastQueue, QueueSaved
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.queue import QueueList
from phaselock.ui.screens.queue_menu import host_menu
from phaselock.ui.widgets.menu import popup

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')
"""Characters that the name of a file cannot have on one of the platforms."""


class HostQueue(QueueList):
    """`on_remove(ids)` removes songs."""

    def __init__(self, master: Any, api: WindowApi, on_remove: Callable[[Sequence[UUID]], object]) -> None:
        self._api = api
        self._no_songs = tr("No songs yet. Add music files, folders or playlists.")
        if api.can_drop:
            self._no_songs = tr("No songs yet. Add music files, folders or playlists, or drop them here.")
        command = api.program.command
        super().__init__(
            master,
            api.covers,
            menu=lambda ids: host_menu(api.program, ids, remove=lambda: on_remove(ids), copy=self.copy),
            empty=(self._no_songs, None, None),
            on_open=lambda file_id: command(c.Play(file_id)),
            on_move=lambda file_id, to: command(c.Move(file_id, to)),
            on_remove=on_remove,
            on_vote=api.program.vote,
        )
        api.program.read_last_queue()

    def on_event(self, event: BackendEvent) -> None:
        """The last queue was read, or this one was saved."""
        match event:
            case LastQueue(paths=paths) if paths:
                had = tr_plural("The last queue had {number} song.", "The last queue had {number} songs.", len(paths))
                text = f"{self._no_songs}\n\n{had.format(number=len(paths))}"
                self.offer(text, tr("Add the last queue"), lambda: self._api.program.add(paths))
            case QueueSaved(problem="", songs=number):
                saved = tr_plural("Saved {number} song in {file_name}.", "Saved {number} songs in {file_name}.", number)
                self._api.show_toast(saved.format(number=number, file_name=event.file_name))
            case QueueSaved(problem=problem):
                self._api.show_toast(problem, "error")

    def save(self) -> None:
        """Let the user choose a file, and save the queue there as a playlist."""
        state = self._api.program.state()
        if state is None or not state.snapshot.queue:
            self._api.show_toast(tr("Add songs first."))
            return
        name = _NOT_IN_NAMES.sub("-", state.snapshot.session_name).strip(" .-") or "playlist"
        if path := self._api.ask_save(f"{name}.m3u8", tr("Save as a playlist")):
            self._api.program.save_queue(path)

    def open_list_menu(self, header: tk.Misc, find: Callable[[], object]) -> None:
        """Open the menu of the whole queue below the header of its panel."""
        items = [
            (tr("Find"), find),
            (tr("Save as a playlist"), self.save),
            (tr("Loudness and crossfade"), self._api.open_songs),
            (tr("Party rules"), self._api.open_rules),
        ]
        popup(header, items, header.winfo_width() // 2, header.winfo_height())
