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
from phaselock.tools.processes import ProcessGroup, Program, open_process_group

Told = list[tuple[Program, dict[str, Any]]]


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """One machine: its clock is `ahead_s` ahead and runs `skew_ppm` fast. Without a card it plays into the void."""

    name: str
    link: Link
    skew_ppm: float = 0.0
    ahead_s: int = 0
    card: VirtualCard | None = None

    def options(self) -> list[str]:
        """What its program is started with."""
        clock = [f"--clock-skew-ppm={self.skew_ppm}", f"--clock-ahead-s={self.ahead_s}"]
        if self.card is None:
            return ["--backend", "null", *clock]
        return ["--backend", "virtual", "--card", json.dumps(dataclasses.asdict(self.card)), *clock]


@dataclasses.dataclass(slots=True)
class Session:
    """A running session; the first machine hosts it."""

    host: Program
    peers: list[Program]
    stage: ProcessGroup
    relay: Relay

    def wait_for_all(self, programs: Sequence[Program], name: str, patience_s: float = 60.0) -> Told:
        """Everything that is told until each of these programs has told of such an event; PhaseLockError when they do
        not get there."""
        told: Told = []
        waiting = {program.name for program in programs}
        until = time.monotonic() + patience_s
        while waiting and (heard := self.stage.hear(until)):
            told.append(heard)
            if heard[1]["event"] == name:
                waiting.discard(heard[0].name)
        if waiting:
            raise PhaseLockError(f"{', '.join(sorted(waiting))} did not get as far as {name!r} in time.")
        return told

    def rest(
        self,
        seconds: float,
        while_resting: Callable[[float], None] = lambda _left_s: None,
        until: Callable[[tuple[Program, dict[str, Any]]], bool] = lambda _heard: False,
    ) -> Told:
        """Let it go on for so long, or until something fitting is told; everything that is told meanwhile."""
        told: Told = []
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            while_resting(left_s)
            if heard := self.stage.hear(min(end, time.monotonic() + 0.5)):
                told.append(heard)
                if until(heard):
                    break
        return told


@contextlib.contextmanager
def open_session(
    machines: Sequence[Machine],
    songs: Sequence[pathlib.Path],
    folder: pathlib.Path,
    seed: int,
    *,
    play: bool = True,
    join_options: Sequence[str] = (),
) -> Iterator[Session]:
    """The host and, each through its own side of one relay, the peers; with `play` it starts when all are ready.
    `folder` takes what they keep and their standard errors. PhaseLockError when they cannot be brought together."""
    local = ["--session", "bench", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted"]
    autoplay = ["--wait-peers", str(len(machines) - 1), "--play"] if play else []
    with open_process_group(str(folder)) as stage:
        first, *others = machines
        host = stage.start(first.name, "host", *map(str, songs), *local, *autoplay, *first.options())
        opened = stage.wait_for(host, "session")
        links = [machine.link for machine in others]
        with Relay("127.0.0.1", opened["port"], opened["clock_port"], first.link, links, seed) as relay:
            peers = [
                stage.start(
                    machine.name,
                    "join",
                    relay.address(number),
                    *join_options,
                    *machine.options(),
                    "--cache",
                    str(folder / machine.name / "received"),
                )
                for number, machine in enumerate(others)
            ]
            try:
                yield Session(host, peers, stage, relay)
            finally:
                # Before the relay ends, so that goodbyes get through.
                host.say("quit")
                stage.wait_until_ended()
