"""Random evenings: machines crash, sleep, lose their network, come back and hand the session over, in any order.

Always: ten seconds after the last change each connected group has at most one host and one timeline, and at the end
no song is missing from the queue that a living machine knew and that has not been played, and none is there twice.
"""

from __future__ import annotations

import os
import random

import pytest

from phaselock.model.party import PartyRules
from phaselock.model.queue import ItemStatus
from phaselock.session import commands as c
from phaselock.session.host.session import HostSession
from tests.support.evening import SECOND, Evening, Machine
from tests.support.simulation import a_track

NAMES = "Hana", "Ana", "Ben", "Cleo", "Dan", "Eva"
SETTLED_NS = 10 * SECOND
"""The invariants hold this time after the last change."""
FOUND_NS = 20 * SECOND
"""Every machine of a group is connected to its host this time after the last change, or after it became the host."""
MAX_ERROR_NS = 200_000
"""Largest difference of what two machines of a group believe the session time to be."""


class RandomEvening:
    """One evening, which the seed determines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.patience = random.Random(seed)
        """For choices that were added later: the others stay the same for each seed."""
        self.evening = Evening()
        self.machines = [
            self.evening.machine(name, self.random.uniform(-50, 50), may_host=self.random.random() < 0.9)
            for name in NAMES
        ]
        self.changed_at_ns = 0
        """When a machine or the network changed last."""
        self.hosts_since_ns: dict[Machine, int] = {}
        """When each machine that is a host was seen as one first."""
        self.commanded_at_ns = 0
        self.safe: dict[bytes, set[Machine]] = {}
        """The songs that must not be lost, and the machines that knew each of them."""
        self.heard: set[bytes] = set()
        """The songs that have begun to play anywhere."""
        self.log: list[str] = []

    def play(self, steps: int) -> None:
        """The whole evening."""
        hana, *others = self.machines
        hana.host(rules=PartyRules(accept=True))
        for one in others[: self.random.randint(1, len(others))]:
            one.join(hana)
        self.evening.run(5)
        for _ in range(3):
            hana.add(self.random.uniform(20, 200))
        self.wait(3)
        hana.command(c.Play())
        for _ in range(steps):
            self.step()
        self.end()

    def step(self) -> None:
        """Something happens, and then nothing for a while."""
        what = self.random.choice(
            ["add", "add", "request", "next", "crash", "crash_host", "battery", "sleep", "cut", "hand_over", "come"]
            + ["heal"] * 3
        )
        self.log.append(f"{self.evening.now_ns / SECOND:.1f} {what}")
        getattr(self, what)()
        self.wait(self.random.choice([0.3, 2, 7, 12, 12, 25, 80]))

    # -- what happens ------------------------------------------------------------------------------------------------

    def up(self) -> list[Machine]:
        return [one for one in self.machines if one.is_up]

    def add(self) -> None:
        if hosts := self.evening.hosts():
            self.random.choice(hosts).add(self.random.uniform(20, 200))
            self.commanded_at_ns = self.evening.now_ns

    def request(self) -> None:
        peers = [one for one in self.up() if not one.is_host and one.is_connected]
        if peers:
            track = a_track(next(self.evening.songs))
            wish = c.Request(track.file_id, track.file_name, track.size, track.sha256)
            self.random.choice(peers).command(wish)
            self.commanded_at_ns = self.evening.now_ns

    def next(self) -> None:
        if hosts := self.evening.hosts():
            self.random.choice(hosts).command(self.random.choice([c.Next(), c.Play(), c.Pause(), c.Resume()]))
            self.commanded_at_ns = self.evening.now_ns

    def crash(self) -> None:
        if len(self.up()) > 2:
            self.random.choice(self.up()).crash()
            self.change()

    def crash_host(self) -> None:
        if len(self.up()) > 2 and (hosts := self.evening.hosts()):
            self.random.choice(hosts).crash()
            self.change()

    def battery(self) -> None:
        if len(self.up()) > 3:
            self.random.choice(self.up()).switch_off()
            self.change()

    def sleep(self) -> None:
        if len(self.up()) > 2:
            one = self.random.choice(self.up())
            seconds = self.random.choice([1, 4, 8, 30, 100, 200])
            if self.patience.random() < 0.5:
                one.sleep(seconds)
            else:
                one.stop(seconds)
            self.change()
            self.changed_at_ns = max(self.changed_at_ns, one.asleep_until_ns)

    def cut(self) -> None:
        number = self.random.choice([2, 2, 3])
        groups: list[list[Machine]] = [[] for _ in range(number)]
        for one in self.machines:
            self.random.choice(groups).append(one)
        self.evening.cut(*groups)
        self.change()

    def heal(self) -> None:
        if any(one.group for one in self.machines):
            self.evening.heal()
            self.change()
            self.wait(self.patience.choice([0.3, 2, 7, 20, 20]))

    def hand_over(self) -> None:
        if hosts := self.evening.hosts():
            self.random.choice(hosts).command(c.HandOver(None))
            self.change()

    def come(self) -> None:
        """A machine that is not in a session joins one in its network."""
        out = [one for one in self.machines if one.core is None and one.is_awake]
        if out:
            one = self.random.choice(out)
            one.is_off = False
            if hosts := [host for host in self.evening.hosts() if one.reaches(host)]:
                one.join(hosts[0])
            self.change()

    # -- what always holds -------------------------------------------------------------------------------------------

    def change(self) -> None:
        """A machine or the network changes."""
        self.changed_at_ns = max(self.changed_at_ns, self.evening.now_ns)

    def wait(self, seconds: float) -> None:
        end_ns = self.evening.now_ns + round(seconds * SECOND)
        while self.evening.now_ns < end_ns:
            self.evening.run(min(2.0, (end_ns - self.evening.now_ns) / SECOND))
            self.hear()
            if self.evening.now_ns >= self.changed_at_ns + SETTLED_NS:
                self.check()

    def hear(self) -> None:
        since_ns = self.hosts_since_ns
        self.hosts_since_ns = {one: since_ns.get(one, self.evening.now_ns) for one in self.evening.hosts()}
        for host in self.hosts_since_ns:
            assert isinstance(host.core, HostSession)
            for row in host.core._parts.queue.rows.entries:
                if row.status in (ItemStatus.PLAYING, ItemStatus.PLAYED):
                    self.heard.add(row.track.sha256)

    def check(self) -> None:
        for group in {one.group for one in self.machines}:
            hosts = self.evening.hosts(group)
            assert len(hosts) <= 1, self.story(f"{[one.name for one in hosts]} are hosts")
            for host in hosts:
                self.check_group(host, [one for one in self.up() if one.group == group and one is not host])

    def check_group(self, host: Machine, others: list[Machine]) -> None:
        peers = [one for one in others if one.is_connected and one.link and one.link.ends[1] is host]
        if self.evening.now_ns >= max(self.changed_at_ns, self.hosts_since_ns[host]) + FOUND_NS:
            lost = [one.name for one in others if one not in peers]
            assert not lost, self.story(f"{lost} do not find {host.name}")
        if self.evening.now_ns >= self.commanded_at_ns + SECOND:
            for one in peers:
                here, there = one.snapshot(), host.snapshot()
                assert here.timeline == there.timeline, self.story(f"{one.name} does not follow {host.name}")
                apart_ns = abs((one.session_ns() or 0) - (host.session_ns() or 0))
                assert apart_ns < MAX_ERROR_NS, self.story(f"{one.name} is {apart_ns} ns off")
        line = host.core._parts.reign.succession.line()  # type: ignore[union-attr]
        knowing = {host, *(one for one in peers if one.key in {heir.host_key for heir in line})}
        if line and self.evening.now_ns >= self.commanded_at_ns + 2 * SECOND:
            for entry in host.core._parts.queue.waiting():  # type: ignore[union-attr]
                self.safe[entry.track.sha256] = set(knowing)

    def end(self) -> None:
        """Everybody comes together again."""
        self.log.append("end")
        self.evening.heal()
        self.change()
        while any(not one.is_awake for one in self.machines):
            self.evening.run(1)
        self.change()
        self.wait(100)
        hosts = self.evening.hosts()
        assert len(hosts) <= 1, self.story(f"{[one.name for one in hosts]} are hosts at the end")
        if hosts:
            rows = [row.track.sha256 for row in hosts[0].core._parts.queue.rows.entries]  # type: ignore[union-attr]
            assert len(rows) == len(set(rows)), self.story("a song is twice in the queue")
            for song, knowing in self.safe.items():
                living = [one.name for one in knowing if one.is_connected]
                assert song in self.heard.union(rows) or not living, self.story(f"{living} knew a song that is lost")

    def story(self, why: str) -> str:
        states = [
            f"{one.name}: {'off' if not one.is_up else 'host' if one.is_host else one.is_connected} group {one.group}"
            for one in self.machines
        ]
        return "\n".join([why, *self.log, f"{self.evening.now_ns / SECOND:.1f}", *states])


@pytest.mark.parametrize("seed", [0, 116])
def test_a_random_evening(seed: int) -> None:
    """116: two hosts meet that were elected by different members, with a succession between them."""
    RandomEvening(seed).play(steps=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("PHASELOCK_EVENINGS", "12"))))
def test_long_random_evenings(seed: int) -> None:
    """PHASELOCK_EVENINGS=1000 takes most of an hour."""
    RandomEvening(seed).play(steps=25)
