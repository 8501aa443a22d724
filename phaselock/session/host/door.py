"""The code of a session, and limits on guessing it.

A group of addresses has FREE_GUESSES, then one every GUESS_EVERY_NS. After MAX_GUESSES of all together the code opens
nothing any more, until the host's user changes it: of a million codes of six digits, one of 10,000 such attacks
succeeds. An exchange counts as a guess from its beginning, so that several at once have no advantage; it does not count
any more when it succeeds.
"""

from __future__ import annotations

import dataclasses

from phaselock.language.message import N_
from phaselock.model.notices import Code, Notice
from phaselock.session.outbox import Outbox

FREE_GUESSES = 3
GUESS_EVERY_NS = 30_000_000_000
TOLD_GUESSES = 10
"""After this number of wrong codes the host's user is warned."""
MAX_GUESSES = 100

WRONG_CODE = N_("The code is wrong.")
LATER = N_("Too many wrong codes came from here. Please wait half a minute.")
NEVER = N_("Too many wrong codes were tried. Ask the host for a new code.")


@dataclasses.dataclass(slots=True)
class _Guesses:
    number: int = 0
    last_ns: int = 0


class Door:
    """`now_ns` is session time; `group` stands for the addresses of one machine."""

    def __init__(self, code: str, outbox: Outbox) -> None:
        """`code` is in its normal form; empty: everybody may join."""
        self.code = code
        self._outbox = outbox
        self._guesses: dict[str, _Guesses] = {}
        """At most MAX_GUESSES entries, because each stands for a guess."""
        self._total = 0
        self._paired: set[int] = set()
        """Connections that have proved the code."""

    def change(self, code: str) -> None:
        """The session has another code from now on, or none. Members stay."""
        self.code = code
        self._guesses.clear()
        self._paired.clear()
        self._total = 0

    def begin(self, group: str, *, now_ns: int) -> str:
        """A machine wants to prove the code: a guess. Return why it may not; empty if it may."""
        guesses = self._guesses.setdefault(group, _Guesses())
        if self._total >= MAX_GUESSES:
            refusal = NEVER
        elif guesses.number >= FREE_GUESSES and now_ns < guesses.last_ns + GUESS_EVERY_NS:
            refusal = LATER
        else:
            guesses.number, guesses.last_ns = guesses.number + 1, now_ns
            self._total += 1
            return ""
        if not guesses.number:
            del self._guesses[group]
        return refusal

    def right(self, conn: int, group: str) -> None:
        """The machine knows the code."""
        self._paired.add(conn)
        if guesses := self._guesses.get(group):
            guesses.number -= 1
            self._total -= 1
            if not guesses.number:
                del self._guesses[group]

    def wrong(self, *, now_ns: int) -> None:
        """The machine does not know the code."""
        if self._total == MAX_GUESSES:
            self._outbox.warn(Notice(Code.CODE_VOID, number=self._total), now_ns)
        elif self._total == TOLD_GUESSES:
            self._outbox.warn(Notice(Code.CODE_GUESSED, number=self._total), now_ns)

    def is_open_for(self, conn: int) -> bool:
        """Whether this connection may join."""
        return not self.code or conn in self._paired

    def closed(self, conn: int) -> None:
        """The connection is over, or belongs to a member."""
        self._paired.discard(conn)
