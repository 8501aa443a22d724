"""Makes the parts of a peer's session, and gives each of them the others that it needs."""

from __future__ import annotations

from phaselock.model.types import UNKNOWN_CLOCK
from phaselock.session.outbox import Outbox
from phaselock.session.peer.absence import Absence
from phaselock.session.peer.bequest import PeerBequest
from phaselock.session.peer.chat import PeerChat
from phaselock.session.peer.clock_watch import ClockWatch
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.peer.microphone import PeerMicrophone
from phaselock.session.peer.outside import PeerOutside
from phaselock.session.peer.party import PeerParty
from phaselock.session.peer.pieces import PeerPieces
from phaselock.session.peer.playback import PeerPlayback
from phaselock.session.peer.queue import PeerQueue
from phaselock.session.peer.reports import StatusReports
from phaselock.session.peer.requests import OutgoingRequests
from phaselock.session.peer.succession import PeerSuccession


class PeerParts:
    """Each part has a module of its own, which describes it."""

    def __init__(self, *, microphone: bool, may_host: bool) -> None:
        """`microphone`: the user permits it. `may_host`: this machine may become the host."""
        self.clock = UNKNOWN_CLOCK
        self.outbox = Outbox()
        self.clock_watch = ClockWatch(self.outbox, self.session_ns)
        self.pieces = PeerPieces(self.outbox)
        self.files = PeerFiles(self.outbox, self.session_ns, self.pieces)
        self.gains = PeerGains()
        self.playback = PeerPlayback(self.files, self.gains, lambda: self.clock, self.outbox)
        self.reports = StatusReports(self.outbox, self.session_ns)
        self.microphone = PeerMicrophone(self.outbox, self.session_ns, permitted=microphone)
        self.reports.microphone = microphone
        self.absence = Absence(self.outbox, self.session_ns, self.playback.sounds)
        self.requests = OutgoingRequests(self.outbox, self.session_ns)
        self.chat = PeerChat(self.outbox, self.session_ns)
        self.party = PeerParty(self.outbox, self.session_ns)
        self.outside = PeerOutside(self.outbox)
        self.succession = PeerSuccession(self.outbox, may_host=may_host)
        self.bequest = PeerBequest(self.outbox, self.files.hold)
        self.queue = PeerQueue(self.files, self.gains, self.playback, self.outbox, self.session_ns)

    def session_ns(self, now_ns: int) -> int | None:
        """The session time at a local time; None while the clock is not usable."""
        return self.clock.session_from_local(now_ns)
