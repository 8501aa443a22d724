"""The model of the network in virtual time, and the relay with real sockets."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock.bench.lab import links
from phaselock.bench.lab.links import PROFILES, Link, Path, Uplink, link_from
from phaselock.bench.lab.relay import Relay, RelayConfig
from phaselock.bench.lab.relay_process import EventLoop, Pipe
from phaselock.errors import PhaseLockError

TIMEOUT_S = 20.0
STILL = Link(up_us=300, up_jitter_us=0, down_us=700, down_jitter_us=0)
MS = 1_000_000
SECOND = 1000 * MS


def path(sender: Link, receiver: Link = STILL, seed: str = "1") -> Path:
    return Path(Uplink(sender), receiver, seed)


# -- the model ---------------------------------------------------------------------------------------------------------


def test_a_packet_waits_the_delay_up_and_the_delay_down() -> None:
    up, down = Link(up_us=10, up_jitter_us=0, down_us=999), Link(up_us=999, down_us=200, down_jitter_us=0)
    assert path(up, down).datagram(32, 5 * MS) == 5 * MS + 210_000
    assert path(up, down).segment(1448, 5 * MS) == 5 * MS + 210_000


@pytest.mark.parametrize("busy", [0, 0.5, 1])
def test_jitter_is_one_sided_and_has_its_mean(busy: float) -> None:
    one = path(Link(up_us=300, up_jitter_us=400, busy=busy))
    # Far apart, so that no packet waits for the one before.
    waits_us = [((one.datagram(32, at) or 0) - at) / 1000 - 1000 for at in range(0, 4000 * SECOND, SECOND)]
    assert 0 <= min(waits_us) < 1
    assert statistics.fmean(waits_us) == pytest.approx(400 * (busy + (1 - busy) / 20), rel=0.15)
    assert statistics.median(waits_us) == pytest.approx({0: 13.9, 0.5: 47.3, 1: 277}[busy], rel=0.25)


def test_the_jitter_of_both_ends_adds_up() -> None:
    one = path(Link(up_us=0, up_jitter_us=100), Link(down_us=0, down_jitter_us=300))
    waits_us = [((one.datagram(32, at) or 0) - at) / 1000 for at in range(0, 4000 * SECOND, SECOND)]
    assert statistics.fmean(waits_us) == pytest.approx(400, rel=0.1)


def test_jitter_does_not_reorder_datagrams() -> None:
    one = path(Link(up_us=0, up_jitter_us=5000))
    times = [one.datagram(32, at) or 0 for at in range(0, 100 * MS, MS // 10)]
    assert times == sorted(times)
    assert len(set(times)) < len(times) / 2


def test_a_link_sends_one_packet_after_the_other() -> None:
    one = path(Link(up_us=300, up_jitter_us=0, mbit=8))
    size = 1000 - links.DATAGRAM_OVERHEAD_BYTES
    assert [one.datagram(size, 0) for _ in range(3)] == [2 * MS, 3 * MS, 4 * MS]
    assert one.uplink.backlog_ns(MS) == 2 * MS
    assert one.datagram(size, 10 * MS) == 12 * MS, "an idle link saves nothing up"


def test_all_paths_of_a_machine_share_its_rate() -> None:
    uplink = Uplink(Link(up_us=0, up_jitter_us=0, mbit=8))
    near, far = Path(uplink, STILL, "near"), Path(uplink, STILL, "far")
    assert near.segment(1000 - links.SEGMENT_OVERHEAD_BYTES, 0) == MS + 700_000
    assert far.datagram(1000 - links.DATAGRAM_OVERHEAD_BYTES, 0) == 2 * MS + 700_000


def test_a_full_queue_loses_datagrams_until_it_has_emptied() -> None:
    one = path(Link(up_us=0, up_jitter_us=0, mbit=8))
    sent = [one.datagram(1000 - links.DATAGRAM_OVERHEAD_BYTES, 0) for _ in range(300)]
    assert all(sent[:201]) and not any(sent[201:])
    assert one.datagram(32, 2 * MS) is not None


@pytest.mark.parametrize(("up_loss", "down_loss", "share"), [(0, 0, 0), (0.1, 0, 0.1), (0, 0.1, 0.1), (0.3, 0.5, 0.65)])
def test_the_loss_of_both_ends(up_loss: float, down_loss: float, share: float) -> None:
    one = path(Link(up_loss=up_loss), Link(down_loss=down_loss))
    lost = sum(one.datagram(32, k * SECOND) is None for k in range(4000))
    assert lost / 4000 == pytest.approx(share, abs=0.03)


def test_a_lost_segment_arrives_a_round_trip_later_and_delays_no_datagram() -> None:
    one = path(Link(up_us=300, up_jitter_us=0, up_loss=0.5, down_us=700, down_jitter_us=0))
    again_ns = 2 * MS + links.RECOVERY_NS
    assert one.round_trip_ns == 2 * MS
    tries = [divmod(one.segment(1448, k * SECOND) - k * SECOND - MS, again_ns) for k in range(2000)]
    assert {rest for _, rest in tries} == {0}
    assert sum(again == 0 for again, _ in tries) == pytest.approx(1000, abs=100)
    assert sum(again == 1 for again, _ in tries) == pytest.approx(500, abs=100)
    arrivals = [one.datagram(32, at) for at in range(2000 * SECOND, 2100 * SECOND, SECOND)]
    assert {at % SECOND for at in arrivals if at is not None} == {MS}


def test_a_seed_repeats_the_path_and_another_differs() -> None:
    def run(seed: str, segments: int = 0) -> list[int | None]:
        one = path(PROFILES["wifi"], PROFILES["wifi"], seed)
        for _ in range(segments):
            one.segment(1448, 0)
        return [one.datagram(32, k * SECOND) for k in range(1, 200)]

    assert run("1 0 up") == run("1 0 up")
    assert run("1 0 up") != run("1 0 down")
    assert run("1 0 up") != run("2 0 up")
    assert run("1 0 up", segments=10) == run("1 0 up"), "what TCP does moves no ping"


# -- parsing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("wired", Link()),
        ("wan", PROFILES["wan"]),
        ("up_us=800,down_us=400,mbit=60", Link(up_us=800, down_us=400, mbit=60)),
        (
            " wifi , mbit = 20,busy=0.1",
            Link(800, 4000, 0.005, 800, 6000, 0.005, mbit=20, busy=0.1),
        ),
    ],
)
def test_links_are_parsed(text: str, link: Link) -> None:
    assert link_from(text) == link


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not a part of a link"),
        ("wlan", "a profile (wired, wifi, wan) comes first"),
        ("mbit=20,wifi", "'wifi' is not a part of a link"),
        ("speed=9", "'speed=9' is not a part of a link"),
        ("mbit=fast", "'fast' is not a number for mbit."),
        ("mbit=1,mbit=2", "mbit is given twice."),
        ("up_us=-1", "up_us must be from 0 to 10000000, not -1.0."),
        ("up_us=nan", "up_us must be from 0 to 10000000, not nan."),
        ("mbit=inf", "mbit must be 0 (no limit) or from 0.01 to 100000, not inf."),
        ("mbit=1e-9", "mbit must be"),
        ("down_loss=0.6", "down_loss must be from 0 to 0.5, not 0.6."),
        ("busy=1.1", "busy must be from 0 to 1, not 1.1."),
    ],
)
def test_wrong_links_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(PhaseLockError) as caught:
        link_from(text)
    assert sentence in str(caught.value)


# -- the loop ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """A loop with a reader that never wakes it: on Windows, select() refuses to wait for nothing."""
    one, other = socket.socketpair()
    with one, other:
        event_loop = EventLoop()
        event_loop.readers[one.fileno()] = lambda: None
        yield event_loop


def test_calls_for_one_time_keep_their_order(loop: EventLoop) -> None:
    called: list[int] = []
    for k in range(5):
        loop.at(0, called.append, k, exact=k % 2 == 0)
    loop.at(1, setattr, loop, "running", False)
    loop.run()
    assert called == [0, 1, 2, 3, 4]
    assert loop.late_us.total() == 3


# -- the process -------------------------------------------------------------------------------------------------------


class Host:
    """The host's two sockets on the loopback interface."""

    def __init__(self) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        for sock in (self.tcp, self.udp):
            sock.settimeout(TIMEOUT_S)
        self.port: int = self.tcp.getsockname()[1]
        self.clock_port: int = self.udp.getsockname()[1]

    def relay(self, host_link: Link, *peer_links: Link, seed: int = 1) -> Relay:
        return Relay("127.0.0.1", self.port, self.clock_port, host_link, peer_links, seed)

    def joined(self, k: int = 0) -> tuple[socket.socket, socket.socket]:
        """A connection of peer k: (its socket, the host's)."""
        peer = socket.create_connection((f"127.0.0.{2 + k}", self.port), timeout=TIMEOUT_S)
        ours, (ip, _) = self.tcp.accept()
        ours.settimeout(TIMEOUT_S)
        assert ip == f"127.0.0.{2 + k}", "the host answers clock pings of this address alone"
        return peer, ours

    def close(self) -> None:
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def host() -> Iterator[Host]:
    with contextlib.closing(Host()) as one:
        try:
            socket.create_server(("127.0.0.3", 0)).close()
        except OSError:
            pytest.skip("the loopback has no 127.0.0.3 here")
        yield one


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_addresses_of_pings_and_pongs_are_those_of_peer_and_relay(host: Host) -> None:
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(host.relay(STILL, STILL, STILL))
        assert [relay.address(k) for k in (0, 1)] == [f"127.0.0.{2 + k}:{host.port}" for k in (0, 1)]
        pingers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for pinger, k in zip(pingers, (0, 0, 1), strict=True):
            pinger.settimeout(TIMEOUT_S)
            for word in (b"one", b"two"):
                pinger.sendto(word + b"%d" % k, (f"127.0.0.{2 + k}", host.clock_port))
                data, sender = host.udp.recvfrom(100)
                assert (data, sender[0]) == (word + b"%d" % k, f"127.0.0.{2 + k}")
                host.udp.sendto(data + b"!", sender)
                assert pinger.recvfrom(100) == (data + b"!", (f"127.0.0.{2 + k}", host.clock_port))
    assert relay.summary["passed"] == 12 and relay.summary["lost"] == 0
    assert set(relay.summary["late_us"]) == {"p50", "p95", "p99", "max"}


