"""The succession at a peer: the line that the host has told, and the search for another host after a loss.

A peer that has lost its host asks all machines of the line, and the host's own, every ASK_EVERY_NS, at first more
often. It begins when no program listens where the host was, or the first attempt to reconnect has failed. A peer that
follows another host, and is not accepted there yet, asks that one as well: it may have become the peer of a third one.
A peer that joined one part of a cut network is unknown in the other one. When its own part has no host any more, it
joins the other one as a new member, after STRANGE_NS: by then its own part would have elected a host.

The peer votes for the first of the line that answers; a machine counts as gone after MISSES calls without an answer. So
all votes go to the same machine as soon as all see the same ones. That machine takes over when it has the votes of more
than half of the peers. A part of the session with fewer goes on by itself when the hold has passed, unless a machine
that it reaches is still connected to the host.

A peer from elsewhere mostly reaches none of these machines, and is never in the line. It joins the machine of the line
that answers as the host at a place where the host was, or where one of the line would be (`heir`).

claims.py has the votes, and describes what becomes of two hosts that meet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from phaselock.frozen import frozen
from phaselock.model.heritage import Cause, Claim, HostContact, LossVote, Membership
from phaselock.model.names import person_name
from phaselock.protocol import messages as m
from phaselock.protocol.proof import SEEKER, is_membership_proof
from phaselock.session import events as e
from phaselock.session.claims import derived_token, extended, is_vote, loss_vote
from phaselock.session.effects import HOST_CONN, MAX_ASKED_AT_ONCE, AskHost, OpenForSuccession, Send
from phaselock.session.outbox import Outbox
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.estate import PeerEstate

ASK_EVERY_NS = 1_000_000_000
"""Interval between two questions to each machine of the line."""
ASK_EARLY_NS = 200_000_000
"""The same in the first second: the others may notice the loss a moment later."""
WHOLE_KEY_BYTES = 32
"""Length of the key of a machine, a SHA-256. Discovery announces only its beginning."""
MISSES = 2
"""Questions without an answer after which the next in line is asked to take over."""
FRESH_NS = 3_500_000_000
"""A vote, or an answer, is valid for this time: three questions may be lost or late."""
UNSOUGHT_NS = 4_000_000_000
"""A machine of the line that no member has asked for this time is out of reach of the others."""
GRACE_NS = 15_000_000_000
"""For this time after the hold a peer waits for the one that it has voted for."""
STRANGE_NS = 10_000_000_000
"""After a search of this time a peer joins a host that cannot know it, as a new member."""
MAX_ANNOUNCED = 64
"""Most machines that announce themselves as the host, and whose keys are not known, that wait for their question."""
MAX_KEYS = 128
"""Most keys of machines that are remembered; the oldest are forgotten."""
MAX_TOKENS = 32
"""Most terms whose tokens are remembered; the oldest are forgotten."""


@frozen
class Found:
    """Another machine is the host."""

    host: HostContact
    term: int
    chain: tuple[bytes, ...]


class PeerSuccession:
    """`now_ns` is the peer's local time."""

    def __init__(self, outbox: Outbox, *, may_host: bool) -> None:
        self._outbox = outbox
        self._may_host = may_host
        self.line: m.SuccessionLine | None = None
        """The newest one. That of the host before stays until a new host has successors. None: this session has no
        succession."""
        self.place: m.SuccessionLine | None = None
        """As the host has told it last, also without successors."""
        self.estate = PeerEstate()
        """The newest complete heritage."""
        self._coming = PeerEstate()
        """The heritage that the present host tells, as far as it has come."""
        self._followed: HostContact | None = None
        """The host that this peer follows and that has not accepted it yet."""
        self.standby: m.StandingBy | None = None
        """The open ports of this machine."""
        self._asked_to_stand_by = False
        self._tokens: list[tuple[int, bytes, bytes]] = []
        """See Membership."""
        self.known_keys: tuple[bytes, ...] = ()
        """Of all machines that were the host, or in the line."""
        self._ask_at_ns: int | None = None
        """The next question to the machines of the line; None: the host is not sought."""
        self._is_ended = False
        """The host's computer refuses connections: its program has ended."""
        self._last_number = 0
        self._asked: dict[int, HostContact] = {}
        """The questions that are not answered."""
        self._misses: dict[bytes, int] = {}
        """Questions without an answer since the last answer, by the key of the machine, at its place in the line."""
        self._heard_at_ns: dict[bytes, int] = {}
        """When each machine has answered last that it has lost the host, too."""
        self._host_lives_at_ns: int | None = None
        """When a machine has answered last that it is connected to the host."""
        self._announced: dict[HostContact, None] = {}
        """Machines that announce themselves as the host and wait for their question. Of most of them only the beginning
        of their key is known."""
        self._strange: HostContact | None = None
        """A host of this session, as a machine of the line tells, that cannot know this member."""
        self._since_ns = 0
        """The host is sought since then."""
        self._is_sought = False
        """Another member has asked this machine since then."""
        self._votes: dict[int, tuple[LossVote, int]] = {}
        """The newest vote of each member for this machine, and when it came."""

    # -- from the host -----------------------------------------------------------------------------------------------

    def asked_to_stand_by(self) -> None:
        """The host asks whether this machine may become the host."""
        self._asked_to_stand_by = True
        if self._may_host:
            self._outbox.do(OpenForSuccession())

    def stands_by(self, standing: m.StandingBy, *, connected: bool) -> None:
        """The ports are open."""
        self.standby = standing
        if connected and self._asked_to_stand_by:
            self._outbox.do(Send(HOST_CONN, standing))

    def joined(self) -> None:
        """A host has accepted this peer: it tells its line and its heritage again."""
        self._asked_to_stand_by = False
        self._coming = PeerEstate()
        self.place = self._followed = None
        self.end_search()

    def follows(self, host: HostContact) -> None:
        """This peer joins that host, which may not be in the line."""
        self._followed = host

    def take_line(self, line: m.SuccessionLine, host_key: bytes, token: bytes, session_ns: int | None) -> None:
        """The host, which has this key, tells its line. `token`: of this peer there. Breach if they contradict."""
        if line.chain[-1] != host_key or line.host.host_key != host_key or line.term < len(line.chain) - 1:
            raise Breach("a line of another host")
        if len({one.host_key for one in (*line.successors, line.host)}) != len(line.successors) + 1:
            raise Breach("a machine is twice in the line")
        before = () if self.place is None else self.place.successors
        self.place = line
        if line.successors or self.line is None or self.line.host.host_key == host_key:
            self.line = line
        self._know(line)
        known = line.term, host_key, token
        self._tokens = [*(one for one in self._tokens if one[0] < line.term), known][-MAX_TOKENS:]
        names = tuple(person_name(one.name) for one in line.successors)
        if names != tuple(person_name(one.name) for one in before):
            self._outbox.note(e.SuccessorsChanged(session_ns, names))

    def take_heritage(self, update: m.HeritageUpdate) -> None:
        """The host tells rows of its heritage."""
        self._coming.take(update)
        if self._coming.is_complete:
            self.estate = self._coming

    def moved(self, moved: m.HostMoved) -> Cause:
        """The host tells that another machine is the host. Return why. Breach if it contradicts itself."""
        if moved.chain[-1] != moved.host.host_key or self.place is None:
            raise Breach("a host that contradicts its key")
        return Cause.HANDED_OVER if moved.term == self.place.term + 1 else Cause.REUNION

    def is_me(self, contact: HostContact) -> bool:
        """This is this program: the key alone names all programs of one user of a computer."""
        here = self.standby
        return here is not None and (contact.host_key, contact.control_port) == (here.host_key, here.control_port)

    def membership(self, peer_id: int) -> Membership:
        """How this machine proves to another host that it is a member."""
        return Membership(peer_id, tuple(self._tokens))

    def inherit(self, membership: Membership, line: m.SuccessionLine | None, known_keys: tuple[bytes, ...]) -> None:
        """This machine was the host: its tokens, its last line, and the keys of the machines that it knows."""
        self._tokens, self.line, self.known_keys = list(membership.tokens), line, known_keys[-MAX_KEYS:]
        if line is not None:
            self._know(line)

    @property
    def me(self) -> HostContact | None:
        """This machine in the line; None: it is not in it, or does not know enough."""
        if self.line is None or self.standby is None or not self.estate.is_complete:
            return None
        return next((one for one in self.line.successors if self.is_me(one)), None)

    @property
    def has_line(self) -> bool:
        """Someone may take over when the host is lost."""
        return self.line is not None and bool(self.line.successors)

    # -- the host is lost --------------------------------------------------------------------------------------------

    def search(self, *, is_ended: bool, now_ns: int) -> None:
        """The host is lost: look for another one. `is_ended`: its computer refuses connections."""
        self._is_ended |= is_ended
        if self.line is not None and self._ask_at_ns is None:
            self._ask_at_ns = self._since_ns = now_ns

    def end_search(self) -> None:
        """The host is heard, or another one was found."""
        self._ask_at_ns = self._host_lives_at_ns = self._strange = None
        self._is_ended = self._is_sought = False
        for known in (self._asked, self._misses, self._heard_at_ns, self._votes, self._announced):
            known.clear()

    def met(self, address: str, port: int, announced_key: bytes, session_id: bytes, peer_id: int) -> None:
        """A host of this session, whose key begins so, is announced there: ask it. Any program of the network can
        announce that: one whose key is not known waits until it is its turn."""
        if self._ask_at_ns is None or not announced_key:
            return
        key = next((one for one in self.known_keys if one.startswith(announced_key)), None)
        contact = HostContact(0, "", (address,), port, port, key or announced_key)
        if key is not None and len(self._asked) < MAX_ASKED_AT_ONCE:
            self._ask(contact, m.HostSeek(session_id, peer_id))
        elif len(self._announced) < MAX_ANNOUNCED:
            self._announced[contact] = None

    def timer(self, session_id: bytes, peer_id: int, *, now_ns: int) -> None:
        """Ask the machines of the line if that is due, and one of those that are announced."""
        if self.line is None or self._ask_at_ns is None or now_ns < self._ask_at_ns:
            return
        self._ask_at_ns = now_ns + (ASK_EARLY_NS if now_ns < self._since_ns + ASK_EVERY_NS else ASK_EVERY_NS)
        candidate = self._candidate(now_ns)
        machines = {one.host_key: one for one in (*self.line.successors, self.line.host)}
        for other in (self._followed, self._strange):
            if other is not None:
                machines.setdefault(other.host_key, other)
        for one in machines.values():
            if self.is_me(one):
                continue
            is_first = candidate is not None and one.host_key == candidate.host_key
            vote = self._vote(peer_id, one.host_key) if is_first else None
            self._ask(one, m.HostSeek(session_id, peer_id, vote))
        if self._announced:
            contact = next(iter(self._announced))
            del self._announced[contact]
            self._ask(contact, m.HostSeek(session_id, peer_id))

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` must be called."""
        if self._ask_at_ns is not None:
            yield self._ask_at_ns

    def told(
        self, number: int, answer: m.HostTold | None, lost_key: bytes, *, refused: bool, now_ns: int
    ) -> Found | None:
        """The answer to a question; None: there is none. `lost_key`: of the host that is lost. Return the other host
        that this peer can join."""
        asked = self._asked.pop(number, None)
        if asked is None or self._ask_at_ns is None:
            return None
        if answer is None:
            if self.line is None or asked not in self.line.successors:  # a false announcement may lead anywhere
                return None
            self._misses[asked.host_key] = self._misses.get(asked.host_key, 0) + (MISSES if refused else 1)
            return None
        self._misses[asked.host_key] = 0
        if len(asked.host_key) < WHOLE_KEY_BYTES:
            return self._proven(asked, answer)
        claim, host = answer.claim, asked if answer.sight == "host" else answer.host
        if answer.sight == "lost":
            self._heard_at_ns[asked.host_key] = now_ns
        elif claim is not None and host is not None and claim.key == host.host_key:
            if claim.key == lost_key:
                self._host_lives_at_ns = now_ns
            elif self._may_follow(claim):
                return Found(host, claim.term, claim.chain)
            elif self.line is not None and not set(claim.chain).isdisjoint(self.line.chain):
                self._strange = host
                if host is asked and now_ns >= self._since_ns + STRANGE_NS and not self._host_lives(now_ns):
                    return Found(host, claim.term, claim.chain)
        return None

    def takes_over(self, *, hold_is_over: bool, now_ns: int) -> bool:
        """Whether this machine becomes the host now."""
        me, candidate = self.me, self._candidate(now_ns)
        if (
            self.line is None
            or self._ask_at_ns is None
            or me is None
            or candidate is not me
            or self._host_lives(now_ns)
        ):
            return False
        is_sure = self._is_ended or self.line.voters > 1
        votes = len(self._valid_votes(now_ns)) + 1  # with its own one
        return hold_is_over or is_sure and 2 * votes > self.line.voters

    def awaits_another(self, *, now_ns: int) -> bool:
        """Whether another machine may take over as soon as its hold has passed, too."""
        candidate = self._candidate(now_ns)
        heard_at_ns = None if candidate is None else self._heard_at_ns.get(candidate.host_key)
        return heard_at_ns is not None and now_ns < heard_at_ns + FRESH_NS

    def votes(self, peer_id: int, *, now_ns: int) -> tuple[LossVote, ...]:
        """The votes by which this machine takes over, with its own."""
        assert self.standby is not None
        own = self._vote(peer_id, self.standby.host_key)
        return (*([own] if own is not None else []), *self._valid_votes(now_ns))

    def heir(self, host_key: bytes) -> Found | None:
        """The machine of the line with this key as the host after the one that is lost, or that one itself; None: there
        is none."""
        line = self.line
        if line is None:
            return None
        if line.host.host_key == host_key:
            return Found(line.host, line.term, line.chain)
        heir = next((one for one in line.successors if one.host_key == host_key), None)
        return Found(heir, line.term + 1, extended(line.chain, host_key)) if heir is not None else None

    # -- other machines ----------------------------------------------------------------------------------------------

    def sought(self, message: m.HostSeek, *, connected: bool, now_ns: int) -> m.HostTold:
        """A machine has asked this one. If it has lost the host, too, count the vote, if it is valid."""
        if connected:
            place = self.place
            if place is None:
                return m.HostTold("present")
            claim = Claim(place.term, place.chain, (0,) * len(place.chain), has_members=True)
            return m.HostTold("present", host=place.host, claim=claim)
        vote, me, line = message.vote, self.me, self.line
        self._is_sought |= self.estate.token_of(message.peer_id) is not None
        if vote is not None and me is not None and line is not None and vote.peer_id == message.peer_id:
            token = self.estate.token_of(vote.peer_id)
            if token is not None and is_vote(vote, token, me.host_key, line.term, me.host_key):
                self._votes[vote.peer_id] = vote, now_ns
        voters = line.voters if line is not None else 0
        return m.HostTold("lost", len(self._valid_votes(now_ns)) + 1, voters)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _ask(self, contact: HostContact, seek: m.HostSeek) -> None:
        self._last_number += 1
        self._asked[self._last_number] = contact
        self._outbox.do(AskHost(self._last_number, contact, seek))

    def _know(self, line: m.SuccessionLine) -> None:
        keys = [*line.chain, line.host.host_key, *(one.host_key for one in line.successors)]
        self.known_keys = tuple(dict.fromkeys([*self.known_keys, *keys]))[-MAX_KEYS:]

    def _candidate(self, now_ns: int) -> HostContact | None:
        """The first of the line that is not gone."""
        line, me = self.line.successors if self.line is not None else (), self.me
        if self._is_out_of_reach(now_ns):
            line = tuple(one for one in line if one is not me)
        return next((one for one in line if one is me or self._misses.get(one.host_key, 0) < MISSES), None)

    def _is_out_of_reach(self, now_ns: int) -> bool:
        """No member asks this machine, although another one of the line has lost the host, too: a firewall keeps them
        out."""
        heard = any(now_ns < at_ns + FRESH_NS for at_ns in self._heard_at_ns.values())
        return not self._is_sought and heard and now_ns >= self._since_ns + UNSOUGHT_NS

    def _vote(self, peer_id: int, candidate_key: bytes) -> LossVote | None:
        assert self.line is not None
        line, term = self.line, self.line.term
        token = next((token for own, key, token in self._tokens if (own, key) == (term, line.host.host_key)), None)
        if not token:
            return None
        return loss_vote(peer_id, token, term, line.host.host_key, line.successors, candidate_key)

    def _valid_votes(self, now_ns: int) -> Sequence[LossVote]:
        return [vote for vote, at_ns in self._votes.values() if now_ns < at_ns + FRESH_NS]

    def _host_lives(self, now_ns: int) -> bool:
        return self._host_lives_at_ns is not None and now_ns < self._host_lives_at_ns + FRESH_NS

    def _proven(self, asked: HostContact, answer: m.HostTold) -> Found | None:
        """A machine whose key was not known says that it is the host. It must know this member."""
        claim = answer.claim
        if answer.sight != "host" or claim is None or not claim.key.startswith(asked.host_key):
            return None
        token = derived_token(Membership(0, tuple(self._tokens)), claim.term, claim.chain)
        if token is None or not is_membership_proof(answer.member_proof, token, SEEKER, claim.key):
            return None
        return Found(dataclasses.replace(asked, host_key=claim.key), claim.term, claim.chain)

    def _may_follow(self, claim: Claim) -> bool:
        """This machine can prove its membership there: the host is of the same session."""
        return derived_token(Membership(0, tuple(self._tokens)), claim.term, claim.chain) is not None
