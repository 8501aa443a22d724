from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jeepney import DBusAddress, new_method_call, new_signal

from phaselock.desktop import controls as controls_module
from phaselock.desktop import mpris
from phaselock.desktop.bus import MAX_MESSAGE_BYTES, Bus, BusError
from phaselock.desktop.controls import Action, Controls, NowPlaying
from phaselock.desktop.mpris import NAME, PATH, PLAYER, PROPERTIES, ROOT
from tests.desktop.conftest import Serve
from tests.support.message_bus import Answer, MessageBus

HOST = NowPlaying(
    "Playing",
    0.5,
    track="ab12",
    title="夜 & <b>",
    artist="Ana",
    album="One",
    art_url="file:///c.png",
    duration_s=200,
    position_s=10,
    can_control=True,
    can_play=True,
    can_raise=True,
)
PEER = dataclasses.replace(HOST, can_control=False, can_play=False)


def host(**changes: Any) -> NowPlaying:
    return dataclasses.replace(HOST, at_s=time.monotonic(), **changes)


class Program:
    """The program behind the controls: it records the actions."""

    def __init__(self) -> None:
        self.did: queue.SimpleQueue[tuple[Action, float]] = queue.SimpleQueue()
        self.controls = Controls(lambda action, value: self.did.put((action, value)))

    def next(self) -> tuple[Action, float]:
        return self.did.get(timeout=10)


@pytest.fixture
def program(message_bus: MessageBus) -> Iterator[Program]:
    program = Program()
    yield program
    program.controls.close()


