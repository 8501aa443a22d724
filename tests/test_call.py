"""A call that people have on the link of their home while real processes send songs over it."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.call_stream import Call, part
from tests.support.machines import Machines, namespace, unavailable
from tests.support.mp3 import song
from tests.support.programs import Program
from tests.support.tries import best_of_tries

pytestmark = pytest.mark.slow

SONG_S, CALL_S, ALONE_S = 150, 18, 3
"""The call is alone first."""
PORT, CALL_PORT = 18401, 18409


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable() or ("" if shutil.which("tc") else "a slow link needs tc of iproute2"):
        pytest.skip(reason)
    with Machines(tmp_path, "Hana", "Ana") as found:
        # What the switch sends to Ana leaves at 5 Mbit/s, and up to 500 ms of it wait: a cheap router.
        slow = "qdisc add dev port2 root tbf rate 5mbit burst 5kb latency 500ms"
        subprocess.run(["tc", "-n", namespace("switch"), *slow.split()], check=True, capture_output=True)
        yield found


def test_a_call_is_hardly_later_while_two_friends_receive_a_song(machines: Machines, tmp_path: pathlib.Path) -> None:
    tune = song(tmp_path, SONG_S)
    homes = itertools.count()

    def once() -> None:
        with contextlib.ExitStack() as stack:
            host = machines.start("Hana", "host", "--unlisted", "--port", str(PORT), "--clock-port", "18402")
            stack.callback(host.close)
            host.wait_for("session")
            join = ("join", f"{machines.address('Hana')}:{PORT}", "--backend", "null")
            friends = [
                Program(*join, prefix=machines.prefix("Ana"), home=tmp_path / f"home{next(homes)}") for _ in range(2)
            ]
            for friend in friends:
                stack.callback(friend.close)
                friend.wait_for("joined")
            call = stack.enter_context(
                Call(machines.prefix("Hana"), machines.prefix("Ana"), machines.address("Ana"), CALL_PORT, CALL_S)
            )
            time.sleep(ALONE_S)
            began_ns = time.monotonic_ns()
            host.say(f"add {tune}")
            for friend in friends:
                friend.wait_for("file_ready")
            ended_ns = time.monotonic_ns()
            heard = call.end()
        alone, beside = part(heard, began_ns - (ALONE_S - 1) * 10**9, began_ns), part(heard, began_ns, ended_ns)
        assert not alone.lost and not beside.lost
        # 67 ms before pieces and windows of slow links became short
        assert beside.delay_ms(0.5) - alone.delay_ms(0.5) < 25, beside
        assert 2 * tune.stat().st_size * 8e9 / (ended_ns - began_ns) > 0.7 * 4e6  # the call leaves 4 Mbit/s

    best_of_tries(once)
