"""The party of a host session: the rules, the guests, the votes, and the order of the songs that wait.

caps.py says which songs a person may ask for, guests.py who is here, and fair_order.py in which order the songs play.
A peer asks and votes by its messages; see session.py.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.language.message import N_
from phaselock.model.notices import Code, Notice
from phaselock.model.party import Order, PartyRules
from phaselock.model.snapshot import GuestPage, SkipView, VotesView
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session import guest_actions as g
from phaselock.session.effects import Broadcast, GuestRemoved, Send, TellGuest, WantFallback
from phaselock.session.host.caps import Caps
from phaselock.session.host.fair_order import Rounds, in_order
from phaselock.session.host.guests import Guest, Guests
from phaselock.session.host.members import Member, Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.host.transport import TransportControl
from phaselock.session.host.votes import People, SkipVotes, SongVotes
from phaselock.session.outbox import Outbox
from phaselock.session.person_keys import FALLBACK_KEY, HOST_KEY

COUNT_EVERY_NS = 500_000_000
"""Smallest time between two counts of the votes. The songs are ordered, and all are told, by the last count."""
TOO_LARGE = N_("This file is too large to be shared.")
PartyCommand = c.SetRules | c.RemoveGuest | c.AllowGuest | c.UseFallback | c.VoteFor | c.WantSkip
"""The commands of the host's user that concern the party."""
_Called: TypeAlias = dict[str, tuple[int, list[str]]]
"""The place of each person among all, and the names, by key. Several guests may have one key."""


@frozen
class _Skip:
    """A count of the votes for leaving a song."""

    file_id: UUID
    voters: frozenset[str]
    """The keys of those who want it."""
    needed: int
    """More than half of the people who are present."""


