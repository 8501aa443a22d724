"""The guests of a session: people with the host's page open, and those that the host's user has removed.

The page's server checks which guest a message comes from. A guest keeps its songs and votes while its page is closed.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from uuid import UUID

from phaselock.language.message import N_
from phaselock.model.calibration import Confirmation
from phaselock.model.heritage import HeirGuest
from phaselock.model.names import distinct, person_name
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import GuestView, RequestView
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import Effect, GuestRemoved, TellGuest
from phaselock.session.guest_actions import GuestHere, GuestListens
from phaselock.session.host.budgets import SECOND, Bucket
from phaselock.session.host.requesters import Answer
from phaselock.session.outbox import Outbox
from phaselock.session.person_keys import GUEST_PREFIX, guest_key

MAX_GUESTS = 500
"""Largest number of guests that are remembered. Of those whose page is closed one is forgotten: the oldest one at the
address that has the most."""
MAX_REMOVED = 256
"""Largest number of removed guests that are remembered; the oldest ones are forgotten."""
MAX_FINISHED = 10
"""Largest number of finished requests that are shown to one guest."""
SHOWN_NS = 60_000_000_000
"""How long a finished request is shown to its guest."""
GONE_NS = 60_000_000_000
"""A guest whose page is closed for this time has left. A phone closes the page whenever its screen goes dark."""
PATIENCE_NS = 300_000_000_000
"""An upload of a guest without progress for this time is given up: the phone may sleep when the host accepts it."""
RENAMES, RENAME_EVERY_NS = 5, 20 * SECOND
"""How often a guest may change its name at once, and the smallest mean interval between two changes."""
OWN_ARRIVALS, OWN_ARRIVAL_EVERY_NS = 6, 20 * SECOND
"""How many guests of one address the host's user is told of at once, and the smallest mean interval between two."""
ALL_ARRIVALS, ALL_ARRIVAL_EVERY_NS = 60, 2 * SECOND
"""The same for all addresses."""
DECLINED = N_("The host has declined it.")
NAMELESS = N_("Guest")


@dataclasses.dataclass(slots=True)
class Guest:
    """A person who uses the host's page."""

    guest_id: bytes
    """16 bytes."""
    key: str
    """Of the person: see person_keys.py. Several guests at one address have the same one."""
    name: str
    asked_name: str
    """The name that the guest chose; `name` may have a number in addition."""
    heard_at_ns: int
    connected: bool = True
    listening: bool = False
    uncertainty_ns: int | None = None
    """How far the sound of its phone may be off; None: unknown."""
    confirmation: Confirmation | None = None
    """A microphone has heard the phone in time with the loudspeakers."""
    renames: Bucket = dataclasses.field(default_factory=lambda: Bucket(RENAMES, RENAME_EVERY_NS))
    told: bool = False
    """The host's user was told that it is here."""
    _finished: dict[UUID, tuple[RequestView, int]] = dataclasses.field(default_factory=dict)
    """Its finished requests, and until when they are shown; the oldest first."""

    @property
    def plays(self) -> bool:
        """Its phone plays the music."""
        return self.connected and self.listening

    # Guests ask for songs as peers do: see requesters.py.

    @property
    def patience_ns(self) -> int:
        return PATIENCE_NS

    def answer(self, answer: Answer) -> Effect | None:
        """Only a refusal needs a sentence: the page shows the state of each request."""
        if not isinstance(answer, m.SongRequestRejected):
            return None
        return TellGuest(self.guest_id, answer.reason or DECLINED, answer.request_id)

    def finished(self, request: RequestView, *, now_ns: int) -> None:
        """A request of this guest is over: show it for a while."""
        self._finished[request.request_id] = request, now_ns + SHOWN_NS
        for request_id in list(self._finished)[:-MAX_FINISHED]:
            del self._finished[request_id]

    def shown(self, *, now_ns: int) -> Iterator[RequestView]:
        """The finished requests that are still shown."""
        return (request for request, until_ns in self._finished.values() if now_ns < until_ns)

    def view(self) -> GuestView:
        """The guest as users see it."""
        return GuestView(
            self.guest_id, self.name, self.connected, self.listening, self.uncertainty_ns, self.confirmation
        )


