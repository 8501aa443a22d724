"""A session of several machines, played by real programs on this one: each has its own clock, sound card and link."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.lab.links import Link
from phaselock.bench.lab.relay import Relay
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.model.group import DEFAULT_PEERS
from phaselock.tools.processes import ProcessGroup, Program, open_process_group

ProgramEvent = tuple[Program, dict[str, Any]]
"""A program and one event that it wrote."""
_POLL_S = 0.5


@frozen
class Machine:
    """One machine. Its clock is `ahead_s` ahead and runs `skew_ppm` fast. Without a card it has the null output."""

    name: str
    link: Link
    skew_ppm: float = 0.0
    ahead_s: int = 0
    card: VirtualCard | None = None

    def options(self) -> list[str]:
        """The command-line options that give a program this clock and card."""
        clock = [f"--clock-skew-ppm={self.skew_ppm}", f"--clock-ahead-s={self.ahead_s}"]
        if self.card is None:
            return ["--backend", "null", *clock]
        return ["--backend", "virtual", "--card", json.dumps(dataclasses.asdict(self.card)), *clock]


@dataclasses.dataclass(slots=True)
class RunningSession:
    """A running session; the first machine hosts it."""

    host: Program
    peers: list[Program]
    programs: ProcessGroup
    relay: Relay

    def wait_for_all(self, programs: Sequence[Program], name: str, timeout_s: float = 60.0) -> list[ProgramEvent]:
        """Return all events until each of these programs has written the event `name`. Raise PhaseLockError after
        `timeout_s`."""
        events: list[ProgramEvent] = []
        waiting = {program.name for program in programs}
        deadline_s = time.monotonic() + timeout_s
        while waiting and (found := self.programs.hear(deadline_s)):
            events.append(found)
            if found[1]["event"] == name:
                waiting.discard(found[0].name)
        if waiting:
            raise PhaseLockError(f"{', '.join(sorted(waiting))} did not reach {name!r} in time.")
        return events

    def wait_until_ready(self, songs: int, timeout_s: float) -> None:
        """Wait until the host has told that each peer has this number of songs and a good clock. Raise PhaseLockError
        after `timeout_s`."""
        ready: set[str] = set()
        deadline_s = time.monotonic() + timeout_s
        while len(ready) < len(self.peers) and (found := self.programs.hear(deadline_s)):
            event = found[1]
            if event["event"] == "peer_sync" and (event["files_ready"], event["clock"]) == (songs, "good"):
                ready.add(event["name"])
        if len(ready) < len(self.peers):
            raise PhaseLockError(f"{len(ready)} of {len(self.peers)} peers were ready in time.")

    def collect(
        self,
        seconds: float,
        on_progress: Callable[[float], None] = lambda _left_s: None,
        until: Callable[[ProgramEvent], bool] = lambda _event: False,
    ) -> list[ProgramEvent]:
        """Return all events of the next `seconds`, or up to the first one for which `until` is true. `on_progress` is
        called with the seconds left."""
        events: list[ProgramEvent] = []
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            on_progress(left_s)
            if found := self.programs.hear(min(end_s, time.monotonic() + _POLL_S)):
                events.append(found)
                if until(found):
                    break
        return events


@contextlib.contextmanager
def open_session(
    machines: Sequence[Machine],
    songs: Sequence[pathlib.Path],
    folder: pathlib.Path,
    seed: int,
    *,
    play: bool = True,
    host_options: Sequence[str] = (),
    join_options: Sequence[str] = (),
    later: Sequence[Link] = (),
) -> Iterator[RunningSession]:
    """Start the host and the peers, each behind its own link of one relay. With `play`, the host plays when all peers
    are ready. `folder` receives their files and standard errors. The relay has more links, `later`, for peers that the
    caller starts. Raise PhaseLockError if a program does not start."""
    places = ["--max-peers", str(max(len(machines) - 1 + len(later), DEFAULT_PEERS))]
    local = ["--session", "bench", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted", *places]
    autoplay = ["--wait-peers", str(len(machines) - 1), "--play"] if play else []
    with open_process_group(str(folder)) as programs:
        first, *others = machines
        host = programs.start(first.name, "host", *map(str, songs), *local, *autoplay, *host_options, *first.options())
        opened = programs.wait_for(host, "session")
        links = [*(machine.link for machine in others), *later]
        with Relay("127.0.0.1", opened["port"], opened["clock_port"], first.link, links, seed) as relay:
            peers = []
            for number, machine in enumerate(others):
                options = [*join_options, *machine.options(), "--cache", str(folder / machine.name / "received")]
                peers.append(programs.start(machine.name, "join", relay.address(number), *options))
            try:
                yield RunningSession(host, peers, programs, relay)
            finally:
                # End the programs before the relay, so that their last messages arrive.
                host.say("quit")
                programs.wait_until_ended()
