"""Decides whether a machine may join the session: versions, free places, display names and lost members.

A lost member, which has not sent LeaveSession, may return if it proves its token: it keeps its number and its name. If
it was lost by a timeout, its place is reserved for HOLD_NS.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection

from phaselock.language.message import N_
from phaselock.model.names import distinct, person_name, skeleton
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN, is_membership_proof
from phaselock.session.host.members import Member, Members
from phaselock.session.sentences import notice_text
from phaselock.session.states import other_version

MAX_DEPARTED = 32
"""Largest number of lost members that are remembered; the oldest ones are forgotten."""


@dataclasses.dataclass(frozen=True, slots=True)
class Admitted:
    """A machine that may join, and the number, token and name that it gets."""

    peer_id: int
    token: bytes = dataclasses.field(repr=False)
    name: str
    asked_name: str
    """The name that it asked for."""
    again: bool
    """It is a lost member that returns."""


class Admission:
    """The places of one session. `now_ns` is session time."""

    def __init__(
        self,
        members: Members,
        *,
        host_name: str,
        max_peers: int,
        token_factory: Callable[[], bytes],
        host_key: bytes,
    ) -> None:
        self._members = members
        self._host_key = host_key
        self._host_name = host_name
        self._max_peers = max_peers
        self._token_factory = token_factory
        self._departed: collections.OrderedDict[int, Member] = collections.OrderedDict()
        """Members that were lost without LeaveSession, by number, oldest first. They may reconnect."""
        self._last_peer_id = 0

    def lost(self, member: Member) -> None:
        """This member is lost, and may return."""
        if member.reports.latest is not None:  # a member that sent no report is not remembered
            self._departed[member.peer_id] = member
        while len(self._departed) > MAX_DEPARTED:
            self._departed.popitem(last=False)

    def forget_lost(self, ips: Collection[str]) -> None:
        """No lost member returns by its token from these addresses any more: a removed machine may have had several
        memberships."""
        for peer_id in [peer_id for peer_id, member in self._departed.items() if member.ip in ips]:
            del self._departed[peer_id]

    def decide(self, request: m.JoinRequest, *, now_ns: int) -> Admitted | str:
        """What this machine gets, or the reason why it may not join. Its old connection must be closed before."""
        name = person_name(request.display_name)
        before = self.returning(request)
        if request.protocol_version != m.PROTOCOL_VERSION:
            return notice_text(other_version(m.PROTOCOL_VERSION, request.protocol_version))
        if not name:
            return N_("Please choose a display name.")
        held = [] if before is not None else self._held(name, now_ns)
        if len(self._members) + len(held) >= self._max_peers:
            return N_("Session is full.")
        taken = [self._host_name, *(member.name for member in [*self._members, *held])]
        if before is not None:
            del self._departed[before.peer_id]
            return Admitted(before.peer_id, before.token, distinct(before.name, taken), before.asked_name, again=True)
        self._last_peer_id += 1
        return Admitted(self._last_peer_id, self._token_factory(), distinct(name, taken), name, again=False)

    def returning(self, request: m.JoinRequest) -> Member | None:
        """The lost member that proves its membership."""
        before = self._departed.get(request.peer_id) if request.peer_id is not None else None
        if before is None or not is_membership_proof(request.proof or b"", before.token, JOIN, self._host_key):
            return None
        return before

    def _held(self, name: str, now_ns: int) -> list[Member]:
        """Members lost by a timeout, whose places are reserved: they play on and may reconnect.

        A member that looks like `name` is left out: it may be the new peer itself, without its token.
        """
        departed = self._departed.values()
        return [one for one in departed if now_ns < one.held_until_ns and skeleton(one.name) != skeleton(name)]
