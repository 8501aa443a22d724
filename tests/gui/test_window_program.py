"""The window's program without a window: views, session clock and requests across its two threads."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from phaselock import _native
from phaselock.app import succession, window, window_backend
from phaselock.app.session import OpenHostSession
from phaselock.app.window import MAX_UNREAD_EVENTS, WindowProgram
from phaselock.model.calibration import OutputCalibration
from phaselock.model.notices import Code, Notice
from phaselock.model.types import HOST_CLOCK, AudioStatus
from phaselock.session import commands as c
from phaselock.session.effects import Ended
from phaselock.session.events import Warned
from phaselock.ui.backend import Closed, Opened, SessionClock, SessionEvent, SessionView
from tests.support.session_views import host

DRIFT = 80e-6
"""Of the session clock against the local one: more than any crystal's."""
OFFSET_NS = 7_000_000_000
TIMEOUT_S = 10.0


class SimulatedSession:
    """A session whose clock drifts against local time; its local time is set by the test."""

    link = address = source = ""
    """The page for guests is off, and there is no fallback."""

    def __init__(self) -> None:
        self.local_ns = 1_000_000_000
        self.clock_map = _native.ClockMap()
        self.usable = False
        self.trim_db = -6.2
        self.commands: list[tuple[c.HostCommand, str]] = []
        """Every command, with the name of the thread that executed it."""
        self._over = asyncio.Event()

    def measure(self) -> None:
        """Make the clock known: an anchor at the present local time."""
        offset_ns = OFFSET_NS + int(DRIFT * self.local_ns)
        self.clock_map.set(self.local_ns, offset_ns, DRIFT, 1000.0, 0.0)
        self.usable = True

    def true_session_ns(self) -> float:
        return self.local_ns + OFFSET_NS + DRIFT * self.local_ns

    # What WindowBackend uses of an OpenHostSession and its parts.

    def session_ns(self) -> int | None:
        return self.clock_map.session_from_local(self.local_ns) if self.usable else None

    def snapshot(self) -> Any:
        return host().snapshot

    def clock_status(self) -> Any:
        return HOST_CLOCK

    def status(self) -> AudioStatus:
        return AudioStatus("Card", 48000, 0, 0, None, "exact", False, 0, 0.0, 0, 1.0, self.trim_db)

    def view(self) -> OutputCalibration:
        return OutputCalibration()

    def set_trim_db(self, trim_db: float) -> None:
        self.trim_db = trim_db

    def command(self, command: c.HostCommand) -> None:
        self.commands.append((command, threading.current_thread().name))
        if isinstance(command, c.Leave | c.Quit):
            self._over.set()

    async def run(self, _listeners: object) -> Ended:
        return await self.outcome()

    async def outcome(self) -> Ended:
        await self._over.wait()
        return Ended(Notice(Code.SESSION_ENDED), failed=False)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> SimulatedSession:
    simulated: Any = SimulatedSession()

    @contextlib.asynccontextmanager
    async def open_session(*_arguments: object) -> AsyncIterator[OpenHostSession]:
        yield OpenHostSession(
            simulated,
            simulated,
            simulated,
            simulated.clock_map,
            simulated,
            simulated,
            simulated,
            simulated,
            "Friday",
            "Ana",
            1,
            2,
            "here",
            ("here",),
            "babab babab babab babab",
            simulated,
            simulated,
            simulated,
        )

    monkeypatch.setattr(succession, "open_host_session", open_session)
    return simulated  # type: ignore[no-any-return]


