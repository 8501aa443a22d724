"""Each check of this machine with its possible faults, and the whole doctor with real sessions."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock.audio.priority import Priority
from phaselock.console.events import FindingTold
from phaselock.console.lines import event_lines
from phaselock.errors import AudioDeviceError, PhaseLockError
from phaselock.network import discovery, multicast
from phaselock.network.interfaces import Adapter
from phaselock.network.listener import bind
from phaselock.session.events import Event
from phaselock.tools import doctor, way
from phaselock.tools.doctor import Finding, Heard
from tests.support.findings import INFO, KITCHEN, Host, levels, run, the_only
from tests.support.machines import Machines, unavailable
from tests.support.programs import ROOT, Program
from tests.support.told import told

# -- this machine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "level", "message"),
    [
        (None, "ok", "can be opened"),
        ("no tk", "hint", "Python lacks Tk"),
        ("no customtkinter", "hint", "customtkinter is missing"),
        ("no screen", "hint", "no screen"),
        ("no answer", "hint", "does not answer"),
    ],
)
def test_a_window(trouble: doctor.WindowTrouble | None, level: str, message: str) -> None:
    found = the_only(doctor.check_window(lambda: trouble))
    assert found.level == level and message in found.message


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_a_window_is_really_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9999")  # there is no such display
    assert doctor.check_window(doctor.try_window)[0].level == "hint"


def test_a_python_without_tk_is_told_from_one_without_a_screen(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def with_this_tkinter(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        # Not by PYTHONPATH, which an embeddable Python does not read.
        return run([*command[:-1], f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{command[-1]}"], **options)

    monkeypatch.setattr(doctor.subprocess, "run", with_this_tkinter)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for code, trouble in (("raise ModuleNotFoundError('_tkinter')", "no tk"), ("Tk = None", "no screen")):
        (tmp_path / "tkinter.py").write_text(code, "utf-8")
        assert doctor.try_window() == trouble


def test_a_window_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pipe may be left to read: on Windows, that would last until the last process that has it ends."""
    started: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    found = the_only(
        doctor.check_window(lambda: doctor.try_window("import threading; threading.Event().wait()", timeout_s=0))
    )
    assert found.level == "hint" and "does not answer" in found.message
    (child,) = started
    assert child.poll() is not None
    assert (child.stdin, child.stdout, child.stderr) == (None, None, None)


REAL_TIME = Priority("real-time")


@pytest.mark.parametrize(
    ("heard", "level", "message"),
    [
        (
            Heard("Box", "alsa", 48000, True, 20_000_000, "exact", REAL_TIME),
            "ok",
            "Box (alsa, 48000 Hz) works and is 20 ms late",
        ),
        (Heard("Box", "alsa", 48000, True, 300_000_000, "exact", REAL_TIME), "hint", "300 ms late"),
        (Heard("Box", "alsa", 48000, True, 20_000_000, "told", REAL_TIME), "hint", "is about 20 ms late"),
        (Heard("Box", "alsa", 48000, True, 20_000_000, "told", REAL_TIME), "hint", "tells its delay only roughly"),
        (
            Heard("Box", "alsa", 48000, True, 20_000_000, "unknown", REAL_TIME),
            "hint",
            "This output does not tell its delay",
        ),
        (Heard("Box", "alsa", 48000, True, None, "exact", REAL_TIME), "hint", "does not tell its delay"),
    ],
)
def test_an_output(heard: Heard, level: str, message: str) -> None:
    output, priority = doctor.check_output(lambda: heard)
    assert output.level == level and message in output.message
    assert priority == doctor.check_priority(REAL_TIME)


@pytest.mark.parametrize(
    ("heard", "level", "message"),
    [
        (Heard("Box", "alsa", 48000, False, 20_000_000, "exact", REAL_TIME), "problem", "takes no sound"),
        (Heard("NULL", "null", 48000, True, 0, "exact", REAL_TIME), "hint", "There is no output"),
    ],
)
def test_an_output_that_cannot_be_heard(heard: Heard, level: str, message: str) -> None:
    found = the_only(doctor.check_output(lambda: heard))
    assert found.level == level and message in found.message


@pytest.mark.parametrize(
    ("priority", "level", "message"),
    [
        (REAL_TIME, "ok", "The audio thread gets real-time priority."),
        (Priority("raised"), "ok", "The audio thread gets raised priority."),
        (Priority("normal", "RealtimeKit is not installed."), "hint", "may break up. RealtimeKit is not installed."),
        (Priority("unknown"), "hint", "Which priority the audio thread gets is not known."),
    ],
)
def test_the_priority_of_the_audio_thread(priority: Priority, level: str, message: str) -> None:
    found = doctor.check_priority(priority)
    assert (found.level, found.figures) == (level, {"priority": priority.level})
    assert found.message.endswith(message) and found.fix == priority.advice


