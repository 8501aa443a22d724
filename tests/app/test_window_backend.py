"""The answers of the network thread to requests of the window."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app import analyser, finding, session, succession, window_backend
from phaselock.app.equipment import Equipment
from phaselock.app.options import JoinOptions
from phaselock.app.session import OpenHostSession
from phaselock.app.window import WindowProgram
from phaselock.app.window_backend import WindowBackend
from phaselock.errors import PhaseLockError
from phaselock.language import catalogue
from phaselock.model.notices import Code, Notice
from phaselock.network import discovery
from phaselock.network.reach import CannotConnect
from phaselock.network.service_record import FoundSession
from phaselock.session.effects import Ended
from phaselock.storage.paths import log_path, settings_path
from phaselock.storage.settings import SettingsStore
from phaselock.ui.backend import ArtworkRead, BackendEvent, Closed, FoundSessions, Outputs, WaveformRead
from tests.support.closed_port import closed_address
from tests.support.shouting import Shouting


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("host:x", "THE PORT IS A NUMBER FROM 1 TO 65535."),
        ("host.invalid:1", "CANNOT REACH host.invalid ON PORT 1: NO ADDRESS WAS FOUND."),
    ],
)
def test_why_it_cannot_join(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_current", Shouting())
    program = WindowProgram("null")
    told: list[BackendEvent] = []
    try:
        program.join(address, "Ann")
        until_s = time.monotonic() + 60  # a resolver that does not answer is asked for ten seconds
        while not told and time.monotonic() < until_s:
            time.sleep(0.01)
            told += program.events(10)
    finally:
        program.close()
    assert told == [Closed(reason, failed=True)]


def test_a_found_session_is_joined_at_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address may be dead: another network with the same numbers."""
    one = FoundSession("Jam", "Ann", 0, 5, ("10.9.9.1", "192.168.77.1"), 18401, "ab" * 16, 2)

    class Browser:
        async def start(self, on_change: Callable[[tuple[FoundSession, ...]], None]) -> None:
            on_change((one,))

        async def close(self) -> None: ...

    asked: list[Sequence[tuple[str, int]]] = []

    async def connect_any(places: Sequence[tuple[str, int]], *, session_name: str) -> socket.socket:
        asked.append(places)
        raise CannotConnect(places[0], TimeoutError(), session_name)

    monkeypatch.setattr(discovery, "Browser", Browser)
    monkeypatch.setattr(finding, "connect_any", connect_any)
    program = WindowProgram("null")
    try:
        program.browse(True)
        found = next_event(program)
        assert isinstance(found, FoundSessions)
        program.join(found.sessions[0].address, "Ben")
        assert next_event(program) == Closed("Cannot reach Jam: it does not answer.", failed=True)
    finally:
        program.close()
    assert asked == [[("10.9.9.1", 18401), ("192.168.77.1", 18401)]]


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[JoinOptions]:
    """The attempts to join; all fail."""
    found: list[JoinOptions] = []

    @contextlib.asynccontextmanager
    async def open_peer_session(wish: JoinOptions, *_: object) -> AsyncIterator[None]:
        found.append(wish)
        raise PhaseLockError("Enough is known.")
        yield

    monkeypatch.setattr(succession, "open_peer_session", open_peer_session)
    return found


