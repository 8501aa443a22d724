"""The panel with the messages of all people of the session, and the button that opens it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from phaselock.language.catalogue import tr, tr_plural
from phaselock.model.names import CHAT_CHARS, chat_text
from phaselock.model.snapshot import ChatLine
from phaselock.session import commands as c
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, SessionView
from phaselock.ui.screens.base import WindowApi
from phaselock.ui.screens.home import label
from phaselock.ui.screens.overlays import Overlay
from phaselock.ui.theme import px
from phaselock.ui.widgets.base import frame
from phaselock.ui.widgets.buttons import IconButton, SecondaryButton
from phaselock.ui.widgets.entry import Field
from phaselock.ui.widgets.messages import Messages, Shown
from phaselock.ui.widgets.raster import dot

BADGE_SIZE = 16
MAX_BADGE = 9
"""Largest number of messages that the button counts."""


class ChatOverlay(Overlay):
    """Takes the place of the queue, so that the player stays in view."""

    beside = True

    def __init__(self, master: Any, api: WindowApi, on_close: Callable[[], None]) -> None:
        super().__init__(master, tr("Chat"), on_close)
        self.panel.place(relx=0, rely=0, relwidth=1, relheight=1, anchor="nw")
        self._api = api
        self._lines: tuple[ChatLine, ...] | None = None
        self._times: dict[int, str] = {}
        """When each message was written, by its number."""
        self._is_on: bool | None = None
        self._line = frame(self.body)
        self._line.grid_columnconfigure(0, weight=1)
        self.field = Field(
            self._line, "", placeholder=tr("Message to all"), on_submit=self.send, on_change=self._keep, width=1
        )
        self.field.grid(row=0, column=0, sticky="ew")
        self.button = IconButton(self._line, "send", self.send, tooltip=tr("Send (Enter)"))
        self.button.grid(row=0, column=1, sticky="n", padx=(px(4), 0), pady=(px(2), 0))
        self._off = frame(self.body)
        self._off_note = self._note(self._off, tr("The chat is switched off in this jam."))
        self._off_note.pack(fill="x")
        self.switch_on = SecondaryButton(self._off, tr("Switch on"), self._switch_on)
        self.messages = Messages(self.body)
        self.messages.pack(side="bottom", fill="both", expand=True)
        hint = tr("No messages yet. What you write here is shown to all people in this jam.")
        self._empty = self._note(self.body, hint)
        self.body.bind("<Configure>", lambda event: self._wrap(event.width), add="+")
        if api.chat.draft:
            self.field.set(api.chat.draft)
        api.chat.set_open(True)
        state = api.program.state()
        if state is not None:
            if state.hosting:
                self.switch_on.pack(anchor="w", pady=(px(8), 0))
            self.on_state(state)

    def destroy(self) -> None:
        self._api.chat.set_open(False)
        super().destroy()

    def focus_set(self) -> None:
        """The keyboard goes to the field, once that is visible."""
        self.after_idle(self.field.focus if self._is_on else self.messages.text.focus_set)

    def on_event(self, event: BackendEvent) -> None:
        if not self.field.get() and self._api.chat.draft:  # the last message could not be told
            self.field.set(self._api.chat.draft)

    def on_state(self, state: SessionView) -> None:
        snapshot = state.snapshot
        if snapshot.rules.chat is not self._is_on:
            self._is_on = snapshot.rules.chat
            self._line.pack_forget()
            self._off.pack_forget()
            below = self._line if self._is_on else self._off
            below.pack(side="bottom", fill="x", pady=(px(12), 0), before=self.messages)
        if snapshot.chat != self._lines:
            self._lines = snapshot.chat
            self._show(snapshot.chat, snapshot.display_name)

    def send(self) -> None:
        """Send what the user has typed."""
        text = self.field.get()
        if not chat_text(text):
            return
        if len(text.strip()) > CHAT_CHARS:
            self.field.set_error(tr("A message has at most {number} characters.").format(number=CHAT_CHARS))
            return
        self._api.chat.sent(text)
        self._api.program.say(text)
        self.field.set("")

    def _show(self, lines: tuple[ChatLine, ...], own_name: str) -> None:
        session_ns = self._api.program.session_ns()
        for line in lines:
            if session_ns is not None and line.number not in self._times:
                self._times[line.number] = _time_text((session_ns - line.session_ns) / 1e9)
        shown = []
        before = ("", "")
        for line in lines:
            at = line.name, self._times.get(line.number, "")
            own = line.name == own_name
            name = (tr("You") if own else line.name) if at != before else ""
            shown.append(Shown(line.number, name, at[1], line.text, own))
            before = at
        self.messages.set(shown)
        if lines:
            self._empty.pack_forget()
        else:
            self._empty.pack(side="top", anchor="w", before=self.messages)

    def _keep(self) -> None:
        self._api.chat.draft = self.field.get()

    def _switch_on(self) -> None:
        state = self._api.program.state()
        if state is not None:
            self._api.program.command(c.SetRules(dataclasses.replace(state.snapshot.rules, chat=True)))

    def _note(self, master: Any, text: str) -> Any:
        note = label(master, text, theme.SECONDARY, theme.TEXT_SECONDARY)
        note.configure(anchor="w")
        return note

    def _wrap(self, width: int) -> None:
        for note in (self._off_note, self._empty):
            note.configure(wraplength=max(width, 1))


class ChatButton(IconButton):
    """Opens and closes the chat; a badge counts the messages that were not read."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        self._chat = api.chat
        self._badge = self._number = 0
        super().__init__(master, "chat", api.open_chat)
        size = px(BADGE_SIZE)
        middle = self.winfo_reqwidth() - size / 2, size / 2
        font = theme.canvas_font(theme.CAPTION, True)
        self._badge = self.create_image(*middle, image=self.hold("badge", dot(size, theme.PRIMARY, self.ground)))
        self._number = self.create_text(*middle, font=font, fill=theme.ON_PRIMARY)
        self._chat.watch(self._refresh)
        self._refresh()

    def destroy(self) -> None:
        self._chat.unwatch(self._refresh)
        super().destroy()

    def _refresh(self) -> None:
        unread = self._chat.unread
        self.set_on(self._chat.is_open)
        state = "normal" if unread else "hidden"
        self.itemconfigure(self._badge, state=state)
        self.itemconfigure(self._number, state=state, text=str(unread) if unread <= MAX_BADGE else f"{MAX_BADGE}+")
        news = tr_plural("Chat: {number} new message", "Chat: {number} new messages", unread).format(number=unread)
        self.set_tooltip(news if unread else tr("Chat"))


def _time_text(age_s: float) -> str:
    return time.strftime("%H:%M", time.localtime(time.time() - max(age_s, 0.0)))
