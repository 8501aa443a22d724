from __future__ import annotations

import ctypes
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from phaselock import _native
from phaselock.audio import priority, realtimekit
from phaselock.audio.device import USER_DATA_OFFSET
from phaselock.audio.priority import LEVEL, NO_ANSWER, Priority, Raiser
from phaselock.audio.realtimekit import Refused
from tests.support.message_bus import MessageBus

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the sound system raises its threads")


class System:
    """A simulated system: the priority of a thread, and what may raise it."""

    def __init__(self, level: priority.Level, *, to_take: bool = False, to_ask: bool = False) -> None:
        self.level = level
        self.did: list[str] = []
        self._to_take, self._to_ask = to_take, to_ask

    def look(self, thread: int) -> priority.Level:
        assert thread == 7
        return self.level

    def take(self, thread: int, level: int) -> None:
        assert (thread, level) == (7, LEVEL)
        self.did.append("take")
        if not self._to_take:
            raise PermissionError
        self.level = "real-time"

    def ask(self, thread: int, level: int) -> None:
        assert (thread, level) == (7, LEVEL)
        self.did.append("ask")
        if not self._to_ask:
            raise Refused("RealtimeKit is not installed.")
        self.level = "real-time"


@needs_linux
@pytest.mark.parametrize(
    ("system", "did", "level"),
    [
        (System("real-time"), [], "real-time"),
        (System("unknown"), [], "unknown"),
        (System("normal", to_take=True), ["take"], "real-time"),
        (System("normal", to_ask=True), ["take", "ask"], "real-time"),
        (System("raised", to_ask=True), ["take", "ask"], "real-time"),
        (System("normal"), ["take", "ask"], "normal"),
        (System("raised"), ["take", "ask"], "raised"),
    ],
)
def test_what_is_done_to_raise_a_thread(system: System, did: list[str], level: str) -> None:
    found = priority.raise_thread(7, look=system.look, take=system.take, ask=system.ask)
    assert (system.did, found.level) == (did, level)
    refused = level in ("normal", "raised")
    assert found.reason == ("PhaseLock may not raise it itself. RealtimeKit is not installed." if refused else "")


def test_elsewhere_a_thread_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    system = System("normal", to_take=True)
    assert priority.raise_thread(7, look=system.look, take=system.take, ask=system.ask) == Priority("normal")
    assert system.did == [] and Priority("normal").advice == "" and priority.try_out() is None


@needs_linux
def test_advice_is_given_where_there_is_something_to_do() -> None:
    assert "apt install rtkit" in Priority("normal").advice and "rtprio" in Priority("normal").advice
    assert Priority("real-time").advice == Priority("raised").advice == Priority("unknown").advice == ""


def test_the_engine_knows_the_thread_that_calls_it_back() -> None:
    engine = _native.Engine(_native.ClockMap())
    engine.stream(48000)
    assert engine.thread() == 0
    # The offset is global to the process: devices that other tests left running use it too.
    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    device = ctypes.create_string_buffer(bytes(USER_DATA_OFFSET) + struct.pack("@P", engine.address))
    output = (ctypes.c_float * 128)()
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
    numbers: list[int] = []

    def audio() -> None:
        call(engine.callback_address)(ctypes.addressof(device), ctypes.addressof(output), None, 64)
        numbers.extend((engine.thread(), threading.get_native_id()))

    thread = threading.Thread(target=audio)
    thread.start()
    thread.join()
    if sys.platform != "darwin":  # there the number is the kernel's port name of the thread
        assert numbers[0] == numbers[1]
    assert numbers[0] != 0
    engine.stream(48000)
    assert engine.thread() == 0


def test_no_thread_has_no_priority() -> None:
    assert _native.thread_priority(0) == "unknown"


def may_take() -> bool:
    """True if this process may make its threads real-time."""
    if sys.platform != "linux":
        return False
    found: list[bool] = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, os.sched_param(LEVEL))
            found.append(True)
        except PermissionError:
            found.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.skipif(not may_take(), reason="this user may have no real-time threads")
def test_a_real_thread_is_raised() -> None:
    """Another thread raises it, as with an audio thread. Its child threads are not real-time."""
    ready, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (ready.set(), over.wait()))
    thread.start()
    try:
        ready.wait()
        assert thread.native_id is not None
        assert _native.thread_priority(thread.native_id) == "normal"
        assert priority.raise_thread(thread.native_id) == Priority("real-time")
        assert os.sched_getscheduler(thread.native_id) == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        assert os.sched_getparam(thread.native_id).sched_priority == LEVEL
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        with pytest.raises(OSError):
            _native.make_thread_real_time(thread.native_id, 100)
    finally:
        over.set()
        thread.join()
    assert priority.try_out() == Priority("real-time")


@needs_linux
def test_a_raised_thread_is_seen() -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
    except PermissionError:
        pytest.skip("this user may set no priority")
    found: list[str] = []

    def nice() -> None:
        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, -1)
        except PermissionError:
            return
        found.append(_native.thread_priority(thread))

    thread = threading.Thread(target=nice)
    thread.start()
    thread.join()
    if not found:
        pytest.skip("this user may raise no thread")
    assert found == ["raised"]


