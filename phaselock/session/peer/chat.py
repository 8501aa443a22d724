"""The chat at a peer: the newest messages to all, as the host has told them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from phaselock.model.names import chat_text, person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import MAX_CHAT_LINES, ChatLine
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import HOST_CONN, Send
from phaselock.session.outbox import Outbox
from phaselock.session.peer.breach import Breach

REFUSALS: dict[m.ChatRefusal, Code] = {
    "off": Code.CHAT_OFF,
    "too_fast": Code.CHAT_TOO_FAST,
    "busy": Code.CHAT_BUSY,
}


class PeerChat:
    """The chat of a peer session. `now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, session_ns: Callable[[int], int | None]) -> None:
        self._outbox = outbox
        self._session_ns = session_ns
        self.lines: tuple[ChatLine, ...] = ()
        """The newest messages, the oldest first."""
        self._known: frozenset[tuple[str, str, int]] = frozenset()
        """Messages that the host before this one has told."""
        self._was_away = False
        """The host is heard again: lines of its history were missed."""

    def say(self, text: str, *, connected: bool, now_ns: int) -> None:
        """The peer's user writes to all. An `error` event reports that the host is not connected."""
        shown = chat_text(text)
        if not connected:
            self._outbox.error(Notice(Code.NOT_CONNECTED), self._session_ns(now_ns))
        elif shown:
            self._outbox.do(Send(HOST_CONN, m.ChatSay(shown)))

    def joined(self, *, again: bool) -> None:
        """The host has accepted this peer; `again`: after an absence."""
        self._was_away = again

    def moved(self) -> None:
        """Another machine is the host: its messages have their own numbers."""
        self._known = frozenset((line.name, line.text, line.session_ns) for line in self.lines)
        self.lines = ()

    def said(self, line: ChatLine) -> None:
        """The host has told a message. Breach if its number does not grow."""
        if line.number <= self._last_number:
            raise Breach("the numbers of messages do not grow")
        self._append(line, is_news=True)

    def history(self, lines: Sequence[ChatLine]) -> None:
        """The host has told the newest messages, some of which may be known. Breach if the numbers do not grow."""
        numbers = [line.number for line in lines]
        if numbers != sorted(set(numbers)):
            raise Breach("the numbers of messages do not grow")
        for line in lines:
            if line.number > self._last_number:
                self._append(line, is_news=self._was_away or bool(self._known))

    def refused(self, why: m.ChatRefusal, *, now_ns: int) -> None:
        """The host does not tell the message of this peer's user."""
        self._outbox.error(Notice(REFUSALS[why]), self._session_ns(now_ns))

    @property
    def _last_number(self) -> int:
        return self.lines[-1].number if self.lines else 0

    def _append(self, line: ChatLine, *, is_news: bool) -> None:
        line = dataclasses.replace(line, name=person_name(line.name), text=chat_text(line.text))
        self.lines = (*self.lines, line)[-MAX_CHAT_LINES:]
        if is_news and (line.name, line.text, line.session_ns) not in self._known:
            self._outbox.note(e.ChatSaid(line.session_ns, line.number, line.name, line.text))