def test_datagrams_of_other_senders_are_not_relayed(host: Host) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(host.relay(STILL, STILL))
        pinger, stranger = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        pinger.settimeout(TIMEOUT_S)
        pinger.sendto(b"ping", ("127.0.0.2", host.clock_port))
        _, sender = host.udp.recvfrom(100)
        stranger.sendto(b"lie", sender)
        host.udp.sendto(b"pong", sender)
        assert pinger.recv(100) == b"pong"


def test_datagrams_are_lost_as_in_the_model(host: Host) -> None:
    lossy = Link(up_us=0, up_jitter_us=0, up_loss=0.3, down_us=0, down_jitter_us=0)
    law = path(lossy, STILL, "7 0 up")
    kept = [k for k in range(200) if law.datagram(1, k * SECOND) is not None]
    with host.relay(STILL, lossy, seed=7), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pinger:
        for k in range(200):
            pinger.sendto(bytes([k]), ("127.0.0.2", host.clock_port))
        assert [host.udp.recv(10)[0] for _ in kept] == kept


ROUGH = Link(up_us=300, up_jitter_us=300, up_loss=0.02, down_us=300, down_jitter_us=300, down_loss=0.02, mbit=200)


@pytest.mark.parametrize("link", [Link(up_us=0, down_us=0), ROUGH], ids=["unlimited", "rough"])
def test_every_byte_arrives_in_order_both_ways_at_once(host: Host, link: Link) -> None:
    there, back = random.Random(1).randbytes(700_001), random.Random(2).randbytes(500_000)
    with host.relay(link, link, link):
        for k in range(2):
            peer, ours = host.joined(k)
            heard: list[bytes] = []
            threads = [threading.Thread(target=peer.sendall, args=(there,))]
            threads += [threading.Thread(target=lambda peer=peer, heard=heard: heard.append(read_all(peer)))]
            threads += [threading.Thread(target=lambda ours=ours: (ours.sendall(back), ours.shutdown(socket.SHUT_WR)))]
            for thread in threads:
                thread.start()
            got = bytearray()
            while len(got) < len(there):
                got += ours.recv(1 << 16)
            for thread in threads:
                thread.join()
            assert got == there and heard == [back]
            # The host has finished sending; the peer still can send.
            peer.sendall(b"last word")
            peer.close()
            assert read_all(ours) == b"last word"
            ours.close()