@pytest.fixture
def caller(program: Program) -> Iterator[Bus]:
    """Another program on the bus, when the player is there."""
    bus = Bus()
    until(lambda: bus.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s", (NAME,)).body[0])
    yield bus
    bus.close()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def get(bus: Bus, name: str, interface: str = PLAYER) -> Any:
    return bus.call(NAME, PATH, PROPERTIES, "Get", "ss", (interface, name)).body[0][1]


def put(bus: Bus, name: str, kind: str, value: Any) -> None:
    bus.call(NAME, PATH, PROPERTIES, "Set", "ssv", (PLAYER, name, (kind, value)))


def press(bus: Bus, method: str, signature: str = "", arguments: tuple[Any, ...] = (), interface: str = PLAYER) -> None:
    bus.call(NAME, PATH, interface, method, signature, arguments)


def shown(program: Program, bus: Bus, now: NowPlaying) -> None:
    """Show this and wait until the bus knows it."""
    program.controls.show(now)
    until(
        lambda: (
            (get(bus, "PlaybackStatus"), get(bus, "Volume"), get(bus, "CanPlay"))
            == (
                now.status,
                now.volume,
                now.can_play,
            )
        )
    )


def test_what_is_shown(program: Program, caller: Bus) -> None:
    shown(program, caller, host())
    assert get(caller, "Metadata") == {
        "mpris:trackid": ("o", "/com/phaselock/track/ab12"),
        "mpris:length": ("x", 200_000_000),
        "xesam:title": ("s", "夜 & <b>"),
        "xesam:artist": ("as", ["Ana"]),
        "xesam:album": ("s", "One"),
        "mpris:artUrl": ("s", "file:///c.png"),
    }
    assert 10_000_000 <= get(caller, "Position") < 30_000_000
    everything = caller.call(NAME, PATH, PROPERTIES, "GetAll", "s", (PLAYER,)).body[0]
    assert everything["CanSeek"] == everything["CanControl"] == ("b", True)
    assert get(caller, "Identity", ROOT) == "PhaseLock" and get(caller, "DesktopEntry", ROOT) == "phaselock"
    shown(program, caller, NowPlaying("Stopped", 0.5))
    assert get(caller, "Metadata") == {"mpris:trackid": ("o", mpris.NO_TRACK)} and get(caller, "Position") == 0


def test_the_buttons(program: Program, caller: Bus) -> None:
    shown(program, caller, host())
    for method, action in mpris.BUTTONS.items():
        press(caller, method)
        assert program.next() == (action, 0.0)
    press(caller, "Raise", interface=ROOT)
    press(caller, "Quit", interface=ROOT)
    press(caller, "SetPosition", "ox", ("/com/phaselock/track/ab12", 30_000_000))
    press(caller, "SetPosition", "ox", ("/com/phaselock/track/other", 30_000_000))
    press(caller, "SetPosition", "ox", ("/com/phaselock/track/ab12", 300_000_000))
    press(caller, "Seek", "x", (-60_000_000,))
    press(caller, "Seek", "x", (250_000_000,))
    for name, kind, value in (
        ("Volume", "d", 0.25),
        ("Volume", "d", 7.0),
        ("Volume", "d", -1.0),
        ("Volume", "d", float("nan")),
        ("LoopStatus", "s", "Playlist"),
        ("Shuffle", "b", True),
        ("Rate", "d", 0.0),
        ("Rate", "d", 1.0),
    ):
        put(caller, name, kind, value)
    did = [program.next() for _ in range(11)]
    assert did == [
        (Action.RAISE, 0.0),
        (Action.QUIT, 0.0),
        (Action.SEEK, 30.0),
        (Action.SEEK, 0.0),
        (Action.NEXT, 0.0),
        (Action.VOLUME, 0.25),
        (Action.VOLUME, 1.0),
        (Action.VOLUME, 0.0),
        (Action.REPEAT, 1.0),
        (Action.SHUFFLE, 1.0),
        (Action.PAUSE, 0.0),
    ]


def test_a_peer_has_only_a_volume(program: Program, caller: Bus) -> None:
    shown(program, caller, PEER)
    assert [get(caller, f"Can{name}") for name in ("Play", "Pause", "Seek", "GoNext", "Control")] == [False] * 4 + [
        True
    ]
    for method in mpris.BUTTONS:
        press(caller, method)
    press(caller, "Seek", "x", (1,))
    put(caller, "Shuffle", "b", True)
    put(caller, "Volume", "d", 0.75)
    assert program.next() == (Action.VOLUME, 0.75)


def test_changes_are_told(program: Program, caller: Bus) -> None:
    shown(program, caller, host())
    caller.listen(f"type='signal',path='{PATH}'")
    program.controls.show(host(status="Paused", position_s=20))
    assert caller.receive(10).body == (caller.name,)  # the bus says that the name is acquired
    told = caller.receive(10).body
    assert told[:2] == (PLAYER, {"PlaybackStatus": ("s", "Paused")})
    assert caller.receive(10).body == (20_000_000,)  # Seeked
    program.controls.show(host(status="Paused", position_s=20.1, volume=0.6))
    assert caller.receive(10).body == (PLAYER, {"Volume": ("d", 0.6)}, [])
    program.controls.show(host(status="Paused", track="cd", title="B\0\ud800", position_s=0))
    told = caller.receive(10).body
    assert set(told[1]) == {"Metadata", "Volume"} and told[1]["Metadata"][1]["xesam:title"] == ("s", "B?")


@pytest.mark.parametrize(
    ("path", "interface", "method", "signature", "arguments", "error"),
    [
        (PATH, PLAYER, "Next", "s", ("x",), "InvalidArgs"),
        (PATH, PLAYER, "Explode", "", (), "UnknownMethod"),
        (PATH, "org.example", "Next", "", (), "UnknownInterface"),
        ("/other", PLAYER, "Next", "", (), "UnknownObject"),
        (PATH, PLAYER, "OpenUri", "s", ("file:///etc/passwd",), "NotSupported"),
        (PATH, PROPERTIES, "Get", "ss", (PLAYER, "Nothing"), "UnknownProperty"),
        (PATH, PROPERTIES, "GetAll", "s", ("org.example",), "UnknownInterface"),
        (PATH, PROPERTIES, "Set", "ssv", (PLAYER, "Metadata", ("s", "x")), "PropertyReadOnly"),
        (PATH, PROPERTIES, "Set", "ssv", (ROOT, "Identity", ("s", "x")), "PropertyReadOnly"),
        (PATH, PROPERTIES, "Set", "ssv", (PLAYER, "Volume", ("s", "loud")), "InvalidArgs"),
        (PATH, PROPERTIES, "Set", "ssv", (PLAYER, "LoopStatus", ("s", "Track")), "NotSupported"),
    ],
)
def test_bad_calls(
    program: Program,
    caller: Bus,
    path: str,
    interface: str,
    method: str,
    signature: str,
    arguments: tuple[Any, ...],
    error: str,
) -> None:
    with pytest.raises(BusError) as raised:
        caller.call(NAME, path, interface, method, signature, arguments)
    assert raised.value.error == f"org.freedesktop.DBus.Error.{error}"
    assert get(caller, "PlaybackStatus") == "Stopped" and program.did.empty()


def test_introspection(program: Program, caller: Bus) -> None:
    import xml.etree.ElementTree as xml

    found = caller.call(NAME, PATH, mpris.INTROSPECTABLE, "Introspect").body[0]
    names = {one.get("name") for one in xml.fromstring(found)}
    assert {ROOT, PLAYER, PROPERTIES} <= names
    assert caller.call(NAME, "/", mpris.INTROSPECTABLE, "Introspect").body[0] == '<node><node name="org"/></node>'
    assert caller.call(NAME, "/org", mpris.INTROSPECTABLE, "Introspect").body[0] == '<node><node name="mpris"/></node>'
    caller.call(NAME, "/", mpris.PEER, "Ping")


def test_hostile_callers(program: Program, caller: Bus) -> None:
    """Actions without end are refused, and huge and forged messages change nothing."""
    shown(program, caller, host())
    hostile = Bus()
    there = DBusAddress(PATH, bus_name=NAME, interface=PLAYER)
    hostile.send(new_method_call(there, "Seek", "ay", (bytes(2 * MAX_MESSAGE_BYTES),)))
    hostile.send(new_signal(DBusAddress(PATH, bus_name=NAME, interface=PLAYER), "ActionInvoked", "us", (0, "default")))
    began_s = time.monotonic()
    for _ in range(5 * mpris.MAX_ACTIONS):
        hostile.send(new_method_call(there, "Next"))
    until(lambda: program.did.qsize() >= mpris.MAX_ACTIONS)
    assert get(caller, "PlaybackStatus") == "Playing"
    begun = int(time.monotonic() - began_s) + 2  # seconds with a limit of their own
    assert program.did.qsize() <= begun * mpris.MAX_ACTIONS
    hostile.close()


def test_two_programs_have_two_names(program: Program, caller: Bus) -> None:
    second = Program()
    name = f"{NAME}.instance{os.getpid()}"
    until(
        lambda: caller.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s", (name,)).body[0]
    )
    second.controls.close()


def test_the_bus_ends(program: Program, caller: Bus, message_bus: MessageBus) -> None:
    message_bus.end()
    program.controls._thread.join(10)
    assert not program.controls._thread.is_alive()
    program.controls.show(host())
    program.controls.notify("a", "b")


def test_without_a_bus_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    before = threading.active_count()
    controls = Controls(lambda action, value: None)
    controls.show(host())
    controls.notify("a", "b")
    assert not controls.active and threading.active_count() == before
    controls.close()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    Controls(lambda action, value: None).close()


# -- notifications -----------------------------------------------------------------------------------------------------


class Notifications:
    def __init__(self, service: Serve, capabilities: list[str]) -> None:
        self.told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._capabilities = capabilities
        self.bus = service(mpris.NOTIFICATIONS, self._answer)

    def _answer(self, method: str, asked: tuple[Any, ...]) -> Answer:
        if method == "GetCapabilities":
            return "as", (self._capabilities,)
        self.told.put(asked)
        return "u", (41,)


@pytest.mark.parametrize(
    ("capabilities", "body"), [(["body-markup"], "&lt;b&gt;Ana&lt;/b&gt; &amp; x"), ([], "<b>Ana</b> & x")]
)
def test_a_notification(service: Serve, program: Program, caller: Bus, capabilities: list[str], body: str) -> None:
    server = Notifications(service, capabilities)
    program.controls.notify("Jam", "<b>Ana</b> & x")
    name, replaces, icon, summary, text, actions, hints, timeout = server.told.get(timeout=10)
    assert (name, replaces, icon, summary, text, timeout) == ("PhaseLock", 0, "phaselock", "Jam", body, -1)
    assert actions == ["default", ""] and hints["desktop-entry"] == ("s", "phaselock")


def test_notifications_are_rare(service: Serve, program: Program, caller: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Notifications(service, [])
    monkeypatch.setattr(mpris, "MIN_NOTES_S", 0.5)
    now_s = [1000.0]  # a busy machine may need longer for the second and the third
    monkeypatch.setattr(mpris, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    program.controls.notify("Jam", "one")
    first = server.told.get(timeout=10)
    for text in ("two", "three"):
        program.controls.notify("Jam", text)
    now_s[0] += 0.5
    second = server.told.get(timeout=10)
    assert (first[4], second[4]) == ("one", "three") and second[1] == 41  # it replaces the first
    assert server.told.empty()


def test_a_click_on_a_notification(service: Serve, program: Program, caller: Bus) -> None:
    """A click brings the window to the front; the signal of another program does not."""
    shown(program, caller, host())
    server = Notifications(service, [])
    program.controls.notify("Jam", "one")
    server.told.get(timeout=10)
    clicked = DBusAddress(mpris.NOTIFICATIONS_PATH, interface=mpris.NOTIFICATIONS)
    caller.send(new_signal(clicked, "ActionInvoked", "us", (41, "default")))
    server.bus.send(new_signal(clicked, "ActionInvoked", "us", (40, "default")))
    get(caller, "Volume")
    server.bus.send(new_signal(clicked, "ActionInvoked", "us", (41, "default")))
    assert program.next() == (Action.RAISE, 0.0) and program.did.empty()


def test_no_notification_service(program: Program, caller: Bus) -> None:
    program.controls.notify("Jam", "one")
    until(lambda: program.controls._mail is not None and program.controls._mail.note is None)
    shown(program, caller, host())


# -- playerctl ---------------------------------------------------------------------------------------------------------


def playerctl(message_bus: MessageBus, *arguments: str) -> str:
    done = subprocess.run(
        ["playerctl", "--player=phaselock", *arguments],
        env=message_bus.environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("playerctl") is None, reason="playerctl is not installed")
def test_playerctl(program: Program, caller: Bus, message_bus: MessageBus) -> None:
    shown(program, caller, host(status="Paused"))
    assert playerctl(message_bus, "status") == "Paused"
    assert playerctl(message_bus, "metadata", "--format", "{{artist}}|{{title}}|{{album}}|{{mpris:length}}") == (
        "Ana|夜 & <b>|One|200000000"
    )
    assert playerctl(message_bus, "position") == "10.000000"
    assert playerctl(message_bus, "volume") == "0.500000"
    assert playerctl(message_bus, "loop") == "None" and playerctl(message_bus, "shuffle") == "Off"
    for arguments, expected in (
        (("play-pause",), (Action.PLAY_PAUSE, 0.0)),
        (("play",), (Action.PLAY, 0.0)),
        (("pause",), (Action.PAUSE, 0.0)),
        (("next",), (Action.NEXT, 0.0)),
        (("previous",), (Action.PREVIOUS, 0.0)),
        (("stop",), (Action.STOP, 0.0)),
        (("position", "42"), (Action.SEEK, 42.0)),
        (("position", "5+"), (Action.SEEK, 15.0)),
        (("volume", "0.25"), (Action.VOLUME, 0.25)),
        (("loop", "Playlist"), (Action.REPEAT, 1.0)),
        (("shuffle", "On"), (Action.SHUFFLE, 1.0)),
    ):
        playerctl(message_bus, *arguments)
        assert program.next() == expected


@pytest.mark.skipif(shutil.which("playerctl") is None, reason="playerctl is not installed")
def test_playerctl_follows(program: Program, caller: Bus, message_bus: MessageBus) -> None:
    shown(program, caller, host())
    follower = subprocess.Popen(
        ["playerctl", "--player=phaselock", "--follow", "metadata", "--format", "{{status}} {{title}}"],
        env=message_bus.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    try:
        assert follower.stdout.readline() == "Playing 夜 & <b>\n"
        program.controls.show(host(status="Paused"))
        assert follower.stdout.readline() == "Paused 夜 & <b>\n"
        program.controls.show(host(track="cd", title="Next one"))
        assert "Next one" in follower.stdout.readline()
    finally:
        follower.kill()
        follower.communicate()


def test_a_fault_ends_only_the_controls(
    message_bus: MessageBus, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    monkeypatch.setattr(controls_module, "_linux", lambda mail, do: 1 / 0)
    controls = Controls(lambda action, value: None)
    controls._thread.join(10)
    controls.show(host())
    controls.close()
    assert len(bugs) == 1
