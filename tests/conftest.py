from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import hypothesis
import pytest

from phaselock.protocol import framing
from tests.support.checked_encode import checked_encode

# Chance finds new things at a desk; what must pass everywhere is the same everywhere.
# No example has a deadline: a machine may be taken away for a moment. Nor is a failure explained, which takes long.
_PHASES = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]
hypothesis.settings.register_profile("desk", deadline=None, phases=_PHASES)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, phases=_PHASES)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture(autouse=True, scope="session")
def home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs is the user's own: the tests and the programs that they start keep theirs apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASELOCK_HOME", os.fspath(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True, scope="session")
def messages_are_checked() -> Iterator[None]:
    """Every message that a test sends through this process must be one that the receiver accepts unchanged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "encode", checked_encode)
        yield


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    """A test that leaves a thread behind fails; threads on their way out get a moment to go."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left running: {alive}"