class Guests:
    """All guests of a session. `taken`: the names of the host and the peers."""

    def __init__(self, outbox: Outbox, taken: Callable[[], Iterable[str]]) -> None:
        self._outbox = outbox
        self._taken = taken
        self._guests: dict[bytes, Guest] = {}
        self._removed: dict[bytes, Guest] = {}
        self._rows: dict[tuple[str, object], HeirGuest] | None = None
        """See `rows`; None: they have changed."""
        self._arrivals = Bucket(ALL_ARRIVALS, ALL_ARRIVAL_EVERY_NS)
        self._arrivals_of: dict[str, Bucket] = {}
        """By the key of the person."""

    def __iter__(self) -> Iterator[Guest]:
        return iter(list(self._guests.values()))

    @property
    def removed_names(self) -> tuple[str, ...]:
        """The names of the removed guests."""
        return tuple(guest.name for guest in self._removed.values())

    def views(self) -> tuple[GuestView, ...]:
        """The guests as users see them, those who have the page open first."""
        return tuple(guest.view() for guest in sorted(self, key=lambda one: not one.connected))

    def known(self, guest_id: bytes) -> Guest | None:
        """The guest with this id, or None."""
        return self._guests.get(guest_id)

    def is_removed(self, guest_id: bytes) -> bool:
        """The host's user has removed this guest."""
        return guest_id in self._removed

    # -- other hosts -------------------------------------------------------------------------------------------------

    def rows(self) -> Mapping[tuple[str, object], HeirGuest]:
        """All guests, for the next host: see estate.py."""
        if self._rows is None:
            known = [(one, False) for one in self._guests.values()] + [(one, True) for one in self._removed.values()]
            self._rows = {
                ("guests", one.guest_id): HeirGuest(one.guest_id, one.key, one.name, one.asked_name, removed)
                for one, removed in known
            }
        return self._rows

    def inherit(self, rows: Iterable[HeirGuest], *, now_ns: int) -> None:
        """The guests of the host before this one. They come back with their tokens."""
        for row in rows:
            if row.key.startswith(GUEST_PREFIX):
                names = person_name(row.name) or NAMELESS, person_name(row.asked_name) or NAMELESS
                guest = Guest(row.guest_id, row.key, *names, now_ns, connected=False)
                (self._removed if row.removed else self._guests)[row.guest_id] = guest
        self._rows = None

    # -- from the guests ---------------------------------------------------------------------------------------------

    def here(self, guest_id: bytes, action: GuestHere, *, now_ns: int) -> Guest | None:
        """The guest's page is open, and the guest calls itself by this name. Return the guest that is forgotten for a
        new one, or None."""
        forgotten = None
        asked_name = person_name(action.name) or NAMELESS
        guest = self._guests.get(guest_id)
        if guest is None:
            forgotten = self._make_room(now_ns)
            guest = self._guests[guest_id] = Guest(guest_id, guest_key(guest_id, action.address), "", "", now_ns)
        if guest.asked_name != asked_name and guest.renames.take(now_ns):
            others = (one.name for one in self if one is not guest)
            guest.name, guest.asked_name = distinct(asked_name, [*self._taken(), *others]), asked_name
            self._rows = None
        guest.heard_at_ns, guest.connected = now_ns, True
        if not guest.told and self._may_tell(guest.key, now_ns):
            guest.told = True
            self._outbox.note(e.GuestJoined(now_ns, guest_id.hex(), guest.name))
        return forgotten

    def give_way(self, name: str) -> None:
        """A peer has joined with this name: the guests whose names look like it get others."""
        for guest in self:
            if distinct(guest.name, [name]) != guest.name:
                others = (one.name for one in self if one is not guest)
                guest.name = distinct(guest.name, [*self._taken(), *others])
                self._rows = None

    def gone(self, guest: Guest, *, now_ns: int) -> None:
        """The guest's page was closed."""
        guest.connected = guest.listening = False
        guest.heard_at_ns = now_ns

    def listens(self, guest: Guest, action: GuestListens) -> None:
        """The guest's phone plays the music, or has stopped."""
        guest.listening, guest.uncertainty_ns = action.listening, action.uncertainty_ns
        if not action.listening or action.by_ear:
            guest.confirmation = None

    # -- from the host's user ----------------------------------------------------------------------------------------

    def remove(self, guest_id: bytes, *, now_ns: int) -> Guest | None:
        """Remove a guest and return it. If there is none: an `error` event, and None."""
        guest = self._guests.pop(guest_id, None)
        if guest is None:
            self._outbox.error(Notice(Code.NO_SUCH_GUEST), now_ns)
            return None
        self._removed[guest_id] = guest
        for old in list(self._removed)[:-MAX_REMOVED]:
            del self._removed[old]
        self._rows = None
        self._outbox.do(GuestRemoved(guest_id))
        self._outbox.note(e.GuestLeft(now_ns, guest_id.hex(), guest.name, removed=True))
        return guest

    def allow(self, name: str, *, now_ns: int) -> None:
        """Let the guests with this name in again. If there is none: an `error` event."""
        lifted = [guest_id for guest_id, one in self._removed.items() if one.name.casefold() == name.casefold()]
        for guest_id in lifted:
            del self._removed[guest_id]
            self._rows = None
        if not lifted:
            self._outbox.error(Notice(Code.GUEST_NOT_REMOVED, peer=name, peers=self.removed_names), now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Tell the host's user which guests have left."""
        for guest in self:
            if guest.told and not guest.connected and now_ns >= guest.heard_at_ns + GONE_NS:
                guest.told = False
                self._outbox.note(e.GuestLeft(now_ns, guest.guest_id.hex(), guest.name, removed=False))

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which `timer` must be called."""
        return (guest.heard_at_ns + GONE_NS for guest in self if guest.told and not guest.connected)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make_room(self, now_ns: int) -> Guest | None:
        if len(self._guests) < MAX_GUESTS:
            return None
        crowd = collections.Counter(guest.key for guest in self)
        oldest = min(self, key=lambda one: (one.connected, -crowd[one.key], one.heard_at_ns))
        del self._guests[oldest.guest_id]
        self._rows = None
        if oldest.told:
            self._outbox.note(e.GuestLeft(now_ns, oldest.guest_id.hex(), oldest.name, removed=False))
        return oldest

    def _may_tell(self, key: str, now_ns: int) -> bool:
        """Whether the host's user is told of one more guest of this person."""
        if key not in self._arrivals_of:
            if len(self._arrivals_of) >= MAX_GUESTS:
                del self._arrivals_of[min(self._arrivals_of, key=lambda one: self._arrivals_of[one].level_ns(now_ns))]
            self._arrivals_of[key] = Bucket(OWN_ARRIVALS, OWN_ARRIVAL_EVERY_NS)
        own = self._arrivals_of[key]
        return own.fits(now_ns) and self._arrivals.take(now_ns) and own.take(now_ns)
