"""The code of a session, and limits on guessing it.

An address has FREE_GUESSES, then one every GUESS_EVERY_NS. After MAX_GUESSES of all together the code opens
nothing any more, until the host's user changes it: of a million codes of six digits, one of 10,000 such attacks
succeeds. An exchange counts as a guess from its beginning, so that several at once have no advantage; it does not count
any more when it succeeds.
"""

from __future__ import annotations

import dataclasses
import hmac

from phaselock.language.message import N_
from phaselock.model.notices import Code, Notice
from phaselock.session.outbox import Outbox

FREE_GUESSES = 3
GUESS_EVERY_NS = 30_000_000_000
TOLD_GUESSES = 10
"""After this number of wrong codes the host's user is warned."""
MAX_GUESSES = 100

_GUEST = -1
"""Stands for the number of a connection: guests have none."""

WRONG_CODE = N_("The code is wrong.")
LATER = N_("Too many wrong codes came from here. Please wait half a minute.")
NEVER = N_("Too many wrong codes were tried. Ask the host for a new code.")


@dataclasses.dataclass(slots=True)
class _Guesses:
    number: int = 0
    last_ns: int = 0


class Door:
    """`now_ns` is session time; `conn` is the number of a connection."""

    wrong_code = WRONG_CODE
    """What a machine is told that does not know the code."""
    max_guesses = MAX_GUESSES

    def __init__(
        self, code: str, outbox: Outbox, *, guessed: Code = Code.CODE_GUESSED, void: Code = Code.CODE_VOID
    ) -> None:
        """`code` is in its normal form; empty: everybody may join. `guessed` and `void`: what the host's user is told
        of wrong codes."""
        self.code = code
        self._outbox = outbox
        self._guessed, self._void = guessed, void
        self._guesses: dict[str, _Guesses] = {}
        """By `_guesser`. At most `max_guesses` entries, because each stands for a guess."""
        self._total = 0
        self._told = 0
        """The number of guesses of which the host's user was told last."""
        self._guessing: set[int] = set()
        """Connections that have begun an exchange and not ended it."""
        self._paired: set[int] = set()
        """Connections that have proved the code."""

    def change(self, code: str) -> None:
        """The session has another code from now on, or none. Members stay."""
        self.code = code
        self._guesses.clear()
        self._guessing.clear()
        self._paired.clear()
        self._total = self._told = 0

    @property
    def guesses(self) -> int:
        """How many guesses count."""
        return self._total

    def inherit(self, code: str, guesses: int) -> None:
        """The code of the host before this one, and the guesses that count there."""
        self.change(code)
        self._total = self._told = guesses

    def begin(self, conn: int, ip: str, *, now_ns: int) -> str:
        """A machine wants to prove the code: a guess. Return why it may not; empty if it may."""
        guesser = self._guesser(ip)
        guesses = self._guesses.setdefault(guesser, _Guesses())
        if self._total >= self.max_guesses:
            refusal = NEVER
        elif guesses.number >= FREE_GUESSES and now_ns < guesses.last_ns + GUESS_EVERY_NS:
            refusal = LATER
        else:
            guesses.number, guesses.last_ns = guesses.number + 1, now_ns
            self._total += 1
            self._guessing.add(conn)
            return ""
        if not guesses.number:
            del self._guesses[guesser]
        return refusal

    def right(self, conn: int, ip: str) -> None:
        """The machine knows the code."""
        self._paired.add(conn)
        self._guessing.discard(conn)
        guesser = self._guesser(ip)
        if guesses := self._guesses.get(guesser):
            guesses.number -= 1
            self._total -= 1
            if not guesses.number:
                del self._guesses[guesser]

    def wrong(self, conn: int, *, now_ns: int) -> None:
        """The machine does not know the code, or has gone without showing that it does."""
        self._guessing.discard(conn)
        if self._total >= self.max_guesses > self._told:
            self._outbox.warn(Notice(self._void, number=self._total), now_ns)
        elif self._total >= TOLD_GUESSES > self._told:
            self._outbox.warn(Notice(self._guessed, number=self._total), now_ns)
        else:
            return
        self._told = self._total

    def attempt(self, code: str, ip: str, *, now_ns: int) -> str:
        """A guest of the host's page has typed this code, in its normal form. Return why it does not open; empty: it
        does. It counts as an attempt to join does."""
        if refusal := self.begin(_GUEST, ip, now_ns=now_ns):
            return refusal
        if not hmac.compare_digest(code.encode(), self.code.encode()):
            self.wrong(_GUEST, now_ns=now_ns)
            return WRONG_CODE
        self.right(_GUEST, ip)
        self._paired.discard(_GUEST)
        return ""

    def is_open_for(self, conn: int) -> bool:
        """Whether this connection may join."""
        return not self.code or self.has_proved(conn)

    def has_proved(self, conn: int) -> bool:
        """This connection has proved the code."""
        return conn in self._paired

    def closed(self, conn: int, *, now_ns: int) -> None:
        """The connection is over."""
        if conn in self._guessing:
            self.wrong(conn, now_ns=now_ns)
        self._paired.discard(conn)

    def _guesser(self, ip: str) -> str:
        """Whose guesses count together: by address, not by group, because the guesses of a neighbour must not count for
        the other machines of its network."""
        return ip