@pytest.mark.parametrize(
    ("link", "most_bytes", "waits"),
    [
        # Two reads more than 1 Gbit/s carries in a round trip and 20 ms.
        (Link(up_us=1000, up_jitter_us=0, down_us=0, down_jitter_us=0), 125e6 * 0.022 + 2 * (256 << 10), False),
        (Link(up_us=1000, up_jitter_us=0, mbit=8), 20_000 + 2 * 8 * 1448, True),
    ],
    ids=["unlimited", "limited"],
)
def test_the_buffer_of_a_pipe_is_bounded(link: Link, most_bytes: float, waits: bool) -> None:
    source, sender = socket.socketpair()
    sink, receiver = socket.socketpair()
    with source, sender, sink, receiver:
        loop, waiting = EventLoop(), list[Pipe]()
        connection: Any = types.SimpleNamespace(
            loop=loop, closed=False, wait_for_link=lambda pipe, now_ns: waiting.append(pipe)
        )
        way = path(link, Link(1000, 0, 0, 0, 0, 0))
        pipe = Pipe(connection, source, sink, way, way)
        pipe.listen()
        taken_bytes, piece = 0, bytes(8 * 1448)
        while read := loop.readers.get(source.fileno()):
            sender.sendall(piece)
            taken_bytes += len(piece)
            read()
        assert 16 << 10 < taken_bytes <= most_bytes
        assert waiting == [pipe] * waits


