"""Whose request is handled next, and when: the time that guests may take on the network thread.

A command of the host's user waits at most for the one request that is handled when it arrives, however many wait. The
addresses take turns, so that one of them cannot delay the others. A connection is not read while it waits.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from phaselock.guests.limits import Bucket

SHARE = 0.1
"""Share of the network thread's time for requests and messages, about: reading the bytes is not counted."""
SPAN_S = 0.02
"""The share is kept over every span that is much longer than this."""

Work = Callable[[], bool]
"""Handles one request or message. Returns whether it wants another turn."""


class Turns:
    """One line for each address. The first of a line has its turn, then the first of the next line."""

    def __init__(self, now_s: Callable[[], float], later: Callable[[float, Callable[[], None]], object]) -> None:
        """`later(pause_s, function)` calls the function once after this time, and not before it returns."""
        self._now_s = now_s
        self._later = later
        self._time_s = Bucket(SHARE, SHARE * SPAN_S)
        self._lines: collections.OrderedDict[str, collections.deque[Work]] = collections.OrderedDict()
        """By address, the one whose turn it is first. None is empty."""
        self._is_due = False
        """The next turn is planned."""

    def line_up(self, ip: str, work: Work) -> None:
        """Call `work` when its turn comes."""
        self._lines.setdefault(ip, collections.deque()).append(work)
        self._plan(0.0)

    def counted(self, work: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """What a request has begun: the time that its steps take is missing from the next turns."""
        return _Counted(work, self._now_s, self._plan)

    def _plan(self, spent_s: float) -> None:
        pause_s = self._time_s.spend(spent_s, self._now_s())
        if self._lines and not self._is_due:
            self._is_due = True
            self._later(pause_s, self._turn)

    def _turn(self) -> None:
        began_s = self._now_s()
        ip, line = self._lines.popitem(last=False)
        work = line.popleft()
        if line:
            self._lines[ip] = line
        try:
            if work():
                self._lines.setdefault(ip, collections.deque()).append(work)
        finally:
            self._is_due = False
            self._plan(self._now_s() - began_s)


class _Counted:
    """Waits for a coroutine, and tells how much time each of its steps takes."""

    def __init__(
        self, work: Coroutine[Any, Any, None], now_s: Callable[[], float], spent: Callable[[float], None]
    ) -> None:
        self._work = work
        self._now_s = now_s
        self._spent = spent

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = functools.partial(self._work.send, None)
        while True:
            began_s = self._now_s()
            try:
                waits_for = step()
            except StopIteration:
                return
            finally:
                self._spent(self._now_s() - began_s)
            try:
                yield waits_for
            except BaseException as error:  # the task is cancelled, or what it waits for has failed
                step = functools.partial(self._work.throw, error)
            else:
                step = functools.partial(self._work.send, None)
