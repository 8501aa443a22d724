"""A calibration and a check by real processes on virtual cards, whose sound a virtual microphone hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from phaselock.audio.sweeps import sweep
from phaselock.bench.lab.guest_client import GuestClient
from phaselock.model.sweeps import RATE_HZ
from tests.support import browser as browsers
from tests.support.programs import TUNE, Event, Program, playing
from tests.support.sound_servers import PulseServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.device,
    pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="PulseAudio is not installed"),
]
SERVER = pathlib.Path(__file__).parent / "support" / "virtual_microphone.py"
HIDDEN_MS = {"Hana": 0.0, "Ana": 43.0, "Ben": 182.4}
LATENCIES_MS = {"Hana": 500, "Ana": 300, "Ben": 600}
LOUDER_DB = 6.0
"""By how much Ana's card plays louder than the others."""

Cards = Callable[..., pathlib.Path]


@pytest.fixture
def cards(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    """Starts a microphone in a room, which it describes, and returns the folder of the cards' recordings. The
    microphone hears them in the monitor of the sink Room."""
    server = PulseServer(tmp_path, ["sink_name=Room norewinds=1 rate=48000 sink_properties=device.description=Room"])
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "cards"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)

        def listen(**room: object) -> pathlib.Path:
            command = [sys.executable, SERVER, folder, "Room", json.dumps({**room, "noise": 0.005})]
            microphone = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            stack.callback(microphone.wait)
            stack.callback(microphone.kill)
            return folder

        yield listen


@contextlib.contextmanager
def jam(folder: pathlib.Path, home: pathlib.Path) -> Iterator[list[Program]]:
    """Hana, the host, who has a microphone, Ana and Ben. A song plays."""

    def start(name: str, *arguments: str) -> Program:
        card = json.dumps({"record": str(folder), "latency_ms": LATENCIES_MS[name]})
        common = ("--as", name, "--backend", "virtual", "--card", card)
        machines.append(Program(*arguments, *common, home=home / name))
        return machines[-1]

    machines: list[Program] = []
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--microphone", "Monitor of Room")
    try:
        host = start("Hana", "host", str(TUNE), *local, "--wait-peers", "2", "--play")
        port = host.wait_for("session")["port"]
        for name in ("Ana", "Ben"):
            start(name, "join", f"127.0.0.1:{port}")
        for peer in machines[1:]:
            peer.wait_for("sync", playing)
        yield machines
        for peer in machines[1:]:
            peer.wait_for("sync", playing)  # the song goes on
            peer.say("leave")
            assert peer.end() == (0, "")
        host.say("quit")
        assert host.end() == (0, "")
    finally:
        for machine in machines:
            machine.close()


def kept(home: pathlib.Path, name: str) -> Event:
    """The settings of this machine."""
    settings: Event = json.loads(next((home / name).rglob("settings.json")).read_text("utf-8"))
    return settings


def test_what_the_cards_hide_is_heard_and_corrected_in_the_middle_of_a_song(
    cards: Cards, tmp_path: pathlib.Path
) -> None:
    # Each has an echo; Ben's is stronger than its direct sound.
    room = {
        name: [[late_ms, 0.4], [late_ms + 5, 0.45 if name == "Ben" else 0.2]] for name, late_ms in HIDDEN_MS.items()
    }
    with jam(cards(**room), tmp_path) as (host, ana, ben):
        found = calibrated(host)
        assert {row["name"] for row in found} == HIDDEN_MS.keys()
        for row in found:
            assert row["verdict"] == "heard"
            assert row["corrected_ms"] == pytest.approx(HIDDEN_MS[row["name"]], abs=0.1)
            assert row["after_ms"] == pytest.approx(0, abs=0.1)
        confirmed(host, ana, ben)
        at_the_speakers(host, ben)
    for name, late_ms in (("Hana", 29.138), ("Ana", 43 + 29.138), ("Ben", 182.4)):
        calibration = kept(tmp_path, name)["calibrations"][f"virtual ({name})"]
        assert calibration["late_ms"] == pytest.approx(late_ms, abs=0.15)