def test_a_slow_receiver_gets_everything(loop: EventLoop) -> None:
    source, sender = socket.socketpair()
    sink, receiver = socket.socketpair()
    with source, sender, sink, receiver:
        for sock in (source, sink):
            sock.setblocking(False)
        # On Windows this pair is a TCP connection, which would hold all that is said.
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

        def stop() -> None:
            loop.running = False

        def run() -> None:
            loop.running = True
            loop.run()

        connection: Any = types.SimpleNamespace(loop=loop, closed=False, close_if_done=stop)
        way = path(Link(0, 0, 0, 0, 0, 0), Link(0, 0, 0, 0, 0, 0))
        acknowledged: list[int] = []
        back: Any = types.SimpleNamespace(segment=lambda size_bytes, now_ns: acknowledged.append(size_bytes))
        Pipe(connection, source, sink, way, back).listen()
        said = random.Random(1).randbytes(3_000_000)
        sending = threading.Thread(target=lambda: (sender.sendall(said), sender.shutdown(socket.SHUT_WR)))
        sending.start()
        while sink.fileno() not in loop.writers:  # the receiver does not read yet: the rest waits
            loop.at(0, stop)
            run()
        passing = threading.Thread(target=run)
        passing.start()
        assert read_all(receiver) == said
        sending.join()
        passing.join()
        assert acknowledged and not any(acknowledged), "what arrives is acknowledged by frames with nothing in them"


