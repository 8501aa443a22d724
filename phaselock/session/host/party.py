"""The party of a host session: the rules, the guests and what they do.

caps.py says which songs a person may ask for, guests.py who is here. A peer asks by its messages; see session.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from phaselock.language.message import N_
from phaselock.model.party import PartyRules
from phaselock.model.snapshot import GuestPage
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session import guest_actions as g
from phaselock.session.effects import GuestRemoved, TellGuest
from phaselock.session.host.caps import Caps
from phaselock.session.host.guests import Guest, Guests
from phaselock.session.host.members import Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.outbox import Outbox

TOO_LARGE = N_("This file is too large to be shared.")
PartyCommand = c.SetRules | c.RemoveGuest | c.AllowGuest | c.UseFallback | c.VoteFor | c.WantSkip
"""The commands of the host's user that concern the party."""


class Party:
    """The session calls `settle` at the end of each of its calls. `now_ns` is session time."""

    def __init__(
        self,
        members: Members,
        queue: HostQueue,
        caps: Caps,
        requests: IncomingRequests,
        outbox: Outbox,
        host_name: str,
    ) -> None:
        self._queue = queue
        self._caps = caps
        self._requests = requests
        self._outbox = outbox
        self.guests = Guests(outbox, lambda: [host_name, *(member.name for member in members)])

    @property
    def rules(self) -> PartyRules:
        """The rules that hold now."""
        return self._caps.rules

    # -- from the host's user ----------------------------------------------------------------------------------------

    def command(self, command: PartyCommand, *, now_ns: int) -> None:
        """Execute a command of the host's user."""
        match command:
            case c.SetRules(rules=rules):
                self._set_rules(rules, now_ns)
            case c.RemoveGuest(guest_id=guest_id):
                guest = self.guests.remove(guest_id, now_ns=now_ns)
                if guest is not None:
                    self._requests.left(guest, now_ns=now_ns)
            case c.AllowGuest(name=name):
                self.guests.allow(name, now_ns=now_ns)

    # -- from the guests ---------------------------------------------------------------------------------------------

    def guest(self, guest_id: bytes, action: g.GuestAction, *, now_ns: int) -> None:
        """A guest does something. Everything but `GuestHere` is ignored while the guest is not known."""
        if self.guests.is_removed(guest_id):
            self._outbox.do(GuestRemoved(guest_id))
            return
        if isinstance(action, g.GuestHere):
            self.guests.here(guest_id, action, now_ns=now_ns)
            return
        guest = self.guests.known(guest_id)
        if guest is None:
            return
        match action:
            case g.GuestGone():
                self.guests.gone(guest, now_ns=now_ns)
            case g.GuestListens():
                self.guests.listens(guest, action)
            case g.GuestAsks():
                self._asks(guest, action, now_ns)
            case g.GuestWithdraws(request_id=request_id):
                self._requests.withdrawn(guest, request_id, "", now_ns=now_ns)

    def page(self, guest_id: bytes, *, now_ns: int) -> GuestPage | None:
        """What the session shows to this guest alone; None: it is not here."""
        guest = self.guests.known(guest_id)
        if guest is None:
            return None
        unfinished = [request.view() for request in self._requests.of(guest)]
        return GuestPage(
            name=guest.name,
            waiting=self._caps.waiting(guest.key) + len(unfinished),
            songs=frozenset(entry.track.file_id for entry in self._queue.rows.entries if entry.asker == guest.key),
            voted=frozenset(),
            wants_skip=False,
            requests=(*guest.shown(now_ns=now_ns), *unfinished),
        )

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Handle all deadlines that have passed."""
        self.guests.timer(now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which `timer` must be called."""
        yield from self.guests.deadlines_ns()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _set_rules(self, rules: PartyRules, now_ns: int) -> None:
        self._caps.rules = rules
        self._outbox.note(e.RulesChanged(now_ns, rules))
        if rules.accept:
            self._requests.accept_all(now_ns=now_ns)

    def _asks(self, guest: Guest, ask: g.GuestAsks, now_ns: int) -> None:
        if not 0 < ask.size <= m.MAX_FILE_BYTES:
            self._outbox.do(TellGuest(guest.guest_id, TOO_LARGE, ask.request_id))
            return
        duration_s = ask.duration_secs if math.isfinite(ask.duration_secs) else 0.0
        request = m.SongRequest(ask.request_id, ask.file_name, ask.size, ask.title, ask.artist, max(0.0, duration_s))
        self._requests.asked(guest, request, song_id=ask.song_id, now_ns=now_ns)