def test_a_false_session_at_the_address_of_a_true_one_does_not_keep_it_from_being_joined(
    wishes: list[JoinOptions],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true = FoundSession("Jam", "Ann", 0, 5, ("10.9.9.1",), 18401, "ab" * 16, 2)
    false = dataclasses.replace(true, session_name="Zoo", session_id="cd" * 16)

    class Browser:
        async def start(self, on_change: Callable[[tuple[FoundSession, ...]], None]) -> None:
            on_change((true, false))

        async def close(self) -> None: ...

    monkeypatch.setattr(discovery, "Browser", Browser)
    program = WindowProgram("null")
    try:
        program.browse(True)
        found = next_event(program)
        assert isinstance(found, FoundSessions)
        program.join(found.sessions[0].address, "Ben")
        next_event(program)
    finally:
        program.close()
    assert [(wish.places, wish.session_id) for wish in wishes] == [([("10.9.9.1", 18401)], "")]


def test_the_code_of_an_invitation_is_used_unless_the_user_types_another(wishes: list[JoinOptions]) -> None:
    program = WindowProgram("null")
    try:
        for address in ("phaselock://10.9.9.1:18401/482913", "10.9.9.1:18401"):
            for code in (None, "", "other"):
                program.join(address, "Ben", code)
                next_event(program)
    finally:
        program.close()
    assert {tuple(wish.places) for wish in wishes} == {(("10.9.9.1", 18401),)}
    assert [wish.code for wish in wishes] == ["482913", "", "other", "", "", "other"]


def test_a_code_is_forgotten_only_if_it_was_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes: list[JoinOptions] = []
    reasons = [Code.HOST_SILENT, Code.CODE_WRONG, Code.CODE_NEEDED]

    @contextlib.asynccontextmanager
    async def open_peer_session(wish: JoinOptions, *_: object) -> AsyncIterator[SimpleNamespace]:
        async def run() -> Ended:
            return Ended(Notice(reasons[len(wishes) - 1]), failed=True)

        wishes.append(wish)
        yield SimpleNamespace(run=run, runner=SimpleNamespace(outcome=run))

    async def aclose() -> None: ...

    monkeypatch.setattr(succession, "open_peer_session", open_peer_session)
    monkeypatch.setattr(WindowBackend, "_media_controls", lambda *_: SimpleNamespace(aclose=aclose))
    program = WindowProgram("null")
    try:
        program._network._joins.codes["10.9.9.1:18401"] = "482913"
        for _ in reasons:
            program.join("10.9.9.1:18401", "Ben")
            next_event(program)
    finally:
        program.close()
    assert [wish.code for wish in wishes] == ["482913", "482913", ""]


def test_a_peer_shows_the_address_that_the_host_announces_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection may use another one: IPv6, for example."""
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))

    async def address(*places: tuple[str, int]) -> str:
        store = SettingsStore(settings_path())
        try:
            wish = JoinOptions(places, backend="null")
            with contextlib.closing(Equipment(wish, store, lambda _: None)) as kit:
                async with session.open_peer_session(wish, kit) as opened:
                    return opened.address
        finally:
            store.close()

    with closed_address() as dead, socket.create_server(("127.0.0.1", 0)) as server:
        found = asyncio.run(address(dead, server.getsockname()))
    assert found == f"127.0.0.1:{dead[1]}"


@pytest.fixture
def program() -> Iterator[WindowProgram]:
    program = WindowProgram("null")
    yield program
    program.close()


def next_event(program: WindowProgram) -> BackendEvent:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        if found := program.events(1):
            return found[0]
        time.sleep(0.01)
    raise AssertionError("no event came")


def fail(*_: object, **__: object) -> None:
    raise ValueError("odd")


def test_a_request_that_fails_is_answered(
    program: WindowProgram, monkeypatch: pytest.MonkeyPatch, bugs: list[str], tmp_path: pathlib.Path
) -> None:
    song, file_id = tmp_path / "song.mp3", uuid.uuid4()
    for module, name in [(window_backend.device, "list_outputs"), (window_backend.CoverDecoder, "read")]:
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr(analyser, "analyse", fail)
    program.list_outputs()
    assert next_event(program) == Outputs(())
    backend, loop = program._started, program._loop
    assert backend is not None and loop is not None
    loop.call_soon_threadsafe(lambda: backend._spawn(backend._read_artwork(file_id, song, 40, True)))
    assert next_event(program) == ArtworkRead(file_id, 40, True, None)
    nothing: Any = None
    look = analyser.Analyser(lambda path: nothing)
    for _ in range(2):  # the worker lives on
        loop.call_soon_threadsafe(lambda: backend._spawn(backend._read_waveform(file_id, song, look)))
        assert next_event(program) == WaveformRead(file_id, None, b"", 1, 1)
    look.close()
    assert [bug.partition(" failed")[0] for bug in bugs[:3]] == [
        "listing the outputs",
        "reading artwork",
        "the analysis of a track",
    ]


def test_a_search_that_fails_is_told(program: WindowProgram, monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    monkeypatch.setattr(window_backend.discovery.Browser, "start", fail)
    program.browse(True)
    reason = "Something went wrong inside PhaseLock. The log tells more: phaselock log"
    assert next_event(program) == FoundSessions((), reason)
    assert bugs == ["the search for sessions failed: ValueError('odd')"]


def test_a_callback_that_fails_is_logged_and_the_next_request_runs(
    program: WindowProgram, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    monkeypatch.setattr(window_backend.device, "list_outputs", list)
    program.list_outputs()
    assert next_event(program) == Outputs(())
    assert program._loop is not None and program._started is not None
    backend = program._started

    async def broken() -> None:
        raise ValueError("odd")

    program._loop.call_soon_threadsafe(lambda: backend._spawn(broken()))
    program._loop.call_soon_threadsafe(fail)  # the loop's own handler logs it
    program.list_outputs()
    assert next_event(program) == Outputs(())
    program.close()
    assert [bug.partition(": ")[2] for bug in bugs] == ["ValueError('odd')"]
    assert log_path().read_text("utf-8").count("ValueError: odd") >= 2


def test_the_file_manager_shows_the_users_file_not_the_converted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[pathlib.Path] = []
    monkeypatch.setattr(window_backend, "show_file", shown.append)
    host = object.__new__(OpenHostSession)
    host.runner = SimpleNamespace(origin=lambda _: pathlib.Path("song.m4a"), path=None)  # type: ignore[assignment]
    peer = SimpleNamespace(runner=SimpleNamespace(path=lambda _: pathlib.Path("cache")))
    for opened in (host, peer, None):
        window_backend.WindowBackend.show_in_folder(SimpleNamespace(_open=opened), uuid.uuid4())  # type: ignore[arg-type]
    assert [path.name for path in shown] == ["song.m4a", "cache"]
