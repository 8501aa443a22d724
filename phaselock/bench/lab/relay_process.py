"""The process of the relay (see relay.py): one thread and one loop.

It gets its plan as one line of JSON on its standard input, says one line when it listens and one with what it did at
its end, which is the end of its input.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import heapq
import json
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from phaselock.bench.lab.links import SEGMENT_BYTES, Path, Uplink
from phaselock.bench.lab.relay import Plan, peer_ip
from phaselock.errors import PhaseLockError
from phaselock.network.listener import bind

MAX_LINE_BYTES = 64 * 1024
MAX_DATAGRAM_BYTES = 64 * 1024
MAX_SENDERS = 64
"""UDP ports of one peer that are remembered; the one that came first is forgotten for the next."""
MAX_CONNECTIONS = 128

SPIN_NS = 50_000
"""Before a datagram is due the loop waits awake for so long: sleeping ends late."""
STALE_NS = 1_000_000_000
"""A kernel's stamp says nothing about a datagram that is older: the clock was set."""
FILL_NS = 20_000_000
"""So much queue TCP may make on a link with a limit; the rest waits in the sender's socket."""
READ_BYTES = 8 * SEGMENT_BYTES
"""Of each connection in turn, so that they share a link evenly."""
LARGE_READ_BYTES = 256 * 1024
"""Where segments need not be told apart."""
ROOM_BYTES = 64 * 1024
"""A pipe holds so much more than what is on its way."""
MAX_BYTES_S = 125_000_000.0
"""What is on its way where there is no limit is that of 1 Gbit/s."""
SOCKET_BYTES = 128 * 1024
GATHER_NS = 250_000
"""Segments due so close to each other arrive together, as a network card hands them over."""

_now_ns = time.perf_counter_ns  # the monotonic clock of some Pythons on Windows ticks every 16 ms
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else 0  # of asm-generic/socket.h; Python does not name it
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = 64
Address = tuple[str, int]