# -- the thread that sees to it ----------------------------------------------------------------------------------------


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_stream_s_thread_is_raised_once_it_has_called_back() -> None:
    numbers = iter((0, 0, 7))
    raiser = Raiser(lambda: next(numbers), lambda thread: Priority("raised", str(thread)))
    until(raiser.priority)
    assert raiser.priority() == Priority("raised", "7")
    raiser.end()


def test_a_stream_that_ended_is_not_asked_for_its_thread() -> None:
    asked: list[int] = []

    def number() -> int:
        asked.append(1)
        return 0

    raiser = Raiser(number, lambda thread: Priority("real-time"))
    until(lambda: asked)
    raiser.end()
    count = len(asked)
    raiser._thread.join()
    assert len(asked) == count and raiser.priority() is None


def test_nothing_waits_for_a_system_that_does_not_answer() -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang(thread: int) -> Priority:
        asked.set()
        answer.wait()
        return Priority("real-time")

    try:
        raiser = Raiser(lambda: 7, hang)
        assert asked.wait(10)
        assert raiser.priority() is None
        raiser.end()
        if sys.platform == "linux":
            assert priority.try_out(hang, limit_s=0.01) == Priority("unknown", NO_ANSWER)
    finally:
        answer.set()
    until(raiser.priority)


# -- RealtimeKit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("org.freedesktop.DBus.Error.ServiceUnknown", "RealtimeKit is not installed."),
        ("org.freedesktop.DBus.Error.NoReply", "RealtimeKit does not answer."),
        ("org.freedesktop.DBus.Error.AccessDenied", "RealtimeKit refuses it (AccessDenied)."),
        ("", "RealtimeKit refuses it ()."),
    ],
)
def test_why_not(error: str, words: str) -> None:
    assert str(realtimekit._refused("RealtimeKit", error)) == words


class Bus(MessageBus):
    """A private message bus, with or without a RealtimeKit on it."""

    def serve(self, where: str, mode: str, highest: int = 20, limit_us: int = 150_000) -> subprocess.Popen[str]:
        return self.start_python("realtimekit.py", where, mode, str(highest), str(limit_us))

    def client(self, where: str, answer_s: float = 60.0) -> dict[str, object]:
        """The result in a process that may not raise its threads itself. A separate process, because it keeps the
        limits. `answer_s`: how long it waits for each answer."""
        command = [sys.executable, "-c", CLIENT, where, str(answer_s)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found


CLIENT = """
import json, os, resource, sys, threading
from phaselock.audio import priority, realtimekit

def refused(thread, level):
    raise PermissionError

def ask(thread, level):
    realtimekit.make_real_time(thread, level, realtimekit.PORTAL if sys.argv[1] == "portal" else realtimekit.SYSTEM)

realtimekit.TIMEOUT_ANSWER_S = float(sys.argv[2])
thread = threading.get_native_id()
found = priority.raise_thread(thread, take=refused, ask=ask)
limits = resource.getrlimit(resource.RLIMIT_RTTIME)
print(json.dumps({"reason": found.reason, "level": found.level, "ids": [os.getpid(), thread], "limits_us": limits}))
"""


@pytest.fixture
def bus(tmp_path: pathlib.Path) -> Iterator[Bus]:
    if sys.platform != "linux" or shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    one = Bus(tmp_path)
    yield one
    one.end()


@pytest.mark.parametrize(
    ("where", "highest", "level"), [("system", 20, LEVEL), ("portal", 20, LEVEL), ("system", 5, 5)]
)
def test_realtimekit_grants_it(bus: Bus, where: str, highest: int, level: int) -> None:
    service = bus.serve(where, "grant", highest)
    found = bus.client(where)
    assert service.stdout is not None
    assert json.loads(service.stdout.readline()) == [*found["ids"], level]
    assert found["limits_us"] == [150_000, 150_000]
    if may_take():  # then the service may, too
        assert (found["level"], found["reason"]) == ("real-time", "")


def test_realtimekit_refuses_it(bus: Bus) -> None:
    bus.serve("system", "refuse")
    found = bus.client("system")
    assert found["reason"] == "PhaseLock may not raise it itself. RealtimeKit refuses it (AccessDenied)."
    assert found["level"] == "normal"


@pytest.mark.parametrize("limit_us", [-1, 0, 1000])
def test_a_limit_that_would_end_the_program_is_not_taken(bus: Bus, limit_us: int) -> None:
    resource = pytest.importorskip("resource")
    bus.serve("system", "grant", limit_us=limit_us)
    found = bus.client("system")
    assert f"RealtimeKit allows {limit_us} us of computing, which is too little." in str(found["reason"])
    assert found["limits_us"] == list(resource.getrlimit(resource.RLIMIT_RTTIME))


def test_realtimekit_does_not_answer(bus: Bus) -> None:
    bus.serve("system", "silent")
    reason = bus.client("system", answer_s=0.3)["reason"]
    assert reason == "PhaseLock may not raise it itself. RealtimeKit does not answer."


def test_there_is_no_realtimekit(bus: Bus) -> None:
    found = bus.client("portal")
    assert found["reason"] == "PhaseLock may not raise it itself. The portal of Flatpak is not installed."
    bus.end()
    reason = bus.client("system")["reason"]
    assert reason == "PhaseLock may not raise it itself. RealtimeKit cannot be asked, for there is no message bus."
