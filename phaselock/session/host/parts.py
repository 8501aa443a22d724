"""Makes the parts of a host's session, and gives each of them the others that it needs."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.model.heritage import HeirSettings, Hosting
from phaselock.model.notices import Code, Notice
from phaselock.model.party import PartyRules
from phaselock.model.transitions import Transitions
from phaselock.session.host.about import About
from phaselock.session.host.admission import Admission
from phaselock.session.host.bequests import Bequests
from phaselock.session.host.call_back import CallBacks
from phaselock.session.host.caps import Caps
from phaselock.session.host.chat import HostChat
from phaselock.session.host.distribution import Distribution
from phaselock.session.host.door import Door
from phaselock.session.host.entrance import Entrance
from phaselock.session.host.gains import HostGains
from phaselock.session.host.hearing import HostHearing
from phaselock.session.host.invitation import HostInvitation
from phaselock.session.host.lost_files import LostFiles
from phaselock.session.host.members import Member, Members
from phaselock.session.host.party import Party
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.reign import Reign
from phaselock.session.host.relays import Relays
from phaselock.session.host.report_watch import ReportWatch
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.host.sharing import Sharing
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.host.transitions import HostTransitions
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox
from phaselock.session.playback import Playback


class HostParts:
    """Each part has a module of its own, which describes it. `token_factory`, `code` and the rest: see HostSession."""

    def __init__(
        self,
        about: About,
        *,
        loudness_lufs: float | None,
        transitions: Transitions,
        rules: PartyRules,
        token_factory: Callable[[], bytes],
        code: str,
        succession: bool,
    ) -> None:
        self.about = about
        self.token_factory = token_factory
        self.hosting = Hosting()
        """See HostSession.hosts_with."""
        self.outbox = Outbox()
        self.door = Door(code, self.outbox)
        self.members = Members()
        self.admission = Admission(
            self.members,
            self.door,
            self.outbox,
            host_name=about.host_name,
            max_peers=about.max_peers,
            token_factory=token_factory,
            host_key=about.host_key,
        )
        playback = Playback()
        self.facts = HostTrackFacts()
        self.queue = HostQueue(self.members, playback, self.outbox)
        self.report_watch = ReportWatch(self.members, self.outbox, about.clock_port, self.queue.mark_stale)
        self.transitions = HostTransitions(self.facts, transitions)
        self.transport = TransportControl(self.members, playback, self.queue, self.transitions, self.outbox)
        self.gains = HostGains(self.members, self.queue, self.facts, self.outbox, loudness_lufs)
        relays = Relays(self.members, token_factory, self.outbox)
        self.sharing = Sharing(self.members, self.queue, self.transport, relays, self.outbox)
        self.distribution = Distribution(self.members, self.queue, self.transport, self.sharing, self.outbox)
        caps = Caps(self.queue, rules)
        self.requests = IncomingRequests(self.outbox, self.queue.has_room, caps)
        self.party = Party(self.members, self.queue, self.transport, caps, self.requests, self.outbox, about.host_name)
        self.hearing = HostHearing(
            self.members, self.party.guests, self.transport, self.outbox, about.host_name, self.named
        )
        self.invitation = HostInvitation(self.members, self.outbox, about.session_id, about.clock_port)
        self.call_backs = CallBacks(self.members, self.admission, self.outbox, about.clock_port)
        self.entrance = Entrance(self.door, self.invitation.door, self.admission, self.outbox)
        self.chat = HostChat(self.members, self.outbox, lambda: self.party.rules)
        self.lost_files = LostFiles(self.members, self.queue, self.outbox)
        self.reign = Reign(
            self.members,
            self.admission,
            self.queue,
            self.facts,
            self.party,
            self.requests,
            self.transport,
            self.gains,
            self.outbox,
            session_id=about.session_id,
            host_name=about.host_name,
            host_key=about.host_key,
            token=token_factory(),
            settings=self._heir_settings,
            is_on=succession,
        )
        self.bequests = Bequests(self.members, self.queue, self.requests, self.reign, self.outbox)

    def named(self, name: str, now_ns: int) -> list[Member]:
        """The peer with this name, in any letter case. If there is none: an empty list and an `error` event."""
        found = [member for member in self.members if member.name.casefold() == name.casefold()]
        if not found:
            self.outbox.error(Notice(Code.NO_SUCH_PEER, peer=name), now_ns)
        return found

    def _heir_settings(self, token: bytes) -> HeirSettings:
        return HeirSettings(
            session_name=self.about.session_name,
            host_name=self.about.host_name,
            max_peers=self.about.max_peers,
            host_peer_id=self.reign.peer_id,
            host_token=token,
            last_peer_id=self.admission.last_peer_id,
            last_number=self.queue.last_number,
            code=self.door.code,
            loudness_lufs=self.gains.target_lufs,
            crossfade_s=self.transitions.chosen.crossfade_s,
            skip_silence=self.transitions.chosen.skip_silence,
            repeat=self.transport.repeat,
            rules=self.party.rules,
            present_round=self.party.rounds.present,
            fallback=self.party.has_fallback,
            hosting=self.hosting,
            invitation=self.invitation.heritage(),
        )