def test_the_end_of_one_direction_leaves_the_other_open(host: Host) -> None:
    with host.relay(STILL, STILL):
        peer, ours = host.joined()
        peer.sendall(b"question")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(ours) == b"question"
        ours.sendall(b"answer")
        ours.close()
        assert read_all(peer) == b"answer"
        peer.close()


def abort(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0))
    sock.close()


def test_a_reset_is_passed_on_both_ways(host: Host) -> None:
    with host.relay(STILL, STILL):
        for k in (0, 1):
            gone, other = itertools.islice(itertools.cycle(host.joined()), k, k + 2)
            abort(gone)
            with other, pytest.raises(ConnectionResetError):
                other.recv(10)


def test_connections_are_reset_while_the_host_does_not_listen(host: Host) -> None:
    with host.relay(STILL, STILL):
        host.tcp.close()
        with socket.create_connection(("127.0.0.2", host.port), timeout=TIMEOUT_S) as peer:
            with pytest.raises(ConnectionResetError):
                peer.recv(10)
        host.tcp = socket.create_server(("127.0.0.1", host.port))
        host.tcp.settimeout(TIMEOUT_S)
        for sock in host.joined():
            sock.close()


def test_the_process_ends_with_its_input_and_ignores_ctrl_c(host: Host) -> None:
    config = RelayConfig("127.0.0.1", host.port, host.clock_port, STILL, (STILL,), 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "phaselock.bench.lab.relay_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin and process.stdout
        process.stdin.write(config.to_json().encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"ready": True}
        if sys.platform != "win32":
            process.send_signal(signal.SIGINT)
        peer, ours = host.joined()
        with peer, ours:
            process.stdin.close()
            assert process.wait(TIMEOUT_S) == 0
            with pytest.raises(ConnectionResetError):
                peer.recv(10)
        assert json.loads(process.stdout.readline())["passed"] == 0


def test_a_closed_standard_output_gives_no_traceback(host: Host) -> None:
    config = RelayConfig("127.0.0.1", host.port, host.clock_port, STILL, (STILL,), 1)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "phaselock.bench.lab.relay_process"], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(config.to_json().encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr.read() == b""


def test_a_port_in_use_is_an_error(host: Host) -> None:
    with host.relay(STILL, STILL), pytest.raises(PhaseLockError, match=f"Port {host.port} is in use"):
        with host.relay(STILL, STILL):
            pass


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "This is not the configuration of a relay."),
        (b"[]\n", "This is not the configuration of a relay."),
        (b'{"host_link": {"speed": 1}, "peer_links": [{}]}\n', "This is not the configuration of a relay."),
        (b'{"host_link": {"mbit": "1"}, "peer_links": [{}]}\n', "A link's mbit must be"),
    ],
)
def test_a_wrong_configuration_is_refused(line: bytes, sentence: str) -> None:
    with pytest.raises(PhaseLockError, match=sentence):
        RelayConfig.from_json(line)


@pytest.mark.parametrize(
    ("host_ip", "port", "peers", "sentence"),
    [
        ("192.0.2.1", 9, 1, "not on 192.0.2.1."),
        ("127.0.0.2", 9, 1, "not on 127.0.0.2."),
        ("localhost", 9, 1, "not on localhost."),
        ("127.0.0.1", 0, 1, "0 is not a port."),
        ("127.0.0.1", 9, 0, "1 to 63 peers, not 0."),
        ("127.0.0.1", 9, 64, "1 to 63 peers, not 64."),
    ],
)
def test_wrong_arguments_are_refused(host_ip: str, port: int, peers: int, sentence: str) -> None:
    with pytest.raises(PhaseLockError, match=sentence):
        Relay(host_ip, port, 9, STILL, [STILL] * peers, 1)
