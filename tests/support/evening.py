"""Whole evenings on simulated time: machines that join, crash, sleep and lose their network, while the host changes.

Real session cores and real frames. The clocks drift, the network has a fixed delay and may be cut into groups, and
files move when both machines reach each other. Every machine measures the session clock of its host with a small
error, and a new host continues its line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from phaselock.model.heritage import HostContact
from phaselock.model.types import AudioStatus, ClockStatus, Track
from phaselock.protocol.framing import GREETING_CAP, HOST_CAP, SESSION_CAP, Framer, frame
from phaselock.protocol.messages import CodeNeeded, HostTold, Message
from phaselock.protocol.proof import FETCH, UPLOAD, membership_proof
from phaselock.session import commands as c
from phaselock.session import effects as e
from phaselock.session.host.session import HostSession
from phaselock.session.peer.session import PeerSession
from tests.support.session_harness import ReportedOutput
from tests.support.simulation import a_track
from tests.support.told import Told, lost, told
from tests.support.virtual_clock import VirtualClock

MS = 1_000_000
SECOND = 1_000_000_000
DELAY_NS = 2 * MS
TIMEOUT_NS = 2 * SECOND
"""How long an attempt to connect waits."""
FILE_NS = 50 * MS
"""How long a file takes."""
REPORT_EVERY_NS = 1000 * MS
MEASURING_ERROR_NS = 5_000
CONTROL_PORT, CLOCK_PORT = 17401, 17402


class Evening:
    """All machines, their network, and true time."""

    def __init__(self, *, max_peers: int = 5) -> None:
        self.now_ns = 1000 * SECOND
        self.max_peers = max_peers
        self.machines: list[Machine] = []
        self.links: list[Link] = []
        self.sent_bytes: dict[type[Message], int] = {}
        """By class, on all connections."""
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.conns = itertools.count(1)
        self.songs = itertools.count(1)

    def at(self, at_ns: int, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(at_ns, self.now_ns), next(self._numbers), call))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end_ns:
            self.now_ns, _, call = heapq.heappop(self._due)
            call()
        self.now_ns = end_ns

    def run_until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> float:
        """Let time pass until the condition holds, and return how long that took, in seconds."""
        begin_ns = self.now_ns
        while not condition():
            assert self.now_ns < begin_ns + timeout_s * SECOND, f"the condition did not hold within {timeout_s} s"
            self.run(0.01)
        return (self.now_ns - begin_ns) / SECOND

    def machine(self, name: str, ppm: float = 0.0, **options: Any) -> Machine:
        """One more computer."""
        one = Machine(self, name, len(self.machines) + 1, ppm, **options)
        self.machines.append(one)
        return one

    def cut(self, *groups: Iterable[Machine]) -> None:
        """Cut the network into these groups; the machines that no group has are one more."""
        for one in self.machines:
            one.group = 0
        for number, group in enumerate(groups, 1):
            for one in group:
                one.group = number

    def heal(self) -> None:
        """All machines reach each other again."""
        self.cut()
        for link in list(self.links):
            link.flush()

    def hosts(self, group: int | None = None) -> list[Machine]:
        """The machines that are awake and host now."""
        found = [one for one in self.machines if isinstance(one.core, HostSession) and one.is_up]
        return found if group is None else [one for one in found if one.group == group]

    def by_key(self, host_key: bytes) -> Machine | None:
        return next((one for one in self.machines if one.key.startswith(host_key)), None)


class Link:
    """A control connection: the client's end is 0, the server's 1."""

    def __init__(self, evening: Evening, client: Machine, server: Machine) -> None:
        self.conn = next(evening.conns)
        self.ends = client, server
        self.evening = evening
        self.framers = Framer(HOST_CAP), Framer(GREETING_CAP)
        self.is_open = [True, True]
        self._held: list[tuple[int, bytes]] = []
        evening.links.append(self)

    def send(self, end: int, message: Message) -> None:
        """From this end."""
        data = frame(message)
        sent = self.evening.sent_bytes
        sent[type(message)] = sent.get(type(message), 0) + len(data)
        self._send(end, data)

    def close(self, end: int) -> None:
        """This end closes, or its process has ended: the other one notices it as soon as the network lets it."""
        if self.is_open[end]:
            self.is_open[end] = False
            self._send(end, b"")

    def _send(self, end: int, data: bytes) -> None:
        self.evening.at(self.evening.now_ns + DELAY_NS, lambda: self._arrive(1 - end, data))

    def _arrive(self, end: int, data: bytes) -> None:
        if self._held or not self.ends[0].reaches(self.ends[1]):
            self._held.append((end, data))
        else:
            self._take(end, data)

    def _take(self, end: int, data: bytes) -> None:
        receiver = self.ends[end]
        if not self.is_open[end]:
            return
        if not data:
            self.is_open[end] = False
            receiver.link_ended(self, end)
            return
        for message in self.framers[end].feed(data):
            if self.is_open[end]:
                receiver.received(self, end, message)

    def flush(self, *, ends: bool = True) -> None:
        """The network works again. `ends`: also what closes the connection arrives."""
        later = [] if ends else [one for one in self._held if not one[1]]
        held, self._held = [one for one in self._held if one not in later], []
        for end, data in held:
            self._arrive(end, data)
        self._held += later
        if not any(self.is_open) and not self._held and self in self.evening.links:
            self.evening.links.remove(self)


class Machine:
    """One computer, and the session that runs on it."""

    def __init__(
        self, evening: Evening, name: str, number: int, ppm: float, *, may_host: bool = True, wired: bool | None = None
    ) -> None:
        self.evening = evening
        self.name = name
        self.ip = f"10.0.0.{number}"
        self.key = hashlib.sha256(name.encode()).digest()
        self.clock = VirtualClock(number * 100 * SECOND, ppm)
        self.output = ReportedOutput()
        self.may_host, self.wired = may_host, wired
        self.group = 0
        self.core: HostSession | PeerSession | None = None
        self.is_walled = False
        """A firewall lets no connection in."""
        self.is_off = False
        """It does not answer: its battery is empty."""
        self.asleep_until_ns = 0
        self._waiting: list[Callable[[], None]] | None = None
        """Calls that wait for a process that is stopped; None: it is not."""
        self.files: set[bytes] = set()
        self.tracks: dict[bytes, Track] = {}
        self.effects: list[e.Effect] = []
        """All effects of all cores so far."""
        self.received_messages: list[Message] = []
        """From hosts."""
        self.ended: e.Ended | None = None
        self._tokens = itertools.count(1)
        self._timer = 0
        self._run = 0
        """Number of the process."""
        # A host's line: session time at a local time, and its rate.
        self._line: tuple[int, int, float] = (0, 0, 1.0)
        self._status = ClockStatus(0, False, True, None, None, None, None)
        self.links: dict[int, Link] = {}
        """Of a host, by the number of the connection."""
        self.link: Link | None = None
        """Of a peer."""
        self._target: tuple[Machine, bytes] | None = None
        self._attempt = 0
        self.is_standing_by = False
        self._transfers: set[object] = set()
        self.following: e.Follow | None = None

    # -- what tests do -----------------------------------------------------------------------------------------------

    def host(self, **options: Any) -> None:
        """Found a session."""
        options.setdefault("max_peers", self.evening.max_peers)
        core = HostSession(
            session_name="Friday", host_name=self.name, host_key=self.key, token_factory=self._token, **options
        )
        self._line = (self.local_ns, self.local_ns, 1.0)
        self._begin(core)
        self.call("reachable_at", (self.ip,), CONTROL_PORT, wired=self.wired)

    def join(self, host: Machine, **options: Any) -> None:
        """Join the session of this host."""
        self.ended = None
        self._status = ClockStatus(0, False, True, None, None, None, None)
        self._begin(PeerSession(display_name=self.name, may_host=self.may_host, **options))
        self._target = host, host.key
        self._open(host)

    def command(self, *commands: Any) -> None:
        """Its user gives commands."""
        for command in commands:
            if isinstance(command, c.Add):
                self._have(command.track)
            if isinstance(command, c.Request):
                self.files.add(command.sha256)
            self.call("command", command)

    def add(self, seconds: float = 60.0) -> Track:
        """Add a new song that is on this host only."""
        track = a_track(next(self.evening.songs), seconds)
        self.command(c.Add(track))
        return track

    def crash(self) -> None:
        """The process dies; the computer refuses new connections."""
        self._stop()

    def switch_off(self) -> None:
        """The battery is empty."""
        self.is_off = True
        self.core = None
        for link in [*self.links.values(), *([self.link] if self.link else [])]:
            link.is_open[link.ends.index(self)] = False
        self._stop()

    def sleep(self, seconds: float) -> None:
        """Run nothing for that time, and answer nothing. The clock goes on."""
        self.asleep_until_ns = self.evening.now_ns + round(seconds * SECOND)
        self.evening.at(self.asleep_until_ns, self._wake)

    def stop(self, seconds: float) -> None:
        """Stop the process for that time. The computer accepts connections, and what arrives is read afterwards, before
        the process notices that connections are closed."""
        self._waiting = []
        self.sleep(seconds)

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def local_ns(self) -> int:
        return self.clock.local(self.evening.now_ns)

    @property
    def is_awake(self) -> bool:
        return self.evening.now_ns >= self.asleep_until_ns

    @property
    def is_up(self) -> bool:
        return self.core is not None and self.is_awake and not self.is_off

    @property
    def is_host(self) -> bool:
        return isinstance(self.core, HostSession)

    @property
    def is_connected(self) -> bool:
        """As a host, or as a peer that its host has accepted."""
        return self.core is not None and (self.is_host or self.snapshot().connected)

    def snapshot(self) -> Any:
        assert self.core is not None
        return self.core.snapshot()

    def reaches(self, other: Machine) -> bool:
        return self.group == other.group and not (self.is_off or other.is_off) and self.is_awake and other.is_awake

    def session_ns(self) -> int | None:
        """What this machine believes the session time is."""
        local_ns = self.local_ns
        if self.is_host:
            return self._session_from_local(local_ns)
        return self._status.session_from_local(local_ns)

    def of(self, kind: type) -> list[Any]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def events(self, *names: str) -> list[Told]:
        return [told(effect.event) for effect in self.of(e.Notify) if effect.event.event_name in names]

    # -- the process -------------------------------------------------------------------------------------------------

    def _token(self) -> bytes:
        return hashlib.sha256(f"{self.name} {next(self._tokens)}".encode()).digest()[:16]

    def _have(self, track: Track) -> None:
        self.files.add(track.sha256)
        self.tracks[track.sha256] = track

    def _begin(self, core: HostSession | PeerSession) -> None:
        self.core = core
        self._run += 1
        run = self._run
        self.evening.at(self.evening.now_ns, lambda: self._report(run))

    def _stop(self) -> None:
        self.core = None
        self._run += 1
        for link in list(self.links.values()):
            link.close(1)
        if self.link:
            self.link.close(0)
        self.links, self.link, self.is_standing_by = {}, None, False
        self._transfers.clear()
        self.following = None

    def _wake(self) -> None:
        if not self.is_awake:
            return
        self._report(self._run)
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            self._read_on()
        else:
            self.evening.at(self.evening.now_ns + MS, lambda: self._read_on(ends=False))
            for call in waiting:
                self.evening.at(self.evening.now_ns + 2 * MS, call)
            self.evening.at(self.evening.now_ns + 3 * MS, self._read_on)

    def _read_on(self, *, ends: bool = True) -> None:
        for link in list(self.evening.links):
            link.flush(ends=ends)

    def _report(self, run: int) -> None:
        if run != self._run or self.core is None or not self.is_awake:
            return
        if isinstance(self.core, PeerSession):
            self._measure()
            self.call("clock", self._status)
        if self.core is not None:
            status: AudioStatus = self.output.status()
            self.call("audio", status)
        if self.core is not None and (self.is_host or not self.is_connected):
            self._discover()
        self.evening.at(self.evening.now_ns + REPORT_EVERY_NS, lambda: self._report(run))

    def _discover(self) -> None:
        """The network announces the other hosts of this session."""
        for host in self.evening.hosts(self.group):
            if self.core is None or host is self or not isinstance(host.core, HostSession):
                continue
            lost_key = b"" if self.is_host else self.core.host_key
            if host.core.session_id == self.core.session_id and host.key != lost_key:
                self.call("met", host.ip, CONTROL_PORT, host.key[:16])

    def _measure(self) -> None:
        host = self.link.ends[1] if self.link is not None else None
        local_ns = self.local_ns
        if host is not None and host.is_host and self.reaches(host) and self.is_connected:
            error_ns = MEASURING_ERROR_NS if self.ip.endswith(("2", "5")) else -MEASURING_ERROR_NS
            offset_ns = host._session_from_local(host.local_ns) + error_ns - local_ns
            ahead_ns = self.clock.local(self.evening.now_ns + SECOND) - local_ns
            host_local_ns = host.clock.local(self.evening.now_ns + SECOND)
            rate = (host._session_from_local(host_local_ns) - host._session_from_local(host.local_ns)) / ahead_ns
            self._status = ClockStatus(
                local_ns, True, False, offset_ns, (rate - 1) * 1e6, 20_000, 2 * DELAY_NS, 2 * DELAY_NS
            )
        elif self._status.usable:
            self._status = dataclasses.replace(self._status, stale=True)

    def _session_from_local(self, local_ns: int) -> int:
        from_ns, session_ns, rate = self._line
        return session_ns + round((local_ns - from_ns) * rate)

    def _now_ns(self) -> int:
        """As the core counts it."""
        return self._session_from_local(self.local_ns) if self.is_host else self.local_ns

    def call(self, method: str, *arguments: Any, **more: Any) -> Any:
        """Call a method of the core now, and execute its effects. Return what it returns besides them."""
        core = self.core
        if core is None:
            return None
        assert self.is_awake, "a machine that sleeps does nothing"
        result = getattr(core, method)(*arguments, **more, now_ns=self._now_ns())
        answer, effects = result if isinstance(result, tuple) else (None, result)
        self._do(core, effects)
        return answer

    def _do(self, core: object, effects: list[e.Effect]) -> None:
        self.effects += effects
        for effect in effects:
            if self.core is core:
                self._execute(effect)
        self._timer += 1
        number = self._timer
        deadline_ns = self.core.next_deadline_ns() if self.core is not None else None
        if deadline_ns is None:
            return
        if self.is_host:
            from_ns, session_ns, rate = self._line
            deadline_ns = from_ns + round((deadline_ns - session_ns) / rate) + 1
        self.evening.at(max(self.clock.true(deadline_ns), self.evening.now_ns), lambda: self._on_timer(number))

    def _on_timer(self, number: int) -> None:
        if number == self._timer and self.core is not None and self.is_awake:
            self.call("timer")

    def _execute(self, effect: e.Effect) -> None:
        match effect:
            case e.Send(0, message) if self.link is not None:
                self.link.send(0, message)
            case e.Send(conn, message) if conn in self.links:
                self.links[conn].send(1, message)
            case e.Broadcast(conns, message):
                for conn in conns:
                    if conn in self.links:
                        self.links[conn].send(1, message)
            case e.AskCode(conn) if conn in self.links:
                self.links[conn].send(1, CodeNeeded())
            case e.Close(0):
                if self.link is not None:
                    self.link.close(0)
                    self.link = None
            case e.Close(conn):
                if (link := self.links.pop(conn, None)) is not None:
                    link.close(1)
            case e.AllowClock(_, conn):
                if conn in self.links:
                    self.links[conn].framers[1].cap = SESSION_CAP
            case e.Pair(code):
                self._pair(code)
            case e.Follow():
                self.following = effect
            case e.Connect():
                self._connect()
            case e.Fetch(track):
                self._transfer(track.file_id, lambda: self._fetched(effect))
            case e.Upload(request_id):
                self._transfer(request_id, lambda: self._uploaded(effect))
            case e.CancelFetch(key) | e.CancelUpload(key):
                self._transfers.discard(key)
            case e.OpenForSuccession():
                self.is_standing_by = True
                self.call("stands_by", CONTROL_PORT, CLOCK_PORT, self.key, (self.ip,), self.wired)
            case e.CloseForSuccession():
                self.is_standing_by = False
            case e.AskHost():
                self._ask(effect)
            case e.TakeOver():
                self._take_over(effect)
            case e.FollowHost():
                self._follow(effect)
            case e.Ended():
                self.ended = effect
                self._stop()
            case _:
                pass

    # -- connections -------------------------------------------------------------------------------------------------

    def _open(self, server: Machine) -> None:
        """A connection to that machine, which reaches this one, is there."""
        self.link = link = Link(self.evening, self, server)
        self.call("connected", server.key)
        if self.link is link:
            server.accept(link)

    def accept(self, link: Link) -> None:
        if self.is_host:
            self.links[link.conn] = link
            self.call("connected", link.conn, link.ends[0].ip)
        else:
            assert isinstance(self.core, PeerSession)
            link.send(1, self.core.standby_info())

    def received(self, link: Link, end: int, message: Message) -> None:
        if end == 0:
            if link is self.link:
                self.received_messages.append(message)
                self.call("received", message)
        elif link.conn in self.links:
            self.call("received", link.conn, message)
        else:  # at the ports of a machine that stands by
            link.close(1)

    def link_ended(self, link: Link, end: int) -> None:
        if end == 0 and link is self.link:
            self.link = None
            self.call("disconnected", "closed")
        elif end == 1 and self.links.pop(link.conn, None) is not None:
            self.call("disconnected", link.conn, lost("closed"))

    def _connect(self) -> None:
        if self.link is not None:
            self.link.close(0)
            self.link = None
        self._attempt += 1
        number, run = self._attempt, self._run
        assert self._target is not None
        server, key = self._target
        self._reach(server, lambda how: self._connected(number, run, server, key, how))

    def _reach(self, server: Machine, then: Callable[[str], None]) -> None:
        """Call `then` with "ok" or "refused" after a round trip, or with "" after the timeout, as soon as this machine
        is awake."""
        evening = self.evening

        def fails() -> None:
            if self.is_awake:
                then("")
            else:
                evening.at(self.asleep_until_ns, fails)

        def arrives() -> None:
            if server._waiting is not None and server.asleep_until_ns < begin_ns + TIMEOUT_NS:
                server._waiting.append(arrives)
            elif not self.reaches(server) or server.is_walled:
                evening.at(begin_ns + TIMEOUT_NS, fails)
            else:
                then("ok" if server.is_host or server.is_standing_by else "refused")

        begin_ns = evening.now_ns
        evening.at(begin_ns + 2 * DELAY_NS, arrives)

    def _connected(self, number: int, run: int, server: Machine, key: bytes, how: str) -> None:
        if number != self._attempt or run != self._run or self.core is None:
            return
        if how == "ok" and server.key == key:
            self._open(server)
        else:
            self.call("connect_failed", "no answer", refused=how == "refused")

    def _ask(self, ask: e.AskHost) -> None:
        run, server = self._run, self.evening.by_key(ask.contact.host_key)
        assert server is not None and ask.contact.addresses
        data = frame(ask.message)
        message = next(iter(Framer(GREETING_CAP).feed(data)))

        def answered(how: str) -> None:
            if run != self._run or self.core is None:
                return
            answer = server.sought(self, message) if how == "ok" else None
            if answer is not None:
                answer = next(iter(Framer(HOST_CAP).feed(frame(answer))))
            if run == self._run:
                self.call("told", ask.number, answer, refused=how == "refused")

        self._reach(server, answered)

    def sought(self, asker: Machine, message: Any) -> Any:
        """Answer a HostSeek on a connection of its own."""
        if not self.is_host:
            return self.call("sought", message)
        before = len(self.effects)
        conn = next(self.evening.conns)
        self.call("connected", conn, asker.ip)
        self.call("received", conn, message)
        answers = [one.message for one in self.effects[before:] if isinstance(one, e.Send) and one.conn == conn]
        return next((one for one in answers if isinstance(one, HostTold)), None)

    def _pair(self, code: str) -> None:
        """What both sides find out by a pairing."""
        link = self.link
        assert link is not None
        host = link.ends[1]
        wanted = host.call("begin_pairing", link.conn)
        if wanted and code == wanted:
            host.call("paired", link.conn, wanted)
            self.call("paired")
        elif wanted:
            host.call("not_paired", link.conn)

    # -- another host ------------------------------------------------------------------------------------------------

    def _take_over(self, effect: e.TakeOver) -> None:
        status, local_ns = self._status, self.local_ns
        session_ns = status.session_from_local(local_ns)
        assert session_ns is not None
        self._line = local_ns, session_ns, 1 + (status.drift_ppm or 0.0) * 1e-6
        self.link = None
        self._transfers.clear()
        core = HostSession.from_heritage(
            effect.heritage, clock_port=CLOCK_PORT, token_factory=self._token, host_key=self.key
        )
        self._begin(core)
        self.call("reachable_at", (self.ip,), CONTROL_PORT, wired=self.wired)
        self.call("took_over", effect.cause)
        for wish in effect.wishes:
            self.command(c.Add(a_track(next(self.evening.songs), sha256=wish.sha256)))

    def _follow(self, effect: e.FollowHost) -> None:
        server = self.evening.by_key(effect.host.host_key)
        assert server is not None
        self._target = server, effect.host.host_key
        if self.is_host:
            local_ns, session_ns = self.local_ns, self._now_ns()
            rate = self._line[2]
            self._status = ClockStatus(
                local_ns, True, True, session_ns - local_ns, (rate - 1) * 1e6, 20_000, 2 * DELAY_NS, 2 * DELAY_NS
            )
            for link in self.links.values():
                link.close(1)
            self.links = {}
            core = PeerSession.of_former_host(effect, may_host=self.may_host)
            self._begin(core)
            self.is_standing_by = True
            self.call("resume", self._status)

    # -- files -------------------------------------------------------------------------------------------------------

    def _transfer(self, key: object, done: Callable[[], None]) -> None:
        self._transfers.add(key)
        run = self._run

        def end() -> None:
            if run != self._run or key not in self._transfers or self.core is None:
                return
            if not self.is_awake:
                self.evening.at(self.asleep_until_ns, end)
                return
            self._transfers.discard(key)
            done()

        self.evening.at(self.evening.now_ns + FILE_NS, end)

    def _fetched(self, fetch: e.Fetch) -> None:
        host = self.link.ends[1] if self.link is not None else None
        track = fetch.track
        if track.sha256 in self.files:
            self.call("file_ready", track.file_id)
        elif (
            host is not None
            and self.reaches(host)
            and isinstance(host.core, HostSession)
            and host.core.authorise_fetch(fetch.peer_id, membership_proof(fetch.token, FETCH, host.key), track.file_id)
            and track.sha256 in host.files
        ):
            self._have(track)
            self.call("file_ready", track.file_id)
        else:
            self.call("file_failed", track.file_id, "The hash is wrong.")

    def _uploaded(self, upload: e.Upload) -> None:
        host = self.link.ends[1] if self.link is not None else None
        problem = "The connection was lost."
        if host is not None and self.reaches(host) and isinstance(host.core, HostSession):
            proof = membership_proof(upload.token, UPLOAD, host.key)
            request = host.core.authorise_upload(upload.peer_id, proof, upload.request_id, upload.sha256)
            assert upload.sha256 in self.files, f"{self.name} has no such song"
            if request is not None:
                problem = ""
                track = host.core.recovers(upload.request_id)
                if track is None:
                    number = next(self.evening.songs)
                    track = a_track(number, file_name=request.file_name, size=upload.size, sha256=upload.sha256)
                host._have(track)
                host.call("uploaded", upload.request_id, track)
        self.call("upload_ended", upload.request_id, problem)


def contact(machine: Machine, peer_id: int = 1) -> HostContact:
    """Where this machine is."""
    return HostContact(peer_id, machine.name, (machine.ip,), CONTROL_PORT, CLOCK_PORT, machine.key)
