"""Real processes in network namespaces whose host dies, or hands over. Sound cards with clocks of their own record what
each machine plays."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from collections.abc import Iterator, Sequence

import pytest

from phaselock.audio.virtual_device import VirtualCard
from phaselock.bench.analysis import delay
from phaselock.bench.lab.signals import encode, noise
from tests.support import browser as browsers
from tests.support.browser import Browser
from tests.support.machines import Machines, unavailable
from tests.support.programs import Event, Program, playing

pytestmark = pytest.mark.slow

NAMES = ("Hana", "Ana", "Ben", "Cleo")
CLOCKS = (("--clock-skew-ppm=0",), ("--clock-skew-ppm=40", "--clock-ahead-s=900"), ("--clock-skew-ppm=-35",))
CARDS_PPM = (0.0, 60.0, -45.0, 20.0)
SONG_S = 150
SETTLED_S = 12.0
"""The machines are in phase after this time of playing."""
MAX_APART_US = 200.0
WINDOW_S = 0.5
HERITAGE_S = 2.0
"""After this time the successors know what has changed."""


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, *NAMES) as found:
        yield found


@dataclasses.dataclass(slots=True)
class Jam:
    """A host and peers that play a song of noise, each on a sound card that records."""

    machines: Machines
    folder: pathlib.Path
    programs: dict[str, Program] = dataclasses.field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> Program:
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
        host.wait_for("successors", lambda event: len(event["names"]) == len(peers))
        for program in self.programs.values():
            program.wait_for("sync", playing)
        time.sleep(SETTLED_S)

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


@pytest.fixture
def jam(machines: Machines, tmp_path: pathlib.Path) -> Jam:
    return Jam(machines, tmp_path)


def new_host(event: Event) -> bool:
    return bool(event["you"])


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


def test_nobody_hears_that_the_host_dies(jam: Jam) -> None:
    jam.open("Ana", "Ben")
    jam.programs["Hana"].process.kill()
    ana, ben = jam.programs["Ana"], jam.programs["Ben"]
    assert ana.wait_for("host_changed")["you"] is True
    assert ben.wait_for("host_changed")["name"] == "Ana"
    ana.wait_for("peer_joined", lambda event: event["name"] == "Ben")
    ben.wait_for("successors", lambda event: event["names"] == ["Ben"])
    time.sleep(SETTLED_S)
    assert_nobody_heard_it(jam.played("Ben", "Ana"))


def test_nobody_hears_that_the_host_hands_over_and_stays(jam: Jam) -> None:
    jam.open("Ana", "Ben")
    hana, ana, ben = (jam.programs[name] for name in ("Hana", "Ana", "Ben"))
    hana.say("hand-over Ben")
    assert ben.wait_for("host_changed")["you"] is True
    for program in (hana, ana):
        assert program.wait_for("host_changed")["name"] == "Ben"
    ben.wait_for("successors", lambda event: set(event["names"]) == {"Hana", "Ana"})
    time.sleep(SETTLED_S)
    assert_nobody_heard_it(jam.played("Ana", "Hana", "Ben"))


def test_a_host_that_was_cut_off_comes_back_as_a_peer(jam: Jam) -> None:
    """It plays on alone. When its cable is plugged in again, it joins the part with the most machines."""
    jam.open("Ana", "Ben")
    hana, ana, ben = (jam.programs[name] for name in ("Hana", "Ana", "Ben"))
    jam.machines.cable("Hana", plugged=False)
    assert ana.wait_for("host_changed")["cause"] == "host_lost"
    ben.wait_for("successors", lambda event: event["names"] == ["Ben"])
    time.sleep(SETTLED_S)
    jam.machines.cable("Hana", plugged=True)
    changed = hana.wait_for("host_changed")
    assert (changed["name"], changed["cause"]) == ("Ana", "reunion")
    ana.wait_for("successors", lambda event: "Hana" in event["names"])
    time.sleep(SETTLED_S)
    assert_nobody_heard_it(jam.played("Ben", "Hana", "Ana"))


@pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable())
def test_a_phone_finds_the_page_at_the_new_host(machines: Machines, tmp_path: pathlib.Path) -> None:
    """It stays the same guest, with its name and its vote, also when the session goes on to a third host."""
    songs = [tmp_path / f"{number}.mp3" for number in (1, 2)]
    for number, song in enumerate(songs):
        song.write_bytes(encode(noise(SONG_S, 44100, number), 44100))
    hana = machines.start("Hana", "host", *map(str, songs), "--guests", "--wait-peers", "1", "--play")
    link = hana.wait_for("guest_page")["link"]
    ana = machines.start("Ana", "join", machines.address("Hana"))
    ana.wait_for("sync", playing)
    ana.wait_for("successors", lambda event: event["names"] == ["Ana"])
    with Browser(tmp_path, prefix=machines.prefix("Cleo")) as browser:
        page = browser.page(link)
        page.type("#enter-name", "Zoë")
        page.tap("#enter-go")
        page.wait("document.querySelector('#queue-rows .vote')")
        page.tap("#queue-rows .vote")
        page.wait("document.querySelector('#queue-rows .vote[aria-pressed=true]')")
        hana.wait_for("votes")
        time.sleep(HERITAGE_S)
        hana.process.kill()
        assert ana.wait_for("guest_page")["link"] == link.replace(machines.address("Hana"), machines.address("Ana"))
        assert ana.wait_for("guest_joined")["name"] == "Zoë"
        page.wait(f"location.hostname === '{machines.address('Ana')}'")
        page.wait("document.querySelector('#queue-rows .vote[aria-pressed=true]')")
        ben = machines.start("Ben", "join", machines.address("Ana"))
        ana.wait_for("successors", lambda event: event["names"] == ["Ben"])
        ana.say("hand-over Ben")
        assert ben.wait_for("guest_joined")["name"] == "Zoë"
        page.wait("document.querySelector('#me').textContent === 'Zoë'")
        assert page.run("location.hostname") == machines.address("Ben")


def test_three_successions_in_a_row(jam: Jam) -> None:
    """A crash, a host that hands over and leaves, and another crash; the last one has no other machine to ask."""
    jam.open("Ana", "Ben", "Cleo")
    jam.programs["Hana"].process.kill()
    names = ["Ana", "Ben", "Cleo"]
    for _ in range(2):
        old, *others = names
        jam.programs[old].wait_for("host_changed", new_host)
        jam.programs[old].wait_for("successors", lambda event, others=others: event["names"] == others)  # type: ignore[misc]
        time.sleep(SETTLED_S)
        if len(others) == 2:
            jam.programs[old].say("leave")
            assert jam.programs[old].end() == (0, "")
        else:
            jam.programs[old].process.kill()
        names = others
    cleo = jam.programs["Cleo"]
    cleo.wait_for("host_changed", new_host)
    cleo.wait_for("sync", playing)
    (played,) = jam.played("Cleo")
    assert (delay.silences_ms(played), delay.clicks(played), played.underruns) == ([], [], 0), played.late_wakes_ms
