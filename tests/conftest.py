from __future__ import annotations

import gc
import logging
import os
import pathlib
import sys
import threading
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from phaselock import errors
from phaselock.protocol import framing
from tests.support.checked_encode import checked_encode
from tests.support.wine import is_left_out, is_wine, mark_expected_failures

ROOT = pathlib.Path(__file__).parent.parent

# Random examples find new faults on a developer's machine; on CI the examples are always the same.
# No example has a deadline, because a loaded machine may pause. The explain phase is left out, because it is slow.
_PHASES = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]
hypothesis.settings.register_profile("desk", deadline=None, phases=_PHASES)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, phases=_PHASES)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_ignore_collect(collection_path: pathlib.Path) -> bool | None:
    return True if is_wine() and is_left_out(collection_path.relative_to(ROOT).as_posix()) else None


# These files take minutes each. They begin first, or one worker would have one of them alone at the end.
LONG = [
    ROOT / "tests" / name
    for name in """audio/test_song_listening.py device/test_moves.py audio/test_listening.py
    session/test_random_sessions.py test_succession.py native/test_sanitizers.py session/test_swarm.py sim/test_links.py
    sim/test_succession.py test_calibration.py fuzz/test_targets.py device/test_outputs.py""".split()
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {path: number for number, path in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    if is_wine():
        mark_expected_failures(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from the thousands of tests and from what they import: nothing of it goes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    # zeroconf does not wait until its sockets are closed. The event loop of Windows closes them after its last write.
    if sys.platform == "win32":
        config.addinivalue_line("filterwarnings", "ignore:unclosed transport <_ProactorDatagramTransport closing")
        config.addinivalue_line("filterwarnings", r"ignore:unclosed <socket\.socket .* 5353")


@pytest.fixture(autouse=True, scope="session")
def home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings, logs and caches of the tests, and of the programs that they start, apart from the user's, and
    all of them from the user's desktop. They speak English on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASELOCK_LANG", "en")
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        patch.setenv("PHASELOCK_HOME", os.fspath(tmp_path_factory.mktemp("home")))
        patch.setenv("PHASELOCK_RELAY", "off")  # no test talks to the relays of others
        # Without bytecode, each of the hundreds of programs would compile all of PhaseLock again.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def messages_are_checked() -> Iterator[None]:
    """Every message that a test sends through this process must be one that the receiver accepts unchanged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "encode", checked_encode)
        yield


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    """Fail a test that leaves a thread running. Threads that are about to end get 5 s."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left running: {alive}"


@pytest.fixture
def bugs(caught_bugs: list[str]) -> Iterator[list[str]]:
    """The works in which `bug_net` has caught an exception, for tests that cause one. The test compares them."""
    yield caught_bugs
    caught_bugs.clear()


@pytest.fixture(autouse=True)
def caught_bugs() -> Iterator[list[str]]:
    """Fail a test in which `bug_net` has caught an exception that the test does not expect."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert record.exc_info and record.exc_info[1] is not None
            found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")

    handler, logger = Handler(), logging.getLogger("phaselock.bugs")
    errors._logged.clear()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    assert found == []
