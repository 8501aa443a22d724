"""A host's and several peers' real machines on a virtual clock, connected by real frames over links of known delay.

Nothing here waits: `run` jumps from one event to the next. Machines are driven as a runner must drive them: effects in
their order, `timer` when `next_deadline_ns` has come, reports ten times a second.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from phaselock.model.timeline import Timeline
from phaselock.model.timing import Timing
from phaselock.model.types import ClockStatus, Track
from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.framing import GREETING_CAP, HOST_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import Message
from phaselock.session import effects as e
from phaselock.session.commands import Add, HostCommand, Leave
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.told import Told, lost, told

MS = 1_000_000
SECOND = 1_000_000_000
REPORT_NS = 100 * MS
CONNECT_NS = 2 * SECOND
"""So long a connection is tried into a network that is gone."""


def a_track(number: int = 1, seconds: float = 60.0, rate_hz: int = 44100, **changes: Any) -> Track:
    """The song of that number, each one its own file."""
    content = number.to_bytes(2, "big") * 16
    song = Track(UUID(int=number), f"song {number}.mp3", 1000, content, rate_hz, int(seconds * rate_hz))
    return dataclasses.replace(song, **changes)


@dataclasses.dataclass
class Output:
    """What a machine reports of itself."""

    latency_ns: int = 10 * MS
    dac_deviation_ns: int = 5_000
    dac_uncertainty_ns: int | None = 6_000
    timing: Timing = "exact"
    device_name: str | None = "card"
    uncertainty_ns: int | None = 5_000
    clock_usable: bool = True


class Node:
    """One machine's log and its output."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.effects: list[e.Effect] = []

    def of(self, kind: type) -> list:
        """Every effect of that kind so far."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def events(self, name: str) -> list[Told]:
        """Every event of that name so far."""
        return [told(effect.event) for effect in self.of(e.Notify) if effect.event.event_name == name]

    @property
    def following(self) -> e.Follow | None:
        """What its loudspeaker follows now."""
        return next(iter(reversed(self.of(e.Follow))), None)

    @property
    def ended(self) -> e.Ended | None:
        return next(iter(self.of(e.Ended)), None)


class Guest(Node):
    """A peer and its side of the link."""

    def __init__(self, name: str, conn: int, output: Output, delay_ns: int, ahead_ns: int) -> None:
        super().__init__(output)
        self.machine = PeerSession(display_name=name)
        self.conn = conn
        """Of the host; 0 while there is none."""
        self.delay_ns = delay_ns
        self.ahead_ns = ahead_ns
        """Its clock, compared with the session's."""
        self.framer = Framer(HOST_CAP)
        self.fetch_ns = 50 * MS
        self.fetch_results: Iterator[bool] = itertools.repeat(True)
        """For each try to get a file, whether it comes whole."""
        self.fetches: list[e.Fetch] = []
        self.uploads: list[e.Upload] = []
        self.upload_results: Iterator[bool | str] = itertools.repeat(True)
        """For each try to send a song: whether it gets there, or the words in which the host refuses it."""
        self.connects = 0
        """How often it was asked to connect anew."""
        self.cut = False
        """The network is gone: nothing arrives any more, in either direction, and nobody is told."""
        self.dead = False
        """Its process is gone."""
        self.held: list[Callable[[], None]] = []
        """What TCP brings once the network is back."""
        self.got: list[Message] = []
        self.under_way: dict[UUID, e.Fetch | e.Upload] = {}
        """By file or request: what was neither cancelled nor is over."""

    def told(self, kind: type) -> list:
        """Every message of that kind from the host so far."""
        return [message for message in self.got if isinstance(message, kind)]


