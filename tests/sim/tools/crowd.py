"""What a host of many peers costs: bytes by kind of message, and processor time of the session.

python -m tests.sim.tools.crowd [--songs 100] [--profile PHASE] 5 10 20 40 63

The host and its peers are real sessions with real frames; clocks and network are simulated. The processor time is that
of the host's session and of encoding and decoding its messages. Sockets, TLS and audio are not in it.
"""

from __future__ import annotations

import argparse
import collections
import cProfile
import itertools
import pstats
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from phaselock.model.party import PartyRules
from phaselock.protocol.messages import TYPE_OF, SongVote
from phaselock.session.commands import Add, Play, SetRules
from phaselock.session.effects import HOST_CONN, Send
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import MS, a_track

KINDS = {number: kind.__name__ for kind, number in TYPE_OF.items()}
TRANSFER_NS = 400 * MS
"""How long a file takes to one peer."""
PHASES = ("joining", "distributing", "idle", "playing", "voting", "adding")


class Crowd(SessionHarness):
    """A host with many peers, and what it has cost so far."""

    def __init__(self, peers: int, profiles: dict[str, cProfile.Profile]) -> None:
        super().__init__(max_peers=peers)
        self._profiles = profiles
        self.phase = ""
        self.cpu_s = 0.0
        self.sent: collections.Counter[str] = collections.Counter()
        self.received: collections.Counter[str] = collections.Counter()
        self._depth = 0
        host: Any = self.host
        send, arrive = host._send, host.data_received

        def counted_send(conn: int, data: bytes) -> None:
            if data:
                self.sent[KINDS[data[4]]] += len(data)
            send(conn, data)

        def counted_arrive(conn: int, data: bytes) -> None:
            if data:
                self.received[KINDS[data[4]]] += len(data)
            arrive(conn, data)

        host._send = counted_send
        host.data_received = self._timed(counted_arrive)
        host.call = self._timed(host.call)
        host._on_timer = self._timed(host._on_timer)

    def _timed(self, method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **more: Any) -> None:
            profile = self._profiles.get(self.phase)
            self._depth += 1
            if self._depth == 1:
                began_s = time.process_time()
                if profile:
                    profile.enable()
            try:
                method(*arguments, **more)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    if profile:
                        profile.disable()
                    self.cpu_s += time.process_time() - began_s

        return call

    def measure(self, phase: str, seconds: float, each_s: float, act: Callable[[int], None]) -> str:
        """Let time pass; `act` is called every `each_s`. The costs of a second as one line."""
        self.phase, self.cpu_s = phase, 0.0
        self.sent.clear()
        self.received.clear()
        for number in range(round(seconds / each_s)):
            act(number)
            self.run(each_s)
            for node in (self.host, *self.peers):  # the simulation keeps everything, for tests
                node.effects.clear()
            for peer in self.peers:
                peer.received.clear()
        self.phase = ""
        kinds = ", ".join(f"{kind} {size / seconds / 1e3:.1f}" for kind, size in self.sent.most_common(4))
        out, back = self.sent.total() / seconds / 1e3, self.received.total() / seconds / 1e3
        return f"{phase:13}{self.cpu_s / seconds * 1e3:8.1f} ms/s {out:9.1f} kB/s out ({kinds}) {back:7.1f} kB/s in"


def phases(number: int, songs: int, profiles: dict[str, cProfile.Profile]) -> Iterator[str]:
    """The costs of one session, phase by phase."""
    crowd = Crowd(number, profiles)
    queue = [a_track(one + 1, 200.0) for one in range(songs)]

    def nothing(number: int) -> None: ...

    def join(at: int) -> None:
        peer = crowd.join(f"Peer {at + 1}", delay_ns=200_000 + 10_000 * at)
        peer.transfer_ns = TRANSFER_NS + (at * 7919 % 100) * MS

    def vote(at: int) -> None:
        peer: HarnessPeer = crowd.peers[at % number]
        song = queue[1 + at * 31 % (songs - 1)]
        peer.do([Send(HOST_CONN, SongVote(UUID(int=song.file_id.int), True))])

    numbers = itertools.count(songs + 1)
    yield crowd.measure("joining", 10, 10 / number, join)
    crowd.command(SetRules(PartyRules(accept=True)))
    crowd.command(*map(Add, queue))
    yield crowd.measure("distributing", songs * 0.5, 1, nothing)
    assert all(peer.ready for peer in crowd.host.snapshot().peers), "the files have not arrived"
    yield crowd.measure("idle", 20, 1, nothing)
    crowd.command(Play(None))
    yield crowd.measure("playing", 20, 1, nothing)
    yield crowd.measure("voting", 20, 2 / number, vote)
    yield crowd.measure("adding", 20, 1, lambda at: crowd.command(Add(a_track(next(numbers), 200.0))))


def main() -> None:
    """Print the costs for each number of peers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", type=int, nargs="*", default=[5, 10, 20, 40, 63])
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--profile", choices=PHASES)
    options = parser.parse_args()
    for number in options.peers:
        profiles = {options.profile: cProfile.Profile()} if options.profile else {}
        for line in phases(number, options.songs, profiles):
            print(f"{number:3} peers  {line}", flush=True)
        for profile in profiles.values():
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