def test_no_output() -> None:
    def listen() -> Heard:
        raise AudioDeviceError("No audio output detected.")

    found = the_only(doctor.check_output(listen))
    assert (found.level, found.message) == ("problem", "No audio output detected.") and found.fix


def test_an_output_is_really_run() -> None:
    heard = doctor.listen_to_output("null", None, or_default=True)
    assert heard.callbacks and heard.priority.level in ("normal", "raised", "real-time")


@pytest.fixture
def ports() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ports in use: TCP and UDP."""
    with bind("127.0.0.1", 0, socket.SOCK_STREAM) as tcp, bind("127.0.0.1", 0, socket.SOCK_DGRAM) as udp:
        yield tcp, udp


def nobody(port: int) -> str:
    return ""


def kitchen(port: int) -> str:
    return "Kitchen"


def test_ports(ports: tuple[socket.socket, socket.socket]) -> None:
    tcp, udp = (one.getsockname()[1] for one in ports)
    with bind("127.0.0.1", 0, socket.SOCK_STREAM) as one:
        free = one.getsockname()[1]
    both = [("port", "ok"), ("clock_port", "ok")]
    assert levels(doctor.check_ports(free, 0, nobody, "127.0.0.1")) == both
    assert levels(doctor.check_ports(tcp, udp, kitchen, "127.0.0.1")) == both
    taken = doctor.check_ports(tcp, udp, nobody, "127.0.0.1")
    assert levels(taken) == [("port", "problem"), ("clock_port", "problem")]
    assert taken[0].message == f"Port {tcp} (TCP) is used by another program." and "--port" in taken[0].fix


def test_a_port_that_is_forbidden_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> socket.socket:
        raise PhaseLockError("Cannot listen on port 80: not in use by anybody, but forbidden.")

    monkeypatch.setattr(doctor, "bind", forbid)
    found = doctor.check_ports(80, 81, kitchen)
    assert levels(found) == [("port", "problem"), ("clock_port", "problem")] and "forbidden" in found[0].message


def test_an_occupant_is_asked_once(ports: tuple[socket.socket, socket.socket]) -> None:
    asked: list[int] = []
    tcp, udp = (one.getsockname()[1] for one in ports)
    doctor.check_ports(tcp, udp, lambda port: asked.append(port) or "", "127.0.0.1")  # type: ignore[func-returns-value]
    assert asked == [tcp]


def test_whose_port_it_is_nobody_guesses(ports: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> tuple[str, str]:
        async with Host() as host:
            ours = asyncio.create_task(doctor.session_at(host.port))
            await host.say(INFO)
            await host.connection.close()
            with socket.create_server(("127.0.0.1", 0)) as listener:
                dead = listener.getsockname()[1]
            return await ours, await doctor.session_at(dead)

    assert run(scene()) == ("Kitchen", "")


def test_firewalls_of_linux(tmp_path: pathlib.Path) -> None:
    assert doctor.check_firewall(tmp_path, 1, 2) == []
    (tmp_path / "run/firewalld").mkdir(parents=True)
    assert "--add-port=1/tcp --add-port=2/udp" in the_only(doctor.check_firewall(tmp_path, 1, 2)).fix
    (tmp_path / "etc/ufw").mkdir(parents=True)
    (tmp_path / "etc/ufw/ufw.conf").write_text("# conf\nENABLED=yes\n")
    assert "sudo ufw allow 1/tcp" in the_only(doctor.check_firewall(tmp_path, 1, 2)).fix


def adapter(name: str, *texts: str) -> Adapter:
    return Adapter(name, tuple(ipaddress.ip_interface(text) for text in texts))


TAILSCALE = adapter("tailscale0", "100.101.102.103/32", "fd7a:115c:a1e0::1234/128")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], [("network", "problem")]),
        ([adapter("lo", "127.0.0.1/8", "::1/128")], [("network", "problem")]),
        ([adapter("eth0", "169.254.3.4/16")], [("network", "hint")]),
        ([adapter("eth0", "192.168.1.5/24")], [("network", "ok")]),
        ([adapter("eth0", "192.168.1.5/24"), adapter("utun0", "fe80::1/64")], [("network", "ok")]),
        ([adapter("eth0", "192.168.1.5/24"), adapter("tun0", "10.8.0.2/24")], [("network", "ok"), ("vpn", "hint")]),
        ([adapter("eth0", "192.168.1.5/24"), adapter("wg0", "10.8.0.2/24")], [("network", "ok"), ("overlay", "ok")]),
        ([adapter("eth0", "192.168.1.5/24"), TAILSCALE], [("network", "ok"), ("overlay", "ok")]),
        ([adapter("wwan0", "100.70.1.2/10"), TAILSCALE], [("network", "ok"), ("overlay", "ok"), ("carrier", "hint")]),
        ([adapter("wwan0", "100.70.1.2/10")], [("network", "ok"), ("carrier", "hint")]),
    ],
)
def test_networks(found: list[Adapter], expected: list[tuple[str, str]]) -> None:
    assert levels(doctor.check_network(found, ())) == expected


def test_an_overlay_network_is_told_by_name_and_a_vpn_if_it_takes_all_traffic() -> None:
    found = [adapter("eth0", "192.168.1.5/24"), TAILSCALE]
    told = doctor.check_network(found, ())[1].message
    assert told == "Tailscale is on: friends in the same Tailscale network reach this machine at 100.101.102.103."
    assert levels(doctor.check_network(found, ("100.101.102.103",)))[2:] == [("vpn", "hint")]


def test_discovery() -> None:
    mute = the_only(doctor.check_discovery(False, [KITCHEN]))
    assert mute.level == "problem" and "5353" in mute.fix
    heard, found = doctor.check_discovery(True, [KITCHEN])
    assert heard.level == "ok" and '"Kitchen" by Ann at 192.0.2.7' in found.message


def test_discovery_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    async def blocked(speak_from: list[str]) -> Any:
        raise multicast.Blocked("another program keeps port 5353 for itself")

    monkeypatch.setattr(discovery, "open_multicast", blocked)
    findings, sessions = run(doctor.try_discovery())
    assert "another program keeps port 5353 for itself" in the_only(findings).message and not sessions


def test_discovery_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(discovery, "try_out", hang)
    monkeypatch.setattr(doctor, "LOCAL_LIMIT_S", 0.02)
    assert levels(run(doctor.try_discovery())[0]) == [("discovery", "problem")]


@pytest.mark.skipif(sys.platform != "linux", reason="multicast on the loopback interface is known from Linux")
def test_a_machine_hears_itself_and_is_no_session_to_anybody() -> None:
    async def scene() -> tuple[bool, list[str]]:
        names: list[str] = []
        other = discovery.Browser(["127.0.0.1"])
        await other.start(lambda sessions: names.extend(one.session_name for one in sessions))
        try:
            heard, _ = await discovery.try_out(1.0, ["127.0.0.1"])
        finally:
            await other.close()
        return heard, names

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            here = socket.inet_aton("127.0.0.1")
            sock.settimeout(5)
            sock.bind(("", 0))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + here)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            sock.sendto(b"?", ("224.0.0.251", sock.getsockname()[1]))
            sock.recv(1)
    except OSError as error:
        pytest.skip(f"no multicast on the loopback interface: {error}")
    heard, names = run(scene())
    assert heard and "doctor" not in names


def test_folders(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    good, bad = tmp_path / "a" / "b", tmp_path / "file" / "c"
    assert levels(doctor.check_folders({"songs": good}, doctor.try_writing)) == [("folder", "ok")]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file"]
    found = the_only(doctor.check_folders({"songs": good, "the log": bad}, doctor.try_writing))
    assert found.level == "problem" and f"cannot keep the log in {bad}" in found.message

    def read_only(folder: pathlib.Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    found = the_only(doctor.check_folders({"songs": good}, read_only))
    assert "Read-only file system" in found.message and str(tmp_path) in found.fix


def test_room() -> None:
    assert the_only(doctor.check_room(4 << 30)).message == "The disk has room for 4.3 GB of songs."
    assert levels(doctor.check_room(1 << 20)) == [("room", "problem")]


def test_settings() -> None:
    assert doctor.check_settings(None) == []
    assert levels(doctor.check_settings("They were broken.")) == [("settings", "hint")]


def test_a_check_that_hangs_or_breaks_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang() -> list[Finding]:
        ended.wait(30)
        return []

    def break_() -> list[Finding]:
        raise RuntimeError("oh")

    monkeypatch.setattr(doctor, "LOCAL_LIMIT_S", 0.02)
    assert levels(run(doctor._checked("output", hang))) == [("output", "problem")]
    ended.set()
    monkeypatch.setattr(doctor, "LOCAL_LIMIT_S", 30)
    found = the_only(run(doctor._checked("network", break_)))
    assert (found.level, found.message) == ("hint", "The network could not be checked (oh).")


# -- all of it ---------------------------------------------------------------------------------------------------------


def test_a_finding_is_a_line_and_its_fix_stands_below() -> None:
    broken = Finding("port", "problem", "It is broken.", "Mend it:\nwith glue")
    assert event_lines(FindingTold(None, broken)) == [
        "problem  It is broken.",
        "         Mend it:",
        "         with glue",
    ]
    assert event_lines(FindingTold(None, Finding("port", "ok", "It works."))) == ["ok       It works."]


def test_the_last_line() -> None:
    assert doctor.summary(["ok"]) == "No problem was found."
    assert doctor.summary(["ok", "hint"]) == "No problem was found; see the hints above."
    assert doctor.summary(["problem", "hint"]) == "One problem was found."
    assert doctor.summary(["problem", "problem"]) == "2 problems were found."


def phaselock(home: pathlib.Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run phaselock with these arguments; return its exit status and its findings by id."""
    done = subprocess.run(
        [sys.executable, "-m", "phaselock", *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "PHASELOCK_HOME": os.fspath(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}


def settled(home: pathlib.Path, **settings: object) -> pathlib.Path:
    """Write these settings, such as unused ports, to the folder, and return it."""
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.json").write_text(json.dumps(settings))
    return home


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[Program]:
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Host")
    program = Program("host", *local, "--session", "Kitchen", home=tmp_path / "host")
    yield program
    program.close()


class Screen:
    """Records the findings and the lines for users."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.said: list[str] = []

    def event(self, event: Event, *, to_people: bool = True) -> None:
        fields = dict(told(event).fields)
        self.found[fields["id"]] = fields

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, text: str) -> None: ...


@pytest.mark.slow
def test_doctor_reports_all_checks_against_a_real_session(
    host: Program, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = host.wait_for("session")["port"]
    home = settled(tmp_path / "peer", port=port, clock_port=port)
    monkeypatch.setenv("PHASELOCK_HOME", os.fspath(home))
    monkeypatch.setattr(doctor, "LISTEN_S", 0.1)
    monkeypatch.setattr(way, "MEASURE_S", 0.5)
    screen = Screen()
    status = doctor.run_doctor(("127.0.0.1", port), "null", None, screen, asks_router=False)
    assert host.wait_for("peer_left")["name"] == "doctor"
    assert screen.found["port"]["message"] == f'Port {port} (TCP) is used by the jam "Kitchen" on this machine.'
    assert screen.found["connect"]["message"].startswith('The jam "Kitchen" by Host answers')
    assert screen.found["way"]["figures"]["exchanges"] > 0
    assert "the host's clock" in screen.found["clock"]["message"]
    assert (screen.found["output"]["level"], screen.found["folder"]["level"]) == ("hint", "ok")
    levels = [one["level"] for one in screen.found.values()]
    assert status == int("problem" in levels) and screen.said[0] == doctor.summary(levels)
    assert sorted(one.name for one in home.iterdir()) == ["config"]  # the doctor leaves no files


@pytest.mark.slow
def test_the_command(host: Program, tmp_path: pathlib.Path) -> None:
    port = host.wait_for("session")["port"]
    home = settled(tmp_path / "peer", port=port, clock_port=port)
    status, found = phaselock(home, "doctor", f"127.0.0.1:{port}", "--backend", "null", "--no-router")
    assert "good enough for 1 ms by a factor of" in found["clock"]["message"]
    assert status == int(any(one["level"] == "problem" for one in found.values()))


@pytest.mark.slow
@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_walls_between_real_machines(tmp_path: pathlib.Path) -> None:
    with Machines(tmp_path, "ann", "bob") as machines:
        host = machines.start("ann", "host", "--session", "Kitchen")
        host.wait_for("session")
        ann = machines.address("ann")

        def wall(protocol: str, port: int) -> None:
            """Drop the packets to this port of the host, as its firewall would."""
            machines.ip("ann", f"rule add pref 10 ipproto {protocol} dport {port} blackhole")

        # The rule that delivers packets is the first one, so no other could drop them before it.
        machines.ip("ann", "rule add pref 100 lookup local")
        machines.ip("ann", "rule del pref 0")

        def doctor_says(*arguments: str) -> dict[str, dict[str, Any]]:
            done = machines.call("bob", "doctor", *arguments, "--backend", "null", "--no-router", "--json")
            return {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}

        found = doctor_says(ann)
        assert found["discovery"]["level"] == found["session"]["level"] == found["clock"]["level"] == "ok"
        wall("udp", 17402)
        found = doctor_says(ann)
        assert found["connect"]["level"] == "ok"
        assert "no packet comes back from its UDP port 17402" in found["clock"]["message"]
        wall("tcp", 17401)
        assert "found by discovery, but does not answer" in doctor_says()["connect"]["message"]
