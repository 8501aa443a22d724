"""Real processes in network namespaces whose host dies, or hands over. Sound cards with clocks of their own record what
each machine plays."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from phaselock.bench.analysis import delay
from phaselock.bench.lab.signals import encode, noise
from tests.support import browser as browsers
from tests.support.browser import Browser
from tests.support.machines import Machines, unavailable
from tests.support.programs import playing
from tests.support.recorded_machines import NAMES, SETTLED_S, SONG_S, RecordedMachines, assert_nobody_heard_it

pytestmark = pytest.mark.slow

HERITAGE_S = 2.0
"""After this time the successors know what has changed."""


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, *NAMES) as found:
        yield found


@pytest.fixture
def jam(machines: Machines, tmp_path: pathlib.Path) -> RecordedMachines:
    return RecordedMachines(machines, tmp_path)


def test_nobody_hears_that_the_host_dies(jam: RecordedMachines) -> None:
    jam.open("Ana", "Ben")
    jam.programs["Hana"].process.kill()
    host, peers = jam.new_host("Ana", "Ben")
    assert_nobody_heard_it(jam.played(*peers, host))


def test_nobody_hears_that_the_host_hands_over_and_stays(jam: RecordedMachines) -> None:
    jam.open("Ana", "Ben")
    hana, ana, ben = (jam.programs[name] for name in ("Hana", "Ana", "Ben"))
    hana.say("hand-over Ben")
    assert ben.wait_for("host_changed")["you"] is True
    for program in (hana, ana):
        assert program.wait_for("host_changed")["name"] == "Ben"
    ben.wait_until("successors", lambda event: set(event["names"]) == {"Hana", "Ana"})
    time.sleep(SETTLED_S)
    assert_nobody_heard_it(jam.played("Ana", "Hana", "Ben"))


def test_a_host_that_was_cut_off_comes_back_as_a_peer(jam: RecordedMachines) -> None:
    """It plays on alone. When its cable is plugged in again, it joins the part with the most machines."""
    jam.open("Ana", "Ben")
    jam.machines.cable("Hana", plugged=False)
    host, peers = jam.new_host("Ana", "Ben")
    jam.machines.cable("Hana", plugged=True)
    changed = jam.programs["Hana"].wait_for("host_changed")
    assert (changed["name"], changed["cause"]) == (host, "reunion")
    jam.programs[host].wait_until("successors", lambda event: "Hana" in event["names"])
    time.sleep(SETTLED_S)
    assert_nobody_heard_it(jam.played(*peers, "Hana", host))


@pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable())
def test_a_phone_finds_the_page_at_the_new_host(machines: Machines, tmp_path: pathlib.Path) -> None:
    """It stays the same guest, with its name and its vote, also when the session goes on to a third host."""
    songs = [tmp_path / f"{number}.mp3" for number in (1, 2)]
    for number, song in enumerate(songs):
        song.write_bytes(encode(noise(SONG_S, 44100, number), 44100))
    hana = machines.start("Hana", "host", *map(str, songs), "--guests", "--wait-peers", "1", "--play")
    link = hana.wait_for("guest_page")["link"]
    ana = machines.start("Ana", "join", machines.address("Hana"))
    ana.wait_until("sync", playing)
    ana.wait_until("successors", lambda event: event["names"] == ["Ana"])
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
        ana.wait_until("successors", lambda event: event["names"] == ["Ben"])
        ana.say("hand-over Ben")
        assert ben.wait_for("guest_joined")["name"] == "Zoë"
        page.wait("document.querySelector('#me').textContent === 'Zoë'")
        assert page.run("location.hostname") == machines.address("Ben")


def test_three_successions_in_a_row(jam: RecordedMachines) -> None:
    """A crash, a host that the system asks to end, which hands over, and another crash; the last one has no other
    machine to ask."""
    jam.open("Ana", "Ben", "Cleo")
    jam.programs["Hana"].process.kill()
    host, peers = jam.new_host("Ana", "Ben", "Cleo")
    jam.programs[host].process.terminate()
    assert jam.programs[host].end() == (0, "")
    host, (last,) = jam.new_host(*peers)
    jam.programs[host].process.kill()
    assert jam.programs[last].wait_for("host_changed")["you"] is True
    jam.programs[last].wait_for("sync", playing)
    (played,) = jam.played(last)
    assert (delay.silences_ms(played), delay.clicks(played), played.underruns) == ([], [], 0), played.late_wakes_ms