class Loop:
    """Waits for sockets and instants, to a few microseconds. One thread's own."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.writers: dict[int, Callable[[], None]] = {}
        self.running = True
        self.late_us = collections.Counter[int]()
        """How late what had to be exact was, in whole microseconds."""
        self._due: list[tuple[int, int, bool, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0

    def at(self, due_ns: int, call: Callable[..., object], *arguments: Any, exact: bool = False) -> None:
        """Call then; what is due at one instant is called in the order in which it was asked for."""
        self._order += 1
        heapq.heappush(self._due, (due_ns, self._order, exact, call, arguments))

    def run(self) -> None:
        """Until `running` is False."""
        while self.running:
            timeout_s = None
            if self._due:
                due_ns, _, exact, *_ = self._due[0]
                timeout_s = max(0, due_ns - (SPIN_NS if exact else 0) - _now_ns()) / 1e9
            # Not epoll, whose waiting Python rounds to milliseconds. A connection that fails is exceptional on Windows.
            readable, writable, failed = select.select(self.readers, self.writers, self.writers, timeout_s)
            self._fire()
            for ready, handlers in ((readable, self.readers), (dict.fromkeys(writable + failed), self.writers)):
                for fd in ready:
                    if handler := handlers.get(fd):
                        handler()
                        self._fire()

    def _fire(self) -> None:
        due = self._due
        while due:
            at_ns, _, exact, call, arguments = due[0]
            now_ns = _now_ns()
            if now_ns < at_ns - (SPIN_NS if exact else 0):
                return
            heapq.heappop(due)
            if exact:
                while now_ns < at_ns:
                    now_ns = _now_ns()
                self.late_us[(now_ns - at_ns) // 1000] += 1
            call(*arguments)


# -- UDP ---------------------------------------------------------------------------------------------------------------


class Datagrams:
    """The clock's datagrams between one peer and the host. Both ways are one and the same code, so that its own time is
    the same as well."""

    def __init__(self, loop: Loop, sock: socket.socket, host: Address, up: Path, down: Path) -> None:
        self.passed = self.lost = 0
        self._loop = loop
        self._ip = sock.getsockname()[0]
        self._host = host
        self._up = up
        self._down = down
        self._sock = sock
        self._upstream: dict[Address, tuple[socket.socket, Address]] = {}
        """For each port of the peer, where to and how."""
        self._listen(sock, up, self._upstream, self._meet)

    def close(self) -> None:
        """The end of all sockets."""
        for sock, _ in self._upstream.values():
            sock.close()
        self._sock.close()

    def _listen(
        self,
        sock: socket.socket,
        path: Path,
        ways: dict[Address, tuple[socket.socket, Address]],
        meet: Callable[[Address], bool],
    ) -> None:
        sock.setblocking(False)
        if _SO_TIMESTAMPNS:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

        def read() -> None:
            try:
                data, sender, arrived_ns = _receive(sock)
            except OSError:  # nothing there after all, or word of a port where nobody listens
                return
            if sender not in ways and not meet(sender):
                return
            due_ns = path.datagram(len(data), arrived_ns)
            if due_ns is None:
                self.lost += 1
            else:
                self._loop.at(due_ns, self._pass_on, *ways[sender], data, exact=True)

        self._loop.readers[sock.fileno()] = read

    def _pass_on(self, sock: socket.socket, receiver: Address, data: bytes) -> None:
        with contextlib.suppress(OSError):  # forgotten meanwhile, or no room: lost
            sock.sendto(data, receiver)
            self.passed += 1

    def _meet(self, sender: Address) -> bool:
        if len(self._upstream) >= MAX_SENDERS:
            forgotten, _ = self._upstream.pop(next(iter(self._upstream)))
            del self._loop.readers[forgotten.fileno()]
            forgotten.close()
        sock = bind(self._ip, 0, socket.SOCK_DGRAM)
        self._upstream[sender] = sock, self._host
        self._listen(sock, self._down, {self._host: (self._sock, sender)}, lambda stranger: False)
        return True


def _receive(sock: socket.socket) -> tuple[bytes, Address, int]:
    """A datagram, who sent it, and when it arrived: by the kernel's stamp where there is one, which leaves out how long
    this process was about other things."""
    if not _SO_TIMESTAMPNS:
        data, sender = sock.recvfrom(MAX_DATAGRAM_BYTES)
        return data, sender, _now_ns()
    data, control, _, sender = sock.recvmsg(MAX_DATAGRAM_BYTES, _CONTROL_BYTES)
    real_ns = time.time_ns()
    now_ns = _now_ns()  # in this order: a pause between the two makes an arrival late, never early
    for level, kind, value in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
            seconds, rest_ns = _TIMESPEC.unpack(value)
            age_ns = real_ns - seconds * 1_000_000_000 - rest_ns
            if 0 <= age_ns < STALE_NS:
                now_ns -= age_ns
    return data, sender, now_ns


# -- TCP ---------------------------------------------------------------------------------------------------------------


class Pipe:
    """One direction of a connection: what was read, and when it may arrive. Nothing overtakes."""

    def __init__(
        self, connection: Connection, source: socket.socket, sink: socket.socket, path: Path, back: Path
    ) -> None:
        self.path = path
        self._back = back
        self.paused = False
        """Waits for the link; then the link wakes it."""
        self._connection = connection
        self._loop = connection.loop
        self._source = source
        self._sink = sink
        self._chunks = collections.deque[tuple[int, bytes | memoryview]]()
        """(when it arrives, what); what is empty is the end."""
        self._held_bytes = 0
        self._last_ns = 0
        self._ended = self._reset = self._deaf = self._timed = False
        self.done = False
        """The end has been passed on."""
        link = path.uplink.link
        self._whole = not link.mbit and not path.loss
        bytes_s = link.mbit * 125_000 if link.mbit else MAX_BYTES_S
        self._most_bytes = round(bytes_s * (path.round_trip_ns + FILL_NS) / 1e9) + ROOM_BYTES
        if link.mbit:
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)

    def listen(self) -> None:
        """Read on, unless it is full or over."""
        if not (self._ended or self._connection.closed or self._held_bytes >= self._most_bytes):
            self._loop.readers[self._source.fileno()] = self._read

    def end(self, *, reset: bool = False) -> None:
        """The sender has ended; `reset`: it does not listen any more either."""
        if self._reset or (self._ended and not reset):
            return
        self._ended, self._reset = True, reset
        self._loop.readers.pop(self._source.fileno(), None)
        self._put(b"", _now_ns())

    def _read(self) -> None:
        now_ns = _now_ns()
        if self.path.uplink.backlog_ns(now_ns) > FILL_NS:
            del self._loop.readers[self._source.fileno()]
            self._connection.wait_for_link(self, now_ns)
            return
        try:
            data = self._source.recv(LARGE_READ_BYTES if self._whole else READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.end(reset=True)
            return
        if not data:
            self.end()
        elif self._whole:
            self._put(data, now_ns)
        else:
            view = memoryview(data)
            for begin in range(0, len(data), SEGMENT_BYTES):
                self._put(view[begin : begin + SEGMENT_BYTES], now_ns)
        if self._held_bytes >= self._most_bytes:
            self._loop.readers.pop(self._source.fileno(), None)

    def _put(self, data: bytes | memoryview, now_ns: int) -> None:
        self._last_ns = max(self._last_ns, self.path.segment(len(data), now_ns))
        self._chunks.append((self._last_ns, data))
        self._held_bytes += len(data)
        if not self._timed:
            self._time()

    def _time(self) -> None:
        """See to it that what comes next is passed on, with what comes close behind it."""
        due_ns = self._chunks[0][0]
        for at_ns, _ in self._chunks:
            if at_ns > self._chunks[0][0] + GATHER_NS:
                break
            due_ns = at_ns
        self._timed = True
        self._loop.at(due_ns, self._wake)

    def _wake(self) -> None:
        self._timed = False
        self._pass_on()

    def _pass_on(self) -> None:
        if self._connection.closed:
            return
        now_ns, ready = _now_ns(), list[bytes | memoryview]()
        ends = False
        while self._chunks and self._chunks[0][0] <= now_ns and not ends:
            data = self._chunks.popleft()[1]
            ends = not data
            ready.append(data)
        if any(ready):
            # What arrives is acknowledged: a frame on the way back, and what is sent behind it does not overtake it.
            self._back.segment(0, now_ns)
        left = self._send(b"".join(ready) if len(ready) > 1 else ready[0]) if ready else b""
        if left:
            if ends:
                self._chunks.appendleft((0, b""))
            self._chunks.appendleft((0, left))
            self._loop.writers[self._sink.fileno()] = self._pass_on
            return
        self._loop.writers.pop(self._sink.fileno(), None)
        if ends:
            if self._reset:
                self._connection.close(reset=True)
                return
            self.done = True
            with contextlib.suppress(OSError):
                self._sink.shutdown(socket.SHUT_WR)
            self._connection.close_if_done()
        elif self._held_bytes < self._most_bytes and not self.paused:
            self.listen()
        if self._chunks and not self._timed:
            self._time()

    def _send(self, data: bytes | memoryview) -> bytes | memoryview:
        """What could not be sent yet."""
        sent = len(data)
        try:
            if data and not self._deaf:
                sent = self._sink.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:  # whoever should hear this is gone: the sender learns that by the way back
            self._deaf = True
            self._connection.other(self).end(reset=True)
        self._held_bytes -= sent
        return memoryview(data)[sent:]


class Connection:
    """One TCP connection of a peer, and ours to the host for it."""

    def __init__(self, streams: Streams, client: socket.socket, ip: str, host: Address, up: Path, down: Path) -> None:
        self.loop = streams.loop
        self.closed = False
        self._streams = streams
        self._host = host
        self._client = client
        self._upstream = bind_stream(ip)
        for sock in (client, self._upstream):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._up = Pipe(self, client, self._upstream, up, down)
        self._down = Pipe(self, self._upstream, client, down, up)
        self.loop.at(up.segment(0, _now_ns()), self._connect)

    def other(self, pipe: Pipe) -> Pipe:
        """The other direction."""
        return self._down if pipe is self._up else self._up

    def wait_for_link(self, pipe: Pipe, now_ns: int) -> None:
        """Read on when there is room on the link again."""
        self._streams.wait_for_link(pipe, now_ns)

    def close_if_done(self) -> None:
        """The end, once both directions have ended."""
        if self._up.done and self._down.done:
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """The end; `reset`: so that both sides see an error, not an end."""
        self.closed = True
        for sock in (self._client, self._upstream):
            self.loop.readers.pop(sock.fileno(), None)
            self.loop.writers.pop(sock.fileno(), None)
            if reset:
                with contextlib.suppress(OSError):
                    # Windows' struct linger is of two shorts.
                    linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
        self._streams.connections.discard(self)

    def _connect(self) -> None:
        if self.closed:
            return
        try:
            self._upstream.connect(self._host)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._down.end(reset=True)
            return
        self.loop.writers[self._upstream.fileno()] = self._connected

    def _connected(self) -> None:
        del self.loop.writers[self._upstream.fileno()]
        if self._upstream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._down.end(reset=True)
        else:
            self._up.listen()
            self._down.listen()


class Streams:
    """All TCP connections."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.connections = set[Connection]()
        self._waiting: dict[Uplink, collections.deque[Pipe]] = {}

    def serve(self, listener: socket.socket, host: Address, up: Path, down: Path) -> None:
        """Relay whoever connects there."""
        ip = listener.getsockname()[0]

        def accept() -> None:
            with contextlib.suppress(OSError):  # gone already
                client, _ = listener.accept()
                if len(self.connections) < MAX_CONNECTIONS:
                    self.connections.add(Connection(self, client, ip, host, up, down))
                else:
                    client.close()

        self.loop.readers[listener.fileno()] = accept

    def close(self) -> None:
        """The end of all."""
        for connection in list(self.connections):
            connection.close(reset=True)

    def wait_for_link(self, pipe: Pipe, now_ns: int) -> None:
        """Pipes wait in the order of their coming."""
        uplink = pipe.path.uplink
        pipe.paused = True
        waiting = self._waiting.setdefault(uplink, collections.deque())
        waiting.append(pipe)
        if len(waiting) == 1:
            self.loop.at(now_ns + uplink.backlog_ns(now_ns) - FILL_NS * 3 // 4, self._go_on, waiting)

    def _go_on(self, waiting: collections.deque[Pipe]) -> None:
        while waiting:
            pipe = waiting.popleft()
            pipe.paused = False
            pipe.listen()


def bind_stream(ip: str) -> socket.socket:
    """A TCP socket that will connect from this address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((ip, 0))
    return sock


# -- the process -------------------------------------------------------------------------------------------------------


def serve(plan: Plan, listening: Callable[[], None], loop: Loop) -> dict[str, object]:
    """Relay until the loop ends; what was done. `listening` is called once peers may come. PhaseLockError when an
    address cannot be listened on."""
    host_uplink = Uplink(plan.host_link)
    host, host_clock = (plan.host_ip, plan.port), (plan.host_ip, plan.clock_port)
    streams, clocks = Streams(loop), list[Datagrams]()
    with contextlib.ExitStack() as stack:
        stack.callback(streams.close)
        for k, link in enumerate(plan.peer_links):
            ip = peer_ip(k)
            _check_address(ip)
            up = Path(Uplink(link), plan.host_link, f"{plan.seed} {k} up")
            down = Path(host_uplink, link, f"{plan.seed} {k} down")
            listener = stack.enter_context(bind(ip, plan.port, socket.SOCK_STREAM))
            streams.serve(listener, host, up, down)
            clocks.append(Datagrams(loop, bind(ip, plan.clock_port, socket.SOCK_DGRAM), host_clock, up, down))
            stack.callback(clocks[-1].close)
        listening()
        loop.run()
    late = sorted(loop.late_us.elements())
    return {
        "passed": sum(clock.passed for clock in clocks),
        "lost": sum(clock.lost for clock in clocks),
        "late_us": {name: late[int(part * (len(late) - 1))] for name, part in _PARTS.items()} if late else {},
    }


_PARTS = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _check_address(ip: str) -> None:
    try:
        socket.create_server((ip, 0)).close()
    except OSError:
        how = f": sudo ifconfig lo0 alias {ip}" if sys.platform == "darwin" else " on the loopback."
        raise PhaseLockError(f"The relay needs the address {ip}, which this machine must be given first{how}") from None


def main() -> None:
    """The process: a plan from standard input, relaying until its end. A wrong plan is a sentence and exit status 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    gc.disable()
    loop = Loop()
    wake, woken = socket.socketpair()
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES and (more := os.read(0, MAX_LINE_BYTES)):
        line += more

    def watch() -> None:
        while os.read(0, MAX_LINE_BYTES):
            pass
        wake.send(b".")

    def stop() -> None:
        loop.running = False

    def listening() -> None:
        loop.readers[woken.fileno()] = stop
        threading.Thread(target=watch, daemon=True).start()
        _be_punctual()
        _say({"ready": True})

    try:
        _say(serve(Plan.read(line), listening, loop))
    except PhaseLockError as error:
        _say({"error": str(error)})
        sys.exit(1)


def _say(fields: dict[str, Any]) -> None:
    """To the owner, who may be gone; past Python's own buffer, which would complain of that once more at the end."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), json.dumps(fields).encode() + b"\n")


def _be_punctual() -> None:
    """What the system offers against waking late, as far as it lets us."""
    with contextlib.suppress(OSError):  # Linux: how much later than asked for a sleep may end; the default is 50 us
        pathlib.Path("/proc/self/timerslack_ns").write_text("1")
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


if __name__ == "__main__":
    main()