class Party:
    """The session calls `settle` at the end of each of its calls. `now_ns` is session time."""

    def __init__(
        self,
        members: Members,
        queue: HostQueue,
        transport: TransportControl,
        caps: Caps,
        requests: IncomingRequests,
        outbox: Outbox,
        host_name: str,
    ) -> None:
        self._members = members
        self._queue = queue
        self._transport = transport
        self._caps = caps
        self._requests = requests
        self._outbox = outbox
        self.guests = Guests(outbox, lambda: [host_name, *(member.name for member in members)])
        self._host_name = host_name
        self.people = People()
        self._votes = SongVotes()
        self._skip_votes = SkipVotes()
        self._count_at_ns = 0
        """When the votes may be counted again."""
        self._uncounted = False
        """The votes have changed since the last count."""
        self._tally: dict[UUID, int] = {}
        self._skip: _Skip | None = None
        self._left: UUID | None = None
        """The song that was left by votes."""
        self._told_tally: dict[UUID, int] = {}
        self._told_skip: m.SkipState | None = None
        self._told: dict[int, m.YourVotes] = {}
        """What each member knows of its own votes, by its connection. It knows the two above, too."""
        self.rounds = Rounds()
        self._current: UUID | None = None
        self.begun: set[UUID] = set()
        """The rows that have begun to play."""
        self.pinned: set[UUID] = set()
        """The rows that the host has moved by hand."""
        self._sorted_for: object = None
        """What the order depends on, as it was when the queue was sorted."""
        self._fallback = False
        self._wants_fallback = False
        """A song of the fallback was asked for, and has not come."""

    @property
    def rules(self) -> PartyRules:
        """The rules that hold now."""
        return self._caps.rules

    # -- from the host's user ----------------------------------------------------------------------------------------

    def command(self, command: PartyCommand, *, now_ns: int) -> None:
        """Execute a command of the host's user. An `error` event reports a command that cannot be done."""
        match command:
            case c.SetRules(rules=rules):
                self._set_rules(rules, now_ns)
            case c.RemoveGuest(guest_id=guest_id):
                self._forget(self.guests.remove(guest_id, now_ns=now_ns), now_ns)
            case c.AllowGuest(name=name):
                self.guests.allow(name, now_ns=now_ns)
            case c.UseFallback(on=on):
                self._fallback, self._wants_fallback = on, False
            case c.VoteFor(file_id=file_id, wanted=wanted):
                if not self.vote(HOST_KEY, file_id, wanted, now_ns=now_ns):
                    self._outbox.error(Notice(Code.VOTE_TOO_LATE), now_ns)
            case c.WantSkip(file_id=file_id, wanted=wanted):
                if not self.rules.skip_vote:
                    self._outbox.error(Notice(Code.NO_SKIP_VOTE), now_ns)
                elif not self.want_skip(HOST_KEY, file_id, wanted, now_ns=now_ns):
                    self._outbox.error(Notice(Code.NOTHING_PLAYING), now_ns)

    def moved_by_hand(self, file_ids: set[UUID]) -> None:
        """The host's user has moved these rows: they stay where they are."""
        self.pinned |= file_ids

    def voters_for_songs(self) -> dict[UUID, frozenset[str]]:
        """The people who have voted for the songs, by their keys."""
        return self._votes.all()

    @property
    def has_fallback(self) -> bool:
        """Songs play when nothing else waits."""
        return self._fallback

    def inherit(self, votes: Mapping[UUID, Collection[str]], begun: set[UUID], pinned: set[UUID]) -> None:
        """The party as it was at the host before this one."""
        for file_id, keys in votes.items():
            for key in keys:
                self._votes.vote(key, file_id, True)
        self.begun, self.pinned, self._uncounted = begun, pinned, True
        current = self._transport.playback.current
        self._current = current.file_id if current is not None else None

    # -- from all people ---------------------------------------------------------------------------------------------

    def vote(self, key: str, file_id: UUID, wanted: bool, *, now_ns: int) -> bool:
        """The person with this key votes for a song, or takes the vote back. False if the song does not wait."""
        self.people.heard(key, now_ns=now_ns)
        if not self._queue.is_waiting(file_id):
            return False
        self._uncounted |= self._votes.vote(key, file_id, wanted)
        return True

    def want_skip(self, key: str, file_id: UUID, wanted: bool, *, now_ns: int) -> bool:
        """The person with this key votes for leaving the song that plays, or takes the vote back. False if that song
        does not play, or if the rules know no such vote."""
        self.people.heard(key, now_ns=now_ns)
        if file_id != self._skippable():
            return False
        self._skip_votes.vote(key, file_id, wanted)
        self._uncounted = True
        return True

    # -- from the guests ---------------------------------------------------------------------------------------------

    def guest(self, guest_id: bytes, action: g.GuestAction, *, now_ns: int) -> None:
        """A guest does something. Everything but `GuestHere` is ignored while the guest is not known."""
        if self.guests.is_removed(guest_id):
            self._outbox.do(GuestRemoved(guest_id))
            return
        if isinstance(action, g.GuestHere):
            self._forget(self.guests.here(guest_id, action, now_ns=now_ns), now_ns)
        guest = self.guests.known(guest_id)
        if guest is None:
            return
        self.people.heard(guest.key, now_ns=now_ns)
        match action:
            case g.GuestGone():
                self.guests.gone(guest, now_ns=now_ns)
            case g.GuestListens():
                self.guests.listens(guest, action)
            case g.GuestAsks():
                self._asks(guest, action, now_ns)
            case g.GuestWithdraws(request_id=request_id):
                self._requests.withdrawn(guest, request_id, "", now_ns=now_ns)
            case g.GuestVotes(file_id=file_id, wanted=wanted):
                self.vote(guest.key, file_id, wanted, now_ns=now_ns)
            case g.GuestWantsSkip(file_id=file_id, wanted=wanted):
                self.want_skip(guest.key, file_id, wanted, now_ns=now_ns)

    # -- views -------------------------------------------------------------------------------------------------------

    def votes_view(self) -> tuple[VotesView, ...]:
        """The votes as the host's user sees them."""
        own, people = self._votes.of(HOST_KEY), self._people()
        return tuple(
            VotesView(file_id, votes, file_id in own, _names(self._votes.voters(file_id), people))
            for file_id, votes in self._tally.items()
        )

    def skip_view(self) -> SkipView | None:
        """The votes for leaving the song that plays as the host's user sees them."""
        skip = self._skip
        if skip is None:
            return None
        wants = self._skip_votes.wants(HOST_KEY, skip.file_id)
        return SkipView(len(skip.voters), skip.needed, wants, _names(skip.voters, self._people()))

    def page(self, guest_id: bytes, *, now_ns: int) -> GuestPage | None:
        """What the session shows to this guest alone; None: it is not here."""
        guest = self.guests.known(guest_id)
        if guest is None:
            return None
        key, unfinished = guest.key, [request.view() for request in self._requests.of(guest)]
        return GuestPage(
            name=guest.name,
            waiting=self._caps.waiting(key) + self._requests.open_of(key),
            songs=frozenset(entry.track.file_id for entry in self._queue.rows.entries if entry.asker == key),
            voted=self._votes.of(key),
            wants_skip=self._skip is not None and self._skip_votes.wants(key, self._skip.file_id),
            requests=(*guest.shown(now_ns=now_ns), *unfinished),
        )

    # -- members -----------------------------------------------------------------------------------------------------

    def joined(self, member: Member) -> None:
        """A peer has joined: tell it the rules, if they are not those that it supposes."""
        self.guests.give_way(member.name)
        if self.rules != PartyRules():
            self._outbox.do(Send(member.conn, m.RulesUpdate(self.rules)))

    # -- time --------------------------------------------------------------------------------------------------------

    def timer(self, *, now_ns: int) -> None:
        """Handle all deadlines that have passed."""
        self.guests.timer(now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """The times at which the session must be called."""
        yield from self.guests.deadlines_ns()
        if self._uncounted:
            yield self._count_at_ns

    def settle(self, *, now_ns: int) -> None:
        """Count the votes, sort the songs that wait, and tell the peers."""
        self._note_begun(now_ns)
        if now_ns >= self._count_at_ns:
            self._count(now_ns)
        self._sort()
        if self._fallback:
            is_dry = self._transport.is_dry()
            if is_dry and not self._wants_fallback:
                self._outbox.do(WantFallback())
            self._wants_fallback = is_dry

    # -- inside ------------------------------------------------------------------------------------------------------

    def _set_rules(self, rules: PartyRules, now_ns: int) -> None:
        if rules.order is Order.FAIR and self.rules.order is not Order.FAIR:
            self.pinned.clear()
            self._queue.end_shuffle()
        self._caps.rules = rules
        self._uncounted = True
        self._outbox.do(*self._members.broadcast(m.RulesUpdate(rules)))
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

    def _forget(self, guest: Guest | None, now_ns: int) -> None:
        """End the requests of a guest that is not known any more, and its votes, unless others have the same key."""
        if guest is None:
            return
        self._requests.left(guest, now_ns=now_ns)
        if all(one.key != guest.key for one in self.guests):
            self._caps.left(guest.key)
            self._votes.left(guest.key)
            self._skip_votes.left(guest.key)
            self.people.left(guest.key)
            self._uncounted = True

    def _skippable(self) -> UUID | None:
        """The song that plays, if it may be left by votes."""
        playback = self._transport.playback
        if not self.rules.skip_vote or playback.current is None or playback.current.stop_session_ns is not None:
            return None
        return playback.current.file_id if playback.current.file_id != self._left else None

    def _note_begun(self, now_ns: int) -> None:
        """Record which songs have begun to play since the last call."""
        current = self._transport.playback.current
        file_id = current.file_id if current is not None else None
        if file_id == self._current:
            return
        self._current, self._left, self._skip, self._uncounted = file_id, None, None, True
        entries = self._queue.rows.entries
        self.begun &= {entry.track.file_id for entry in entries}
        self.pinned &= {entry.track.file_id for entry in entries}
        waiting = self._queue.waiting()
        for entry in entries:
            begins = entry.track.file_id == file_id
            if begins:
                self._caps.began(entry.track, now_ns=now_ns)
            if (begins or entry.track.file_id in self._queue.played) and entry.track.file_id not in self.begun:
                self.begun.add(entry.track.file_id)
                self.rounds.began(entry, [*waiting, entry])

    def _count(self, now_ns: int) -> None:
        """Count the votes, leave the song that plays if enough people want that, and tell the members."""
        self._uncounted, self._count_at_ns = False, now_ns + COUNT_EVERY_NS
        members = {member.key for member in self._members}
        waiting = [entry.track.file_id for entry in self._queue.waiting()]
        tally = self._votes.tally(waiting, lambda key: self._counts(key, members))
        if tally != self._tally:
            self._tally = tally
            self._outbox.note(e.VotesChanged(now_ns, tuple(map(e.votes_row, self.votes_view()))))
        file_id, before = self._skippable(), self._skip
        self._skip = None
        if file_id is not None:
            present = {key for key in self.people.present(now_ns=now_ns) if self._counts(key, members)}
            voters = self._skip_votes.voters(file_id, present)
            self._skip = _Skip(file_id, voters, len(present) // 2 + 1)
            if self._skip != before and (voters or (before is not None and before.voters)):
                name, names = self._queue.known(file_id).file_name, _names(voters, self._people())
                self._outbox.note(e.SkipVoted(now_ns, file_id, name, len(voters), self._skip.needed, names))
            if len(voters) >= self._skip.needed:
                self._left, self._skip = file_id, None
                self._transport.leave_song(now_ns=now_ns)
                self._note_begun(now_ns)  # before the songs are sorted: the person of the next one had its turn
        self._tell_members()

    def _counts(self, key: str, members: set[str]) -> bool:
        """A peer that has left does not count for a vote."""
        return not key.startswith("peer:") or key in members

    def _people(self) -> _Called:
        """All people, the host first."""
        people: _Called = {HOST_KEY: (0, [self._host_name])}
        for number, one in enumerate((*self._members, *self.guests), 1):
            people.setdefault(one.key, (number, []))[1].append(one.name)
        return people

    def _tell_members(self) -> None:
        skip = None if self._skip is None else m.SkipState(len(self._skip.voters), self._skip.needed)
        changed = {file_id: 0 for file_id in self._told_tally if file_id not in self._tally}
        changed |= {one: votes for one, votes in self._tally.items() if votes != self._told_tally.get(one)}
        has_changed = bool(changed) or skip != self._told_skip
        self._told_tally, self._told_skip = self._tally, skip
        members = self._members.members
        told, self._told = self._told, {}
        if has_changed and (known := tuple(conn for conn in told if conn in members)):
            self._outbox.do(Broadcast(known, _votes_update(changed, skip)))
        if self._tally or skip is not None:
            for conn in members.keys() - told.keys():
                self._outbox.do(Send(conn, _votes_update(self._tally, skip)))
        for conn, member in members.items():
            wants = self._skip is not None and self._skip_votes.wants(member.key, self._skip.file_id)
            yours = m.YourVotes(tuple(self._votes.of(member.key)), wants)
            before = told.get(conn, m.YourVotes((), False))
            if wants != before.skip or set(yours.songs) != set(before.songs):
                self._outbox.do(Send(conn, yours))
            self._told[conn] = yours

    def _sort(self) -> None:
        """Bring the songs that wait into the order of the rules."""
        fixed = self._transport.fixed()
        state = self._queue.changes, fixed, self.rules.order, frozenset(self.pinned), tuple(self._tally.items())
        if state == self._sorted_for:
            return
        self._sorted_for = state
        waiting = self._queue.waiting()
        if self.rules.order is not Order.FAIR and all(entry.asker != FALLBACK_KEY for entry in waiting):
            return
        rows = [entry for entry in self._queue.rows.entries if not entry.removed]
        waiting_ids = {entry.track.file_id for entry in waiting}
        played = self._queue.rows_until_now()
        if self._current is None:
            played = max((at for at, one in enumerate(rows, 1) if one.track.file_id not in waiting_ids), default=0)
        ids = in_order(
            rows,
            self.rules.order,
            played=played,
            waiting=waiting_ids,
            fixed=fixed | self.pinned,
            rounds=self.rounds.of(waiting),
            votes=self._tally,
        )
        self._queue.arrange(tuple(ids))
        self._sorted_for = (self._queue.changes, *state[1:])


def _votes_update(votes: Mapping[UUID, int], skip: m.SkipState | None) -> m.VotesUpdate:
    return m.VotesUpdate(tuple(m.VotesForSong(*one) for one in votes.items()), skip)


def _names(keys: Collection[str], people: _Called) -> tuple[str, ...]:
    """What the people with these keys are called, in their order. Those who are not known any more are left out."""
    known = sorted((key for key in keys if key in people), key=lambda key: people[key][0])
    return tuple(name for key in known for name in people[key][1])