class Party:
    """Everybody, and the time."""

    def __init__(self, *, max_peers: int = 5, output: Output | None = None) -> None:
        self.now_ns = 1000 * SECOND
        tokens = itertools.count(1)
        self.host = Node(output or Output())
        self.machine = HostSession(
            session_name="Friday",
            host_name="Hana",
            max_peers=max_peers,
            token_factory=lambda: next(tokens).to_bytes(16, "big"),
        )
        self.guests: dict[int, Guest] = {}
        self._framers: dict[int, Framer] = {}
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._songs = itertools.count(1000)
        self.host_dead = False
        self._at(0, self._report_host)

    @property
    def people(self) -> list[Guest]:
        """Every guest once, however often it has connected."""
        return list(dict.fromkeys(self.guests.values()))

    # -- what tests do -----------------------------------------------------------------------------------------------

    def invite(
        self, name: str, *, delay_ns: int = 200_000, ahead_ns: int = -(10**12), output: Output | None = None
    ) -> Guest:
        """A peer connects and joins; run on to see it happen."""
        guest = Guest(name, 0, output or Output(), delay_ns, ahead_ns)
        self._connect(guest)
        self._at(0, lambda: self._report_guest(guest))
        return guest

    def stranger(self) -> int:
        """A connection that says nothing by itself."""
        conn = next(self._numbers)
        self._framers[conn] = Framer(GREETING_CAP)
        self._do_host(self.machine.connected(conn, now_ns=self.now_ns))
        return conn

    def say(self, *commands: HostCommand) -> None:
        for command in commands:
            self._do_host(self.machine.command(command, now_ns=self.now_ns))

    def leave(self, guest: Guest) -> None:
        self._do_guest(guest, guest.machine.command(Leave(), now_ns=self.now_ns + guest.ahead_ns))

    def receive(self, conn: int, message: Message) -> None:
        """As if this had arrived at the host."""
        self._do_host(self.machine.received(conn, message, now_ns=self.now_ns))

    def crash(self, guest: Guest) -> None:
        """The peer's process dies; the host sees its connection end."""
        guest.dead = guest.cut = True
        self._do_host(self.machine.disconnected(guest.conn, lost("connection reset"), now_ns=self.now_ns))

    def crash_host(self) -> None:
        """The host's process dies; every peer sees its connection end."""
        self.host_dead = True
        for guest in self.people:
            self._arrive(guest, guest.conn, lambda guest=guest: self._lost_by_guest(guest))

    def cut(self, guest: Guest) -> None:
        """The guest's network goes silent."""
        guest.cut = True

    def mend(self, guest: Guest) -> None:
        """It is back, and with it what was sent meanwhile on connections that still stand."""
        guest.cut = False
        held, guest.held = guest.held, []
        for arrive in held:
            arrive()

    def on_host(self, call: Callable[..., list[e.Effect]], *args: object) -> None:
        """Call a method of the host's machine."""
        self._do_host(call(*args, now_ns=self.now_ns))

    def on_guest(self, guest: Guest, call: Callable[..., list[e.Effect]], *args: object) -> None:
        """Call a method of a guest's machine at its own time."""
        self._do_guest(guest, call(*args, now_ns=self.now_ns + guest.ahead_ns))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while (at_ns := self._next_ns()) <= end_ns:
            self.now_ns = max(self.now_ns, at_ns)
            if self._due and self._due[0][0] <= self.now_ns:
                heapq.heappop(self._due)[2]()
                continue
            at_ns = None if self.host_dead else self.machine.next_deadline_ns()
            if at_ns is not None and at_ns <= self.now_ns:
                self._do_host(self.machine.timer(now_ns=self.now_ns))
            for guest in self._living():
                at_ns, local_ns = guest.machine.next_deadline_ns(), self.now_ns + guest.ahead_ns
                if at_ns is not None and at_ns <= local_ns:
                    self._do_guest(guest, guest.machine.timer(now_ns=local_ns))
        self.now_ns = end_ns

    # -- the runner --------------------------------------------------------------------------------------------------

    def _living(self) -> list[Guest]:
        return [guest for guest in self.people if not guest.dead]

    def _next_ns(self) -> int:
        times = [self._due[0][0]] if self._due else []
        at_ns = None if self.host_dead else self.machine.next_deadline_ns()
        times += [] if at_ns is None else [at_ns]
        for guest in self._living():
            at_ns = guest.machine.next_deadline_ns()
            times += [] if at_ns is None else [at_ns - guest.ahead_ns]
        return min(times)

    def _at(self, delay_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + delay_ns, next(self._numbers), what))

    def _report_host(self) -> None:
        out = self.host.output
        self._do_host(
            self.machine.audio(
                phase_error_ns=0,
                dac_deviation_ns=out.dac_deviation_ns,
                dac_uncertainty_ns=out.dac_uncertainty_ns,
                timing=out.timing,
                output_latency_ns=out.latency_ns,
                device_name=out.device_name,
                underruns=0,
                now_ns=self.now_ns,
            )
        )
        self._at(REPORT_NS, self._report_host)

    def _report_guest(self, guest: Guest) -> None:
        if guest.dead:
            return
        out, now_ns = guest.output, self.now_ns + guest.ahead_ns
        status = ClockStatus(
            now_ns, out.clock_usable, guest.cut, -guest.ahead_ns, 0.0, out.uncertainty_ns, 2 * guest.delay_ns
        )
        self._do_guest(guest, guest.machine.clock(status, now_ns=now_ns))
        self._do_guest(
            guest,
            guest.machine.audio(
                phase_error_ns=100,
                dac_deviation_ns=out.dac_deviation_ns,
                dac_uncertainty_ns=out.dac_uncertainty_ns,
                timing=out.timing,
                output_latency_ns=out.latency_ns,
                device_name=out.device_name,
                underruns=0,
                now_ns=now_ns,
            ),
        )
        self._at(REPORT_NS, lambda: self._report_guest(guest))

    def _do_host(self, effects: list[e.Effect]) -> None:
        if self.host_dead:
            return
        self.host.effects += effects
        for effect in effects:
            guest = self.guests.get(getattr(effect, "conn", 0))
            match effect:
                case e.Send(conn=conn, message=message) if guest is not None:
                    data = frame(message)
                    self._arrive(guest, conn, lambda guest=guest, data=data: self._to_guest(guest, data))
                case e.Close(conn=conn) if guest is not None:
                    self._arrive(guest, conn, lambda guest=guest: self._lost_by_guest(guest))
                case e.AllowClock(conn=conn):
                    self._framers[conn].cap = SESSION_CAP

    def _do_guest(self, guest: Guest, effects: list[e.Effect]) -> None:
        guest.effects += effects
        for effect in effects:
            conn = guest.conn
            match effect:
                case e.Send(message=message):
                    data = frame(message)
                    self._arrive(guest, None, lambda data=data, conn=conn: self._to_host(conn, data))
                case e.Close():
                    self._arrive(guest, None, lambda conn=conn: self._lost_by_host(conn))
                    self._at(MS, lambda conn=conn: self._closed(guest, conn))
                case e.Connect():
                    self._arrive(guest, None, lambda conn=conn: self._lost_by_host(conn))
                    guest.conn = 0
                    guest.connects += 1
                    if conn:  # the end of the old one is told late
                        self._at(MS, lambda: self._closed(guest, 0))
                    self._at(guest.delay_ns, lambda number=guest.connects: self._connect_again(guest, number))
                case e.Fetch(track=track):
                    guest.fetches.append(effect)
                    self._under_way(guest, track.file_id, effect, self._fetched)
                case e.Upload(request_id=request_id):
                    guest.uploads.append(effect)
                    self._under_way(guest, request_id, effect, self._uploaded)
                case e.CancelFetch(file_id=key) | e.CancelUpload(request_id=key):
                    guest.under_way.pop(key, None)

    def _arrive(self, guest: Guest, conn: int | None, what: Callable[[], None]) -> None:
        """After the way; `conn`: only if the guest still listens there."""

        def arrive() -> None:
            if guest.cut:
                guest.held.append(arrive)
            elif conn in (None, guest.conn):
                what()

        self._at(guest.delay_ns, arrive)

    def _connect(self, guest: Guest) -> None:
        guest.conn = conn = next(self._numbers)
        guest.framer = Framer(HOST_CAP)
        self.guests[conn] = guest
        self._framers[conn] = Framer(GREETING_CAP)
        self._do_guest(guest, guest.machine.connected(now_ns=self.now_ns + guest.ahead_ns))
        self._do_host(self.machine.connected(conn, now_ns=self.now_ns))

    def _connect_again(self, guest: Guest, number: int) -> None:
        if guest.dead or guest.ended or number != guest.connects:
            return
        if guest.cut:
            self._at(CONNECT_NS, lambda: self._connect_failed(guest, number, refused=False))
        elif self.host.ended or self.host_dead:
            self._connect_failed(guest, number, refused=True)
        else:
            self._connect(guest)

    def _connect_failed(self, guest: Guest, number: int, *, refused: bool) -> None:
        if number == guest.connects:
            now_ns = self.now_ns + guest.ahead_ns
            self._do_guest(guest, guest.machine.connect_failed("no answer", refused=refused, now_ns=now_ns))

    def _closed(self, guest: Guest, conn: int) -> None:
        """What it closed itself is over, unless another connection has taken its place."""
        if guest.conn == conn:
            self._lost_by_guest(guest)

    def _to_guest(self, guest: Guest, data: bytes) -> None:
        if not guest.dead:
            for message in guest.framer.feed(data):
                guest.got.append(message)
                self._do_guest(guest, guest.machine.received(message, now_ns=self.now_ns + guest.ahead_ns))

    def _to_host(self, conn: int, data: bytes) -> None:
        try:
            for message in self._framers[conn].feed(data):
                self._do_host(self.machine.received(conn, message, now_ns=self.now_ns))
        except ProtocolError as error:
            self._do_host(self.machine.disconnected(conn, lost(str(error)), now_ns=self.now_ns))

    def _lost_by_guest(self, guest: Guest) -> None:
        if not guest.dead:
            self._do_guest(guest, guest.machine.disconnected("closed", now_ns=self.now_ns + guest.ahead_ns))

    def _lost_by_host(self, conn: int) -> None:
        self._do_host(self.machine.disconnected(conn, lost("closed"), now_ns=self.now_ns))

    def _under_way(
        self, guest: Guest, key: UUID, bulk: e.Fetch | e.Upload, over: Callable[[Guest, e.Fetch | e.Upload], None]
    ) -> None:
        """A bulk connection, which a short cut only delays."""
        guest.under_way[key] = bulk

        def end() -> None:
            if guest.under_way.get(key) is not bulk or guest.dead:
                return
            if guest.cut:
                guest.held.append(end)
            else:
                del guest.under_way[key]
                over(guest, bulk)

        self._at(guest.fetch_ns, end)

    def _fetched(self, guest: Guest, fetch: e.Fetch | e.Upload) -> None:
        assert isinstance(fetch, e.Fetch)
        allowed = self.machine.authorise_fetch(fetch.peer_id, fetch.token, fetch.track.file_id)
        if not self.host_dead and allowed == fetch.track and next(guest.fetch_results):
            self.on_guest(guest, guest.machine.file_ready, fetch.track.file_id)
        else:
            self.on_guest(guest, guest.machine.file_failed, fetch.track.file_id, "The hash is wrong.")

    def _uploaded(self, guest: Guest, upload: e.Fetch | e.Upload) -> None:
        assert isinstance(upload, e.Upload)
        problem = "The connection was lost."
        request = self.machine.authorise_upload(upload.peer_id, upload.token, upload.request_id)
        if not self.host_dead and request is not None:
            result = next(guest.upload_results)
            if result is True:
                problem = ""
                number = next(self._songs)
                song = a_track(number, file_name=request.file_name, size=upload.size, sha256=upload.sha256)
                self.on_host(self.machine.uploaded, upload.request_id, song)
            elif result:
                self.on_host(self.machine.upload_refused, upload.request_id, result)
        self.on_guest(guest, guest.machine.upload_ended, upload.request_id, problem)


def ready(*names: str, tracks: int = 1, seconds: float = 60.0) -> tuple[Party, list[Guest]]:
    """A party where everybody has everything and keeps time."""
    party = Party()
    guests = [party.invite(name) for name in names or ("Ana", "Ben")]
    party.run(0.1)
    party.say(*(Add(a_track(number + 1, seconds)) for number in range(tracks)))
    party.run(2)
    return party, guests


def line(party: Party) -> Timeline:
    """What the host plays."""
    timeline = party.machine.snapshot().timeline
    assert timeline is not None
    return timeline


def all_follow_the_same(party: Party, guests: list[Guest]) -> bool:
    """Every loudspeaker does what the host's does."""
    return all(guest.following == party.host.following for guest in guests)


def error(node: Party | Node) -> object:
    """What the people there were told last of what cannot be done or went wrong."""
    return (node.host if isinstance(node, Party) else node).events("error")[-1].fields["message"]