def test_a_louder_machine_is_heard_and_trimmed(cards: Cards, tmp_path: pathlib.Path) -> None:
    room = {name: [[5, 0.3], [11, 0.15]] for name in HIDDEN_MS}
    with jam(cards(**room, louder_db={"Ana": LOUDER_DB}), tmp_path) as (host, ana, _):
        levels_db = {row["name"]: row["level_db"] for row in calibrated(host)}
        assert levels_db == pytest.approx({"Hana": 0, "Ana": LOUDER_DB, "Ben": 0}, abs=0.5)
        host.say("levels even")
        trim_db = ana.wait_for("trim_set")["trim_db"]
        assert trim_db == pytest.approx(-LOUDER_DB, abs=0.5)
        ana.wait_for("sync", playing)
        levels_db = {row["name"]: row["level_db"] for row in calibrated(host)}
        assert levels_db == pytest.approx(dict.fromkeys(HIDDEN_MS, 0), abs=0.5)
        host.say("levels")
        told = host.wait_for("levels")
        assert {row["name"]: row["even_trim_db"] for row in told["machines"]} == pytest.approx(
            {"Hana": 0, "Ana": trim_db, "Ben": 0}, abs=0.5
        ), "the trims do not add up"
    settings = kept(tmp_path, "Ana")
    assert settings["trims_db"]["virtual (Ana)"] == trim_db and settings["volume"] == 1


def test_a_check_hears_what_the_cards_hide_while_the_song_plays_on(cards: Cards, tmp_path: pathlib.Path) -> None:
    room = {name: [[late_ms, 0.4], [late_ms + 5, 0.2]] for name, late_ms in HIDDEN_MS.items()}
    with jam(cards(**room), tmp_path) as (host, *_):
        for _ in range(6):
            host.say("seek 0")
            host.say("check")
            found = list(host.wait_for("checked")["machines"])
            if all(row["verdict"] == "heard" for row in found):
                break
        else:
            pytest.skip("this machine interrupts the virtual microphone too often")
        for row in found:
            assert row["offset_ms"] == pytest.approx(HIDDEN_MS[row["name"]], abs=0.3)


def host_of_guests(folder: pathlib.Path, home: pathlib.Path) -> Program:
    """Hana, who has a microphone and no peer."""
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--microphone", "Monitor of Room")
    card = ("--backend", "virtual", "--card", json.dumps({"record": str(folder), "latency_ms": 300}))
    guests = ("--guests", "--guest-port", "0")
    songs = [str(TUNE)] * 8
    return Program("host", *songs, *local, *card, *guests, "--as", "Hana", "--play", home=home / "Hana")


def test_a_phone_is_corrected_with_the_host(cards: Cards, tmp_path: pathlib.Path) -> None:
    folder = cards(Hana=[[0, 0.4], [5, 0.2]], Pia=[[120, 0.4], [127, 0.2]])
    host = host_of_guests(folder, tmp_path)
    try:
        link = host.wait_for("guest_page")["link"]
        host.wait_for("sync", playing)
        kept_ms = asyncio.run(phone_of_a_guest(host, link, folder))
    finally:
        host.close()
    assert kept_ms == pytest.approx(120, abs=0.5)


@pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable())
def test_a_browser_is_corrected_with_the_host(cards: Cards, tmp_path: pathlib.Path) -> None:
    """The microphone hears the browser itself, and the host as late as the player of its virtual room is."""
    host = host_of_guests(cards(Hana=[[0, 0.4], [5, 0.2]]), tmp_path)
    try:
        link = host.wait_for("guest_page")["link"]
        (tmp_path / "browser").mkdir()
        with browsers.Browser(tmp_path / "browser") as chromium:
            page = chromium.page(link)
            page.type("#enter-name", "Pia")
            page.tap("#enter-go")
            page.tap("#listen")
            page.wait("/about [0-9]+ ms/.test(document.querySelector('#listen-state').textContent)")
            corrected_ms = 0.0
            for _ in range(4):
                host.say("calibrate")
                row = host.wait_for("calibrated")["machines"][-1]
                corrected_ms += row["corrected_ms"]
                if row["after_ms"] is not None and abs(row["after_ms"]) < 3:
                    break
            else:
                pytest.skip("this machine interrupts the virtual microphone or the browser too often")
            page.wait("document.querySelector('#align-value').textContent !== '0 ms'")
            shown = page.run("document.querySelector('#align-value').textContent")
            assert page.errors() == []
    finally:
        host.close()
    assert float(shown.replace("−", "-").removesuffix(" ms")) == pytest.approx(-corrected_ms, abs=0.25)


