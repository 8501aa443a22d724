"""Real processes in network namespaces that play one song. Sound cards with clocks of their own record it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay
from phaselock.bench.lab.signals import encode, noise
from tests.support.machines import Machines
from tests.support.programs import Program, playing

NAMES = ("Hana", "Ana", "Ben", "Cleo")
"""The first one is the host."""
CLOCKS = (("--clock-skew-ppm=0",), ("--clock-skew-ppm=40", "--clock-ahead-s=900"), ("--clock-skew-ppm=-35",))
"""The errors of the clocks, as options of the program. The machines have them in turn."""
CARDS_PPM = (0.0, 60.0, -45.0, 20.0)
"""By how much the sound card of each machine is fast."""
SONG_S = 150
"""Length of the song."""
SETTLED_S = 12.0
"""The machines are in phase after this time of playing."""
MAX_APART_US = 200.0
"""Largest distance of two machines in a window of their sound."""
WINDOW_S = 0.5
"""Length of a window, and the time from one to the next."""


@dataclasses.dataclass(slots=True)
class RecordedMachines:
    """A host and peers that play a song of noise."""

    machines: Machines
    folder: pathlib.Path
    programs: dict[str, Program] = dataclasses.field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> Program:
        """Start this machine, with the arguments of `phaselock`, a clock and a sound card of its own."""
        place = NAMES.index(name)
        card = VirtualCard(ppm=CARDS_PPM[place], record=str(self.folder / f"{name}-sound"))
        sound = ["--backend", "virtual", "--card", json.dumps(dataclasses.asdict(card)), *CLOCKS[place % len(CLOCKS)]]
        program = self.programs[name] = self.machines.start(name, *arguments, sound=sound)
        return program

    def open(self, *peers: str, options: Sequence[str] = ()) -> None:
        """Play until all machines are settled, and all peers are in the line of succession."""
        song = self.folder / "noise.mp3"
        song.write_bytes(encode(noise(SONG_S, 44100, 7), 44100))
        waiting = "--wait-peers", str(len(peers)), "--play"
        host = self.start(NAMES[0], "host", str(song), "--session", "Kitchen", *waiting, *options)
        host.wait_for("session")
        for name in peers:
            self.start(name, "join", self.machines.address(NAMES[0])).wait_for("joined")
        host.wait_until("successors", lambda event: len(event["names"]) == len(peers))
        for program in self.programs.values():
            program.wait_until("sync", playing)
        time.sleep(SETTLED_S)

    def new_host(self, *peers: str) -> tuple[str, list[str]]:
        """Which of these peers becomes the host, as all of them say, and the others when all are in its line. The line
        changes with the quality of the clocks, so that a test does not know it before."""
        changed = {name: self.programs[name].wait_for("host_changed") for name in peers}
        (host,) = {event["name"] for event in changed.values()}
        assert [name for name, event in changed.items() if event["you"]] == [host]
        others = [name for name in peers if name != host]
        self.programs[host].wait_until("successors", lambda event: set(event["names"]) == set(others))
        time.sleep(SETTLED_S)
        return host, others

    def played(self, *names: str) -> list[delay.Loudspeaker]:
        """End these programs, and return what they played."""
        for name in names:
            self.programs[name].say("quit")
            self.programs[name].say("leave")
        for name in names:
            self.programs[name].end()
        return [
            delay.Loudspeaker([delay.read_recording(path) for path in sorted(folder.glob("*.json"))])
            for folder in (self.folder / f"{name}-sound" for name in names)
        ]


def assert_nobody_heard_it(loudspeakers: Sequence[delay.Loudspeaker]) -> None:
    """All played without a gap or a jump from SETTLED_S on, and within MAX_APART_US."""
    for one in loudspeakers:
        late_ms = [round(late, 1) for late in one.late_wakes_ms]
        assert one.underruns == 0, f"this computer was busy: {late_ms}"
        assert delay.silences_ms(one) == [], late_ms
        assert delay.clicks(one) == [], late_ms
    windows = delay.window_delays(loudspeakers, WINDOW_S, WINDOW_S)
    sure = [window for window in windows if window.sure]
    first_s = sure[0].at_s
    apart_us = {round(one.at_s - first_s, 1): delay.spread_us(one) for one in sure if one.at_s > first_s + SETTLED_S}
    print("worst of", len(apart_us), max(apart_us.values()))
    assert len(apart_us) > SETTLED_S / WINDOW_S
    assert max(apart_us.values()) < MAX_APART_US, apart_us
