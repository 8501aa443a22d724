"""Jams of this platform with another one, on the loopback and the null backend."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Sequence

import pytest

from tests.support.foreign import FOREIGN, needs_foreign
from tests.support.programs import TUNE, Event, Program, playing

pytestmark = needs_foreign
HERE = (sys.executable,)
MAX_PHASE_ERROR_US = 1000.0
"""A listener hears no difference below. wine and qemu are slower than the systems that they stand for."""


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def in_phase(event: Event) -> bool:
    return playing(event) and abs(event["phase_error_us"]) < MAX_PHASE_ERROR_US


def start(stack: contextlib.ExitStack, folder: pathlib.Path, hosts: Sequence[str]) -> tuple[Program, Program]:
    """A host of the one Python and a peer of the other, in phase."""
    joins = HERE if hosts == FOREIGN else FOREIGN
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Host")
    host = Program("host", str(TUNE), "--wait-peers", "1", "--play", *local, python=hosts, home=folder / "host")
    stack.callback(host.close)
    address = f"127.0.0.1:{host.wait_for('session')['port']}"
    peer = Program("join", address, "--as", "Ada", "--backend", "null", python=joins, home=folder / "peer")
    stack.callback(peer.close)
    assert peer.wait_for("joined")["name"] == "Ada"
    assert host.wait_for("playing")["session_ns"] == peer.wait_for("playing")["session_ns"]
    for program in (host, peer):
        program.wait_for("sync", in_phase)
    return host, peer


@pytest.mark.parametrize("hosts", [FOREIGN, HERE], ids=["foreign host", "foreign peer"])
def test_a_jam_of_two_platforms(stack: contextlib.ExitStack, tmp_path: pathlib.Path, hosts: Sequence[str]) -> None:
    host, peer = start(stack, tmp_path, hosts)
    for command, event in [("pause", "paused"), ("seek 10.5", "seeked"), ("resume", "resumed")]:
        host.say(command)
        assert host.wait_for(event)["session_ns"] == peer.wait_for(event)["session_ns"]
    for program in (host, peer):
        program.wait_for("sync", in_phase)
    peer.say("leave")
    assert peer.end() == (0, "")
    assert host.wait_for("peer_left")["name"] == "Ada"
    host.say("quit")
    assert host.end() == (0, "")


def test_a_killed_foreign_host_is_replaced(stack: contextlib.ExitStack, tmp_path: pathlib.Path) -> None:
    host, peer = start(stack, tmp_path, FOREIGN)
    peer.wait_until("successors", lambda event: event["names"] == ["Ada"])
    host.process.kill()
    assert peer.wait_for("host_changed")["you"] is True
    peer.wait_for("sync", playing)
    peer.say("quit")
    assert peer.end() == (0, "")


def test_a_killed_foreign_peer_leaves_the_session(stack: contextlib.ExitStack, tmp_path: pathlib.Path) -> None:
    host, peer = start(stack, tmp_path, HERE)
    peer.process.kill()
    assert host.wait_for("peer_left")["name"] == "Ada"
    host.wait_for("sync", in_phase)
