"""The chat at the host: the newest messages to all, and how many of them people may write."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.model.names import chat_text, person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.party import PartyRules
from phaselock.model.snapshot import MAX_CHAT_LINES, ChatLine
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import Send, TellGuest
from phaselock.session.host.budgets import SECOND, Bucket
from phaselock.session.host.guests import Guest
from phaselock.session.host.members import Member, Members
from phaselock.session.outbox import Outbox
from phaselock.session.sentences import notice_text

OWN_LINES, OWN_LINE_EVERY_NS = 5, 3 * SECOND
"""How many messages one person may write at once, and the smallest mean interval between two."""
ALL_LINES, ALL_LINE_EVERY_NS = 30, SECOND // 2
"""The same for all people together, without the host."""
MAX_WRITERS = 256
"""Largest number of people whose limits are remembered."""
REFUSALS: dict[Code, m.ChatRefusal] = {
    Code.CHAT_OFF: "off",
    Code.CHAT_TOO_FAST: "too_fast",
    Code.CHAT_BUSY: "busy",
}
"""How a peer is told why its message is not told to all."""


class HostChat:
    """The chat of a host session. `rules` returns the present rules of the session."""

    def __init__(self, members: Members, outbox: Outbox, rules: Callable[[], PartyRules]) -> None:
        self._members = members
        self._outbox = outbox
        self._rules = rules
        self.lines: tuple[ChatLine, ...] = ()
        """The newest messages, the oldest first."""
        self._last_number = 0
        self._all = Bucket(ALL_LINES, ALL_LINE_EVERY_NS)
        self._own: dict[str, Bucket] = {}
        """The limits of the people by their keys (person_keys.py), which do not change with their names."""

    def history(self) -> m.ChatHistory | None:
        """What a new peer must know; None: nothing."""
        return m.ChatHistory(self.lines) if self.lines else None

    def inherit(self, lines: tuple[ChatLine, ...]) -> None:
        """The messages to all at the host before this one."""
        self.lines, self._last_number = lines, lines[-1].number if lines else 0

    def guest_says(self, guest: Guest, text: str, *, now_ns: int) -> None:
        """A guest writes to all."""
        refusal = self._take(guest.key, guest.name, text, now_ns)
        if refusal is not None:
            self._outbox.do(TellGuest(guest.guest_id, notice_text(Notice(refusal))))

    def member_says(self, member: Member, text: str, *, now_ns: int) -> None:
        """A peer writes to all."""
        refusal = self._take(member.key, member.name, text, now_ns)
        if refusal is not None:
            self._outbox.do(Send(member.conn, m.ChatRefused(REFUSALS[refusal])))

    def host_says(self, name: str, text: str, *, now_ns: int) -> None:
        """The host's user writes to all. Only the rules can forbid it."""
        if self._rules().chat:
            self._tell(name, text, now_ns)
        else:
            self._outbox.error(Notice(Code.CHAT_OFF), now_ns)

    def _take(self, key: str, name: str, text: str, now_ns: int) -> Code | None:
        if not self._rules().chat:
            return Code.CHAT_OFF
        own = self._bucket(key, now_ns)
        if not own.fits(now_ns):
            return Code.CHAT_TOO_FAST
        if not self._all.take(now_ns):
            return Code.CHAT_BUSY
        own.take(now_ns)
        self._tell(name, text, now_ns)
        return None

    def _bucket(self, key: str, now_ns: int) -> Bucket:
        if key not in self._own:
            if len(self._own) >= MAX_WRITERS:
                del self._own[min(self._own, key=lambda one: self._own[one].level_ns(now_ns))]
            self._own[key] = Bucket(OWN_LINES, OWN_LINE_EVERY_NS)
        return self._own[key]

    def _tell(self, name: str, text: str, now_ns: int) -> None:
        """Tell all machines. A text without a visible character is no message."""
        shown = chat_text(text)
        if not shown:
            return
        self._last_number += 1
        line = ChatLine(self._last_number, person_name(name), shown, now_ns)
        self.lines = (*self.lines, line)[-MAX_CHAT_LINES:]
        self._outbox.do(*self._members.broadcast(m.ChatSaid(line)))
        self._outbox.note(e.ChatSaid(now_ns, line.number, line.name, line.text))
