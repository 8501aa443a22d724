"""The list of the queue, of the host and of a peer: it follows the current song, folds the played ones, and filters."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from phaselock.language.catalogue import tr, tr_plural
from phaselock.ui import theme
from phaselock.ui.viewmodel import QueueRow
from phaselock.ui.widgets.buttons import SecondaryButton
from phaselock.ui.widgets.covers import Covers, Key
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.menu import Items
from phaselock.ui.widgets.rows import Row, RowList

FOLD = "played"
"""Key of the row that stands for the played songs."""
VOTE = "vote"
"""Name of the action of a row that votes for its song, or takes the vote back."""
MIN_FOLDED = 2
_READ_PAUSE_MS = 80
"""Covers are read only after the list has stood still for this time."""
_RETRY_MS = 2000
"""Time between two requests for the covers of visible songs: their files may still be in transfer."""
_PICTURE = 40
_GAP = 8
"""Above and below the button that scrolls to the current song, in pixels of the design."""


class QueueList(RowList):
    """Songs by their ids. `on_open(id)`, `on_move(id, its new place in the queue)`, `on_remove(ids)`, `on_vote(id,
    whether the user wants it)`; `menu(ids)`: the menu of these songs. A list without `on_remove` cannot be changed."""

    def __init__(
        self,
        master: Any,
        covers: Covers,
        *,
        menu: Callable[[Sequence[UUID]], Items],
        empty: tuple[str, str | None, Callable[[], object] | None],
        on_open: Callable[[UUID], object] | None = None,
        on_move: Callable[[UUID, int], object] | None = None,
        on_remove: Callable[[Sequence[UUID]], object] | None = None,
        on_vote: Callable[[UUID, bool], object],
    ) -> None:
        self._covers = covers
        self._play, self._move_song, self._remove, self._vote = on_open, on_move, on_remove, on_vote
        self._queue: tuple[QueueRow, ...] = ()
        self._made: dict[str, tuple[QueueRow, Row]] = {}
        self._wanted_text = ""
        """What the rows must contain, in lower case."""
        self._empty_hint = empty
        self._unfolded = False
        self._following = True
        self._current: str | None = None
        self._visible: tuple[str, ...] = ()
        super().__init__(
            master,
            on_open=self._opened,
            on_action=self._acted,
            on_move=self._moved if on_move else None,
            on_delete=self._removed if on_remove else None,
            menu=lambda keys: menu(self._ids(keys)),
            picture_of=self._picture,
            empty=empty,
        )
        self._back = SecondaryButton(self, tr("Back to the current song"), self.follow)

    # -- contents ----------------------------------------------------------------------------------------------------

    def show_queue(self, queue: tuple[QueueRow, ...]) -> None:
        """Show these songs."""
        self._queue = queue
        self._arrange()

    def filter(self, text: str) -> int:
        """Show only the songs whose title, artist or peer contains the text; empty: all. Returns their number."""
        self._wanted_text = text.strip().casefold()
        hint, button, command = self._empty_hint
        self.set_empty(tr('No song with "{text}".').format(text=text.strip()) if self._wanted_text else hint)
        self.set_empty_button(*((None, None) if self._wanted_text else (button, command)))
        self._arrange()
        return len(self._matches())

    def offer(self, hint: str, button: str, command: Callable[[], object]) -> None:
        """While the queue is empty, show this text and button."""
        self._empty_hint = hint, button, command
        self.filter(self._wanted_text)

    def follow(self) -> None:
        """Show the current song, and every later one when it begins."""
        self._following = True
        self._see_current()
        self._show_back()

    def uncover(self) -> None:
        """Read the covers of the visible songs that are not known."""
        self._covers.request(self._cover_key(key) for key in self._visible if key != FOLD)
        if any(not self._covers.is_known(self._cover_key(key)) for key in self._visible if key != FOLD):
            self.later("covers", _RETRY_MS, self.uncover)

    def paint(self) -> None:
        super().paint()
        self._show_back()

    def _matches(self) -> list[QueueRow]:
        text = self._wanted_text
        return [row for row in self._queue if not text or text in f"{row.title} {row.subtitle}".casefold()]

    def _arrange(self) -> None:
        current = next((str(row.id) for row in self._queue if row.playing), None)
        rows = self._matches()
        folded = [] if self._wanted_text else self._folded(rows)
        shown = [] if len(folded) < MIN_FOLDED else [self._fold_row(len(folded))]
        hidden = frozenset(row.id for row in folded) if shown and not self._unfolded else frozenset()
        made, self._made = self._made, {}
        for row in self._queue:
            key = str(row.id)
            before = made.get(key)
            self._made[key] = before if before is not None and before[0] == row else (row, self._row(row))
        shown += [self._made[str(row.id)][1] for row in rows if row.id not in hidden]
        new = current != self._current
        self._current = current
        self.set_rows(shown)
        if new and self._following:
            self._see_current()
        self._show_back()

    def _folded(self, rows: Sequence[QueueRow]) -> list[QueueRow]:
        """The played songs before the current one, or all if none is current."""
        at = next((place for place, row in enumerate(rows) if row.playing), len(rows))
        return [row for row in rows[:at] if row.played]

    def _fold_row(self, count: int) -> Row:
        text = tr_plural("{number} played", "{number} played", count).format(number=count)
        return Row(FOLD, text, sign="open" if self._unfolded else "closed", dimmed=True, button=True)

    def _row(self, row: QueueRow) -> Row:
        changeable = self._remove is not None
        actions = []
        if row.can_vote:
            text = tr("Take the vote back") if row.voted else tr("Vote for this song")
            actions.append((VOTE, "voted" if row.voted else "vote", text))
        if changeable:
            actions.append(("remove", "close", tr("Remove from the queue")))
        return Row(
            str(row.id),
            row.title,
            row.status_text or row.subtitle,
            initial=row.initial,
            number=str(row.number),
            right=row.duration_text,
            progress=row.progress,
            playing=row.playing,
            dimmed=row.played,
            actions=tuple(actions),
            chip=(str(row.votes), theme.PRIMARY if row.voted else theme.TEXT) if row.votes else None,
            chip_sign="voted" if row.votes else "",
            tooltip=_votes_text(row),
            draggable=changeable and not self._wanted_text,
        )

    # -- following ---------------------------------------------------------------------------------------------------

    def user_scrolled(self) -> None:
        self._following = self._is_visible(self._current)
        self._show_back()

    def _see_current(self) -> None:
        """Scroll until the current song is below one other row at the top."""
        if self._current is not None and not self._wanted_text:
            self.see_at_top(self._current, rows_before=1)

    def _is_visible(self, key: str | None) -> bool:
        return key is None or key in self._visible

    def _show_back(self) -> None:
        """Show the button that scrolls to the current song while that is out of view."""
        away = bool(self._current) and not self._wanted_text and not self._is_visible(self._current)
        if away and not self._following:
            self._back.place(relx=0.5, rely=1.0, y=-theme.px(_GAP), anchor="s")
            self.cover_foot(self._back.winfo_reqheight() + 2 * theme.px(_GAP))
        else:
            self._back.place_forget()
            self.cover_foot(0)

    # -- covers ------------------------------------------------------------------------------------------------------

    def on_visible(self, keys: tuple[str, ...]) -> None:
        if keys != self._visible:
            self._visible = keys
            self.later("covers", _READ_PAUSE_MS, self.uncover)

    def _cover_key(self, key: str) -> Key:
        return self._made[key][0].id, theme.px(_PICTURE), True

    def _picture(self, key: str) -> tk.PhotoImage | None:
        return self._covers.image(self._cover_key(key)) if key in self._made else None

    # -- what the user does ------------------------------------------------------------------------------------------

    def _ids(self, keys: Sequence[str]) -> list[UUID]:
        return [self._made[key][0].id for key in keys if key in self._made]

    def _opened(self, key: str) -> None:
        if key == FOLD:
            self._unfolded = not self._unfolded
            self._arrange()
        elif self._play is not None:
            self._play(self._made[key][0].id)

    def _acted(self, key: str, action: str) -> None:
        if action == VOTE:
            row = self._made[key][0]
            self._vote(row.id, not row.voted)
        else:
            self._removed((key,))

    def _removed(self, keys: Sequence[str]) -> None:
        if self._remove is not None and (ids := self._ids(keys)):
            self._remove(ids)

    def _moved(self, key: str, to: int) -> None:
        """A row was moved to place `to` of the rows: the song goes before the song that is the next row then."""
        keys = [row.key for row in self.rows if row.key != key]
        keys.insert(to, key)
        following = next((self._made[one][0].id for one in keys[to + 1 :] if one != FOLD), None)
        order = [row.id for row in self._queue if str(row.id) != key]
        if self._move_song is not None and key in self._made:
            self._move_song(self._made[key][0].id, order.index(following) if following in order else len(order))


def _votes_text(row: QueueRow) -> str:
    """How many votes a song has, and at a host whose they are."""
    if not row.votes:
        return ""
    text = tr_plural("{number} vote", "{number} votes", row.votes).format(number=row.votes)
    return f"{text}: {', '.join(row.voters)}" if row.voters else text


class FindBar(tk.Frame):
    """A field above the queue: only the songs that contain its text are shown. Return gives the keyboard to the first
    of them, Escape closes the field."""

    def __init__(self, queue: QueueList, on_close: Callable[[], object]) -> None:
        ground = theme.behind(queue.master)
        super().__init__(queue.master, background=ground)
        self._queue, self._on_close = queue, on_close
        self._field = Field(self, tr("Find"), on_submit=self._enter, width=1)  # it must not widen the queue
        self._field.pack(fill="x")
        self._count = tk.Label(
            self, background=ground, foreground=theme.TEXT_SECONDARY, font=theme.canvas_font(theme.CAPTION), padx=0
        )
        self._count.place(relx=1.0, y=0, anchor="ne")
        self._field.entry.bind("<KeyRelease>", lambda _event: self._search(), add="+")
        self._field.entry.bind("<Key-Escape>", self._close, add="+")
        self._searched = ""

    def open(self) -> None:
        """Give it the keyboard, and select its text."""
        self._field.focus()

    def refresh(self) -> None:
        """The queue has changed: show how many of its songs match."""
        text = self._field.get()
        if text.strip():
            number = self._queue.filter(text)
            self._count.configure(text=tr_plural("{number} song", "{number} songs", number).format(number=number))
        else:
            self._count.configure(text="")

    def _search(self) -> None:
        text = self._field.get()
        if text != self._searched:
            self._searched = text
            self._queue.filter(text)
            self.refresh()

    def _enter(self) -> None:
        if self._queue.rows:
            first = self._queue.rows[0].key
            self._queue.select([first])
            self._queue.see(first)
            self._queue.focus_set()
            self._queue.by_keyboard()

    def _close(self, _event: object) -> str:
        self._queue.filter("")
        self._queue.focus_set()
        self._on_close()
        return "break"
