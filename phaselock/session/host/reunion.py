"""Finds the other hosts of the session, after its network was cut or a host has come back, and decides who stays.

The host asks the machines that may be another host: the host before it, the machines of its line that are not members,
those that it gave the session to and lost, and those that are announced on the network. claims.py has the rules. A host
gives way only to a machine whose key it has checked itself, by the certificate of the connection on which it has asked,
and which says that it stays: two hosts that know different things of each other, because one of them has just lost its
members, might else both give way. A host that cannot reach this one never says so.

Two hosts may not know each other's keys: their parts of the session have each had other successors since they parted.
So a host asks every machine that announces itself as a host of this session. Any program of the network can announce
that: these machines are asked one after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator

from phaselock.model.heritage import Claim, HostContact
from phaselock.protocol import messages as m
from phaselock.protocol.proof import SEEKER, bequest_purpose, is_membership_proof, membership_proof
from phaselock.session.claims import Standing, gives_way, host_proof, is_host_proof, voters_for
from phaselock.session.effects import MAX_ASKED_AT_ONCE, AskHost
from phaselock.session.outbox import Outbox

ASK_EVERY_NS = 2_000_000_000
"""Interval between two questions to a machine that may be another host."""
ASK_FOR_NS = 600_000_000_000
"""For this time a machine that is lost is asked often, then every ASK_LATER_NS."""
ASK_LATER_NS = 30_000_000_000
ASK_BACK_EVERY_NS = 250_000_000
"""Smallest interval between two questions to machines that have asked this host, and may lie."""
ASK_NEXT_EVERY_NS = 250_000_000
"""The same for machines of which others tell."""
MAX_HEARD_OF = 256
"""Largest number of such machines that wait for their question: all that discovery finds have a place."""
MAX_ASKED = 12
"""Largest number of machines that are asked; the oldest are forgotten."""
MAX_VERDICTS = 64
"""Most hosts about which a decision is remembered, the newest ones. Any machine can say that it is one, with any number
of keys."""
SILENT_NS = 6_000_000_000
"""A host gives way without the word of the other one that it stays, if that has not come for this time."""


class Reunion:
    """`now_ns` is session time. `standing` returns what this host knows of itself, `token_of` the token of a
    member, and `is_removed` whether the host's user has removed the machine with this key."""

    def __init__(
        self,
        session_id: bytes,
        peer_id: Callable[[], int],
        standing: Callable[[], Standing],
        token_of: Callable[[int], bytes | None],
        is_removed: Callable[[bytes], bool],
        outbox: Outbox,
    ) -> None:
        self._session_id = session_id
        self._peer_id = peer_id
        self._standing = standing
        self._token_of = token_of
        self._is_removed = is_removed
        self._outbox = outbox
        self.contact: HostContact | None = None
        """Of this host."""
        self._sought: dict[bytes, tuple[HostContact, int]] = {}
        """The machines that may be another host, by key, and since when they are sought."""
        self._ask_at_ns: int | None = None
        self._ask_back_at_ns = 0
        self._heard_of: dict[HostContact, None] = {}
        """Machines that are a host, as others tell, and that are asked one after the other."""
        self._ask_next_at_ns = 0
        self._last_number = 0
        self._asked: dict[int, HostContact] = {}
        self._wants_since_ns: dict[bytes, int] = {}
        """Since when this host would give way to the one with this key."""
        self._verdicts: dict[bytes, tuple[bool, bool]] = {}
        """Whether this host gives way to the one with this key, as it has decided last, and whether it had members."""
        self.reunited: set[int] = set()
        """The members whose songs of another part are taken."""

    def seek(self, machines: Iterable[HostContact], *, now_ns: int) -> None:
        """These machines are not members, and may be hosts."""
        own_key = self._standing().claim.key
        for one in machines:
            if one.host_key != own_key and one.host_key not in self._sought:
                self._sought[one.host_key] = one, now_ns
                self._ask_at_ns = min(self._ask_at_ns or now_ns, now_ns)
        for key in list(self._sought)[:-MAX_ASKED]:
            del self._sought[key]

    def found(self, peer_id: int) -> None:
        """This machine is a member: do not seek it."""
        self._sought = {key: one for key, one in self._sought.items() if one[0].peer_id != peer_id}
        self._ask_at_ns = self._ask_at_ns if self._sought else None

    @property
    def sought_keys(self) -> Collection[bytes]:
        """The keys of the machines that are sought."""
        return self._sought.keys()

    @property
    def is_busy(self) -> bool:
        """Many questions have no answer yet."""
        return len(self._asked) >= MAX_ASKED_AT_ONCE

    def ask(self, contact: HostContact) -> None:
        """Ask one machine now."""
        self._last_number += 1
        self._asked[self._last_number] = contact
        claim = dataclasses.replace(self._standing().claim, elections=())
        seek = m.HostSeek(self._session_id, self._peer_id(), None, claim, self.contact)
        self._outbox.do(AskHost(self._last_number, contact, seek))

    def heard_of(self, contact: HostContact) -> None:
        """This machine is another host, as a machine tells that may lie. Only the beginning of its key may be known."""
        if len(self._heard_of) < MAX_HEARD_OF:
            self._heard_of[contact] = None

    def timer(self, *, now_ns: int) -> None:
        """Ask if that is due."""
        if self._ask_at_ns is not None and now_ns >= self._ask_at_ns:
            self._ask_sought(now_ns)
        if self._heard_of and now_ns >= self._ask_next_at_ns:
            self._ask_next_at_ns = now_ns + ASK_NEXT_EVERY_NS
            contact = next(iter(self._heard_of))
            del self._heard_of[contact]
            self.ask(contact)

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` must be called."""
        if self._heard_of:
            yield self._ask_next_at_ns
        if self._ask_at_ns is not None:
            yield self._ask_at_ns

    def told(self, number: int, answer: m.HostTold | None, *, now_ns: int) -> tuple[HostContact, Claim] | None:
        """The answer of a machine that was asked. Return the host that this one joins; None: it stays."""
        contact = self._asked.pop(number, None)
        if contact is None or answer is None or answer.claim is None:
            return None
        me, claim = self._standing(), answer.claim
        if answer.sight == "present" and answer.host is not None and answer.host.host_key == claim.key:
            if self.is_related(claim) and claim.key not in (me.claim.key, *self._sought):
                self.heard_of(answer.host)
            return None
        if answer.sight != "host" or not claim.key.startswith(contact.host_key) or claim.key == me.claim.key:
            return None
        is_heir = is_host_proof(answer.proof, me.secret, claim.key)
        verdict = not self._is_removed(claim.key) and gives_way(me, claim, self._token_of, is_heir=is_heir)
        self._verdicts[claim.key] = bool(verdict), me.claim.has_members
        for key in list(self._verdicts)[:-MAX_VERDICTS]:
            del self._verdicts[key]
        if verdict is False:
            self._wants_since_ns.pop(claim.key, None)
            return None
        since_ns = self._wants_since_ns.setdefault(claim.key, now_ns)
        is_silent = answer.gives_way is None and now_ns >= since_ns + SILENT_NS
        stays = answer.gives_way is False or is_silent
        return (dataclasses.replace(contact, host_key=claim.key), claim) if stays else None

    def asked(self, message: m.HostSeek, *, now_ns: int) -> m.HostTold | None:
        """A machine has asked this host; None: it belongs to another session."""
        if message.session_id != self._session_id:
            return None
        me, claim, contact = self._standing(), message.claim, message.contact
        verdict = None
        if claim is not None and contact is not None and claim.key == contact.host_key != me.claim.key:
            verdict, had_members = self._verdicts.pop(claim.key, (None, False))
            verdict = verdict if had_members == me.claim.has_members else None
            if self.is_related(claim) and now_ns >= self._ask_back_at_ns:
                self._ask_back_at_ns = now_ns + ASK_BACK_EVERY_NS
                self.ask(contact)
        proof = host_proof(me.secret, me.claim.key)
        token = self._token_of(message.peer_id)
        known = None if token is None else membership_proof(token, SEEKER, me.claim.key)
        return m.HostTold("host", 0, 0, self.contact, me.claim, verdict, proof, known)

    def is_related(self, claim: Claim) -> bool:
        """Whether the chains of this host and of the claim have a host in common."""
        return bool(set(claim.chain) & set(self._standing().claim.chain))

    def other_part(self, peer_id: int, claim: Claim, proof: bytes) -> None:
        """A member was the host of another part, or in its line, by this proof. The songs that it brings are taken if
        another member has voted for a host of that part."""
        me = self._standing()
        is_heir = is_membership_proof(proof, me.secret, bequest_purpose(peer_id), me.claim.key)
        if is_heir and set(voters_for(me.claim, claim, self._token_of)) - {peer_id}:
            self.reunited.add(peer_id)

    def _ask_sought(self, now_ns: int) -> None:
        self._asked.clear()  # later answers are too late
        waits_ns = []
        for contact, since_ns in self._sought.values():
            self.ask(contact)
            waits_ns.append(ASK_EVERY_NS if now_ns < since_ns + ASK_FOR_NS else ASK_LATER_NS)
        self._ask_at_ns = now_ns + min(waits_ns) if waits_ns else None