async def phone_of_a_guest(host: Program, link: str, folder: pathlib.Path) -> float:
    """Calibrate a page without a browser, whose card plays into `folder` what it is told, until it is corrected. Return
    the correction in ms."""
    address, _, secret = link.partition("#")
    port = int(address.rstrip("/").rpartition(":")[2])
    async with await GuestClient.open(port) as http, await GuestClient.open(port) as page:
        await page.hello((await http.enter(secret=secret)).json["token"], "Pia")
        await page.tell("listen", on=True, uncertainty_ms=5)
        ahead_ns = await session_ahead_ns(page)
        for attempt in range(4):
            host.say("calibrate")
            kept_ms = None
            while (told := await page.hear("sweep", "calibrated", "sweep_end"))["type"] != "sweep_end":
                if told["type"] == "calibrated":
                    kept_ms = told["late_ns"] / 1e6
                else:
                    first_ns = int(told["begin_session_ns"]) - told["late_ns"] - ahead_ns
                    record(folder / f"Pia-{attempt}-{told['late_ns']}", first_ns, told["starts_ns"], told["upward"])
            row = (await asyncio.to_thread(host.wait_for, "calibrated"))["machines"][-1]
            assert row["phone"] and (kept_ms is None) == (row["after_ms"] is None)
            if kept_ms is not None:
                assert row["before_ms"] == pytest.approx(kept_ms, abs=0.001) and abs(row["after_ms"]) < 0.5
                return float(kept_ms)
    pytest.skip("this machine interrupts the virtual microphone too often")


async def session_ahead_ns(page: GuestClient) -> int:
    """How much the session's time is ahead of the true one: by the quickest of some exchanges."""
    exchanges = []
    for _ in range(20):
        began_ns = time.perf_counter_ns()
        await page.tell("ping", t0=0)
        told = await page.hear("pong")
        ended_ns = time.perf_counter_ns()
        ahead_ns = (int(told["t1_ns"]) + int(told["t2_ns"]) - began_ns - ended_ns) // 2
        exchanges.append((ended_ns - began_ns, ahead_ns))
    return min(exchanges)[1]


def record(path: pathlib.Path, first_ns: int, starts_ns: list[int], upward: bool) -> None:
    """Write the recording of a card (audio/virtual_device.py) that plays these sweeps."""
    one = np.array(sweep(upward), "<f4")
    frames = np.zeros((starts_ns[-1] * RATE_HZ // 1_000_000_000 + len(one), 2), "<f4")
    for start_ns in starts_ns:
        start = start_ns * RATE_HZ // 1_000_000_000
        frames[start : start + len(one)] = one[:, None]
    path.with_suffix(".f32").write_bytes(frames.tobytes())
    path.with_suffix(".part").write_text(json.dumps({"first_ns": first_ns, "true_rate_hz": RATE_HZ}), "utf-8")
    path.with_suffix(".part").rename(path.with_suffix(".json"))


def confirmed(host: Program, ana: Program, ben: Program) -> None:
    """The machines know what was confirmed of them, and the host of all, until an offset changes that."""
    host.say("peers")
    for told in host.wait_for("peers")["peers"]:
        assert told["confirmed"]["within_us"] < 200 and told["confirmed"]["place"] == "spot"
    for peer in (ana, ben):
        peer.wait_for("output_confirmed")  # the host tells it when its own user knows it already
    for machine in (host, ana, ben):
        machine.say("status")
        assert machine.wait_for("status")["confirmed"]["within_us"] < 200
    ana.say("offset 5")
    host.wait_for("peer_sync", lambda told: told["name"] == "Ana" and told["confirmed"] is None)
    ana.say("status")
    assert "confirmed" not in ana.wait_for("status")
    ana.say("offset 0")


def at_the_speakers(host: Program, ben: Program) -> None:
    """All machines are heard together now. If Ben is 10 m away, its sound needs 29.138 ms, so it plays 29.138 ms before
    the others."""
    for row in calibrated(host, "calibrate at Hana=0 Ana=0 Ben=10"):
        assert row["after_ms"] == pytest.approx(0, abs=0.1)
    for machine in (host, ben):
        machine.say("offset")
        machine.wait_for("answer", lambda told: "That is right at the loudspeakers." in told["message"])


def calibrated(host: Program, command: str = "calibrate") -> list[Event]:
    """The result, with all corrections so far. A busy machine interrupts the virtual microphone: then machines are left
    as they were, and it is tried again."""
    corrected_ms = dict.fromkeys(HIDDEN_MS, 0.0)
    for _ in range(6):
        host.say(command)
        machines = list(host.wait_for("calibrated")["machines"])
        for row in machines:
            corrected_ms[row["name"]] += row["corrected_ms"]
        if all(row["after_ms"] is not None for row in machines):
            return [{**row, "corrected_ms": corrected_ms[row["name"]]} for row in machines]
        assert not any(row["corrected_ms"] for row in machines if row["after_ms"] is None)
    pytest.skip("this machine interrupts the virtual microphone too often")
