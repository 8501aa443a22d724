"""What the machines at one address may cost the others: messages, joins, reports to the host's user, and silence.

A budget belongs to a group of addresses and not to a membership: a machine that leaves and joins again keeps it. One
IPv6 machine has all addresses of a /64. Several machines may share a group: behind a NAT, on one computer, or in one
IPv6 network. So the limits suffice for a whole session, and grow with the number of its places. A member that is quiet
itself is not removed because of the others of its group; see `Member.hear`.
"""

from __future__ import annotations

from phaselock.model.address import address_group
from phaselock.model.group import DEFAULT_PEERS

SECOND = 1_000_000_000

MAX_MESSAGES = 2000
"""Largest number of messages that one machine may send at once: about one answer for each file of a full queue."""
MESSAGE_EVERY_NS = 20_000_000
"""Smallest mean interval between two messages of one machine, or of one group in a session of DEFAULT_PEERS places. The
same intervals below are shorter in a session of more places."""
QUIET_MESSAGES = 100
"""A member that has sent less than this at once is not removed because its group has sent too much."""
MAX_JOINS = 30
"""Largest number of joins of one group at once, for DEFAULT_PEERS places. A lost member that returns counts, too."""
JOIN_EVERY_NS = 2 * SECOND
"""Smallest mean interval between two joins of one group."""
MAX_REPORTS = 30
"""Largest number of events that one group may cause at once with outputs, clocks and files that fail, for DEFAULT_PEERS
places."""
REPORT_EVERY_NS = SECOND
"""Smallest mean interval between two such events."""
MAX_SILENCE_NS = 120 * SECOND
"""How long nothing may play at once because playback waits for one group."""
SILENCE_SHARE = 10
"""In the long run nothing plays for one part in this number of the time, because playback waits for one group."""
FORGOTTEN_NS = 120 * SECOND
"""After this time a machine that comes back has all the time for its files again."""
MAX_BUDGETS = 256
"""Largest number of groups that are remembered."""


class Bucket:
    """A leaky bucket: each unit fills it by `every_ns`, and time empties it. `size` units fit into it."""

    def __init__(self, size: int, every_ns: int) -> None:
        self.size = size
        """In units."""
        self._size_ns = size * every_ns
        self._every_ns = every_ns
        self._empty_at_ns = 0
        """The time at which it is empty, if nothing follows."""

    def level_ns(self, now_ns: int) -> int:
        """How long it takes to empty it."""
        return max(self._empty_at_ns - now_ns, 0)

    def units(self, now_ns: int) -> float:
        """How much is in it."""
        return self.level_ns(now_ns) / self._every_ns

    def fits(self, now_ns: int) -> bool:
        """One more unit fits into it."""
        return self.level_ns(now_ns) + self._every_ns <= self._size_ns

    def take(self, now_ns: int) -> bool:
        """Add one unit. False, and no change, if it does not fit."""
        if not self.fits(now_ns):
            return False
        self._empty_at_ns = max(self._empty_at_ns, now_ns) + self._every_ns
        return True


class Budget:
    """The budget of one group of addresses, in a session of this number of places."""

    def __init__(self, places: int = DEFAULT_PEERS) -> None:
        places = max(places, DEFAULT_PEERS)

        def bucket(size: int, every_ns: int) -> Bucket:
            return Bucket(size * places // DEFAULT_PEERS, every_ns * DEFAULT_PEERS // places)

        self.messages = bucket(MAX_MESSAGES * DEFAULT_PEERS, MESSAGE_EVERY_NS)
        self.joins = bucket(MAX_JOINS, JOIN_EVERY_NS)
        self.reports = bucket(MAX_REPORTS, REPORT_EVERY_NS)
        self._owes: tuple[int, int] | None = None
        """Since when a member that has left had received no file, and when it has left."""
        self._silent_ns = 0
        self._silent_at_ns = 0
        """The silence so far, less what is forgiven, as it was at this time."""

    def left(self, owes_since_ns: int | None, *, now_ns: int) -> None:
        """A member has left that had received no file for that time; None: it had received all."""
        self._owes = None if owes_since_ns is None else (owes_since_ns, now_ns)

    def owes_since_ns(self, now_ns: int) -> int | None:
        """For a new member: since when the last one had received no file. None also if it has left long ago."""
        return self._owes[0] if self._owes is not None and now_ns - self._owes[1] < FORGOTTEN_NS else None

    def silence(self, from_ns: int, to_ns: int) -> None:
        """Nothing played from then on until then because of this group."""
        self._silent_ns = MAX_SILENCE_NS - self.remaining_silence_ns(from_ns) + to_ns - from_ns
        self._silent_at_ns = to_ns

    def remaining_silence_ns(self, now_ns: int) -> int:
        """How much longer nothing may play because of this group; not negative."""
        forgiven_ns = (now_ns - self._silent_at_ns) // SILENCE_SHARE
        return MAX_SILENCE_NS - min(max(self._silent_ns - forgiven_ns, 0), MAX_SILENCE_NS)

    def used_until_ns(self, now_ns: int) -> int:
        """From then on it is as good as a new one, if nothing follows."""
        buckets = (self.messages, self.joins, self.reports)
        silence_ns = (MAX_SILENCE_NS - self.remaining_silence_ns(now_ns)) * SILENCE_SHARE
        return now_ns + max(silence_ns, *(bucket.level_ns(now_ns) for bucket in buckets))


class Budgets:
    """The budgets of all groups of a session of this number of places."""

    def __init__(self, places: int = DEFAULT_PEERS) -> None:
        self._places = places
        self._budgets: dict[str, Budget] = {}

    def of(self, ip: str, *, now_ns: int) -> Budget:
        """The budget of this address. With too many of them, the one is forgotten that is used least."""
        group = address_group(ip)
        if group not in self._budgets:
            if len(self._budgets) >= MAX_BUDGETS:
                del self._budgets[min(self._budgets, key=lambda one: self._budgets[one].used_until_ns(now_ns))]
            self._budgets[group] = Budget(self._places)
        return self._budgets[group]
