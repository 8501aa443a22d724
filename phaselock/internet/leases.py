"""The ports that a router opens by PCP or NAT-PMP: asks for them, repeats, renews and removes. No input or output.

All times are seconds of one monotonic clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from phaselock.internet.pcp import Answer, Dialect, Result, Transport

LEASE_S = 120
"""Asked for. A router forgets the ports of a computer that was switched off after this time."""
LOOK_INTERVAL_S = 10.0
"""Between questions whether the router was restarted or has another address outside."""
MIN_RENEW_S = 2.0
"""A router that gives shorter leases is not asked more often."""
REPEAT_S = (0.25, 0.5, 1.0)
"""The wait for an answer after the first, second and third request."""
_EPOCH_SLACK_S = 2

Wanted = Mapping[Transport, tuple[int, int]]
"""Our port, and the public port that is wanted."""


@dataclasses.dataclass(slots=True)
class _Question:
    next_s: float
    sent: int = 0


class Leases:
    """The ports of one computer at one router."""

    def __init__(self, dialect: Dialect, wanted: Wanted, now_s: float) -> None:
        self._dialect = dialect
        self._wanted = wanted
        self._questions: dict[Transport | None, _Question] = {one: _Question(now_s) for one in wanted}
        """None: the look."""
        if dialect.tells_address_with_look:
            self._questions[None] = _Question(now_s)
        self._outer: dict[Transport, int] = {}
        self._address = ""
        self._look_s = now_s + LOOK_INTERVAL_S
        self._renew_s = float("inf")
        self._epoch: tuple[int, float] | None = None
        """What the router said, and when."""
        self._ending = False
        self.failure: Result | None = None
        """Why it is of no use, if it is. `is_silent` tells the same of a router that does not answer."""
        self.is_silent = False

    @property
    def has_failed(self) -> bool:
        return self.is_silent or self.failure is not None

    @property
    def is_complete(self) -> bool:
        """Whether all wanted ports are open, at a known address."""
        return self._outer.keys() == self._wanted.keys() and self.address != ""

    @property
    def has_ended(self) -> bool:
        """After `end`: whether all ports are removed, or the router does not answer."""
        return self._ending and (self.has_failed or not self._questions)

    @property
    def address(self) -> str:
        """The public address; empty: not known. After a failure: the one that the router told with it."""
        return self._address

    def outer(self, transport: Transport) -> int:
        """The public port; 0: none."""
        return self._outer.get(transport, 0)

    @property
    def next_s(self) -> float:
        """When `due` must be called."""
        if self.has_failed or self.has_ended:
            return float("inf")
        times = [one.next_s for one in self._questions.values()]
        return min(times if self._ending else [*times, self._look_s, self._renew_s], default=float("inf"))

    def due(self, now_s: float) -> list[bytes]:
        """The packets to send now."""
        if self.has_failed:
            return []
        if not self._ending:
            if now_s >= self._look_s:
                self._look_s = now_s + LOOK_INTERVAL_S
                self._questions.setdefault(None, _Question(now_s))
            if now_s >= self._renew_s:
                self._renew(now_s)
        packets = []
        for about, question in self._questions.items():
            if now_s < question.next_s:
                continue
            if question.sent == len(REPEAT_S):
                self.is_silent = True
                return []
            question.next_s = now_s + REPEAT_S[question.sent]
            question.sent += 1
            packets.append(self._packet(about))
        return packets

    def receive(self, packet: bytes, now_s: float) -> None:
        """A packet from the router."""
        answer = self._dialect.parse(packet)
        if answer is None or self.has_failed or answer.transport not in (None, *self._wanted):
            return
        if answer.transport is not None and answer.inner not in (0, self._wanted[answer.transport][0]):
            return
        if self._ending:
            if answer.result != Result.OK or answer.lifetime_s == 0:
                self._questions.pop(answer.transport, None)
            return
        if answer.result != Result.OK:
            self.failure = answer.result
            self._address = answer.address or self._address
            return
        self._learn_epoch(answer.epoch_s, now_s)
        if answer.transport is None:
            self._questions.pop(None, None)
            self._address = answer.address or self._address
        elif answer.outer and answer.lifetime_s:
            self._grant(answer.transport, answer, now_s)
        else:
            self.failure = Result.FAILED

    def give_up(self) -> None:
        """The router has no such port."""
        self.is_silent = True

    def end(self, now_s: float) -> None:
        """Remove the ports."""
        self._ending = True
        self._questions = {one: _Question(now_s) for one in self._wanted}

    def _packet(self, about: Transport | None) -> bytes:
        if about is None:
            return self._dialect.look()
        inner, outer = self._wanted[about]
        lifetime_s = 0 if self._ending else LEASE_S
        return self._dialect.map(about, inner, self._outer.get(about, outer), lifetime_s)

    def _grant(self, transport: Transport, answer: Answer, now_s: float) -> None:
        self._questions.pop(transport, None)
        self._outer[transport] = answer.outer
        self._address = answer.address or self._address
        renew_s = now_s + max(min(answer.lifetime_s, LEASE_S) / 2, MIN_RENEW_S)
        # One of the ports may have a shorter lease. The time for the ports that were renewed earlier is over.
        self._renew_s = renew_s if self._renew_s <= now_s else min(self._renew_s, renew_s)

    def _renew(self, now_s: float) -> None:
        self._renew_s = float("inf")
        for transport in self._wanted:
            self._questions.setdefault(transport, _Question(now_s))

    def _learn_epoch(self, epoch_s: int, now_s: float) -> None:
        """Ask again for everything if the router has lost its mappings since its last answer (RFC 6887, 8.5)."""
        before, self._epoch = self._epoch, (epoch_s, now_s)
        if before is None:
            return
        theirs, ours = epoch_s - before[0], now_s - before[1]
        fits = theirs >= -1 and ours + _EPOCH_SLACK_S >= theirs * 15 / 16 and theirs + _EPOCH_SLACK_S >= ours * 15 / 16
        if not fits:
            self._renew(now_s)