@pytest.fixture
def program(
    session: SimulatedSession, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Iterator[WindowProgram]:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    program = WindowProgram("null", now_ns=lambda: session.local_ns)
    yield program
    program.close()
    assert not [one for one in threading.enumerate() if one.name == "network"]


def wait(true: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def next_view(program: WindowProgram) -> SessionView:
    before = program.state()
    wait(lambda: program.state() is not None and program.state() is not before)
    view = program.state()
    assert view is not None
    return view


@pytest.mark.parametrize("drift", [0.0, DRIFT, -DRIFT])
def test_the_clock_of_a_view_is_the_native_clock_map(drift: float) -> None:
    native = _native.ClockMap()
    native.set(10**9, OFFSET_NS, drift, 1000.0, 0.0)
    clock = SessionClock(10**9, OFFSET_NS, drift)
    for local_ns in (0, 10**9, 10**9 + 1, 10**10 + 7, 3600 * 10**9 + 3):
        assert clock.session_ns(local_ns) == native.session_from_local(local_ns)


def test_session_time_is_unknown_until_the_clock_is_known(program: WindowProgram, session: SimulatedSession) -> None:
    assert program.state() is None and program.session_ns() is None
    program.host("Friday", "Ana", 0, 0)
    assert next_view(program).clock is None
    assert program.session_ns() is None
    session.measure()
    wait(lambda: program.session_ns() is not None)


def test_a_drifting_clock_is_extrapolated_between_views(program: WindowProgram, session: SimulatedSession) -> None:
    session.measure()
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    for _ in range(3):
        for step_ns in (0, 33_000_000, 200_000_000, 60 * 10**9):  # a frame, a view, a minute without one
            session.local_ns += step_ns
            session_ns = program.session_ns()
            assert session_ns is not None
            assert session_ns == pytest.approx(session.true_session_ns(), abs=10)
        session.measure()
        next_view(program)


def test_the_window_does_not_call_the_session_for_its_time(program: WindowProgram, session: SimulatedSession) -> None:
    session.measure()
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    threads: set[str] = set()
    measured = session.session_ns

    def session_ns() -> int | None:
        threads.add(threading.current_thread().name)
        return measured()

    session.session_ns = session_ns  # type: ignore[method-assign]
    next_view(program)
    assert program.session_ns() is not None
    assert threads == {"network"}


def test_a_view_comes_at_least_five_times_a_second(program: WindowProgram, session: SimulatedSession) -> None:
    assert window_backend.VIEW_INTERVAL_S < 0.2
    program.host("Friday", "Ana", 0, 0)
    views = [next_view(program) for _ in range(4)]  # although nothing happens
    assert len({id(view) for view in views}) == 4


def test_a_trim_is_shown_and_forgotten(program: WindowProgram, session: SimulatedSession) -> None:
    program.host("Friday", "Ana", 0, 0)
    own = next_view(program).own
    assert own is not None and own.trim_db == -6.2
    program.forget_trim()
    wait(lambda: (view := program.state()) is not None and view.own is not None and view.own.trim_db == 0)
    assert session.trim_db == 0


def test_requests_are_executed_on_the_network_thread_in_their_order(
    program: WindowProgram, session: SimulatedSession
) -> None:
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    commands: list[c.HostCommand] = [c.Seek(float(number)) for number in range(100)]
    for command in commands:
        program.command(command)
    program.leave()
    told: list[Any] = []
    while not any(isinstance(event, Closed) for event in told):  # it follows the last view, on the other thread
        wait(lambda: told.extend(found := program.events(10)) or found)
    assert program.state() is None
    assert session.commands == [(command, "network") for command in [*commands, c.Quit()]]
    assert told == [Opened(), Closed("Session ended.", failed=False, why=Code.SESSION_ENDED)]


def test_a_host_that_closes_the_window_lets_another_machine_be_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, session: SimulatedSession
) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    program = WindowProgram("null")
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    program.close()
    assert session.commands == [(c.Leave(), "network")]


def test_a_closed_window_waits_until_the_second_machine_in_line_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, session: SimulatedSession
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(window.os, "_exit", ends.append)
    monkeypatch.setattr(window, "TIMEOUT_CLOSE_S", 0.01)
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    answers = threading.Event()
    outcome = session.outcome

    async def late_outcome() -> Ended:
        ended = await outcome()
        await asyncio.to_thread(answers.wait)
        return ended

    monkeypatch.setattr(session, "outcome", late_outcome)
    program = WindowProgram("null")
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    closing = threading.Thread(target=program.close)
    closing.start()
    wait(lambda: session.commands == [(c.Leave(), "network")])
    closing.join(0.1)
    is_waiting = closing.is_alive()
    answers.set()
    closing.join()
    assert is_waiting and not ends


def test_a_second_session_is_refused(program: WindowProgram) -> None:
    program.host("Friday", "Ana", 0, 0)
    next_view(program)
    program.host("Saturday", "Ana", 0, 0)
    wait(lambda: program.events(1) == [Closed("There is a jam already.", failed=True)])
    assert program.state() is not None


def test_unread_events_are_bounded_and_the_oldest_are_dropped(program: WindowProgram) -> None:
    for number in range(MAX_UNREAD_EVENTS + 5):
        program._events.append(SessionEvent(Warned(number, Notice(Code.LOG_TROUBLE, "full"))))
    (oldest,) = program.events(1)
    assert isinstance(oldest, SessionEvent) and oldest.event.session_ns == 5
    assert len(program.events(10_000)) == MAX_UNREAD_EVENTS - 1
