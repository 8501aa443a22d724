"""The child process and its parent, without a router."""

from __future__ import annotations

import queue

import pytest

from phaselock.internet import router_mapping
from phaselock.internet.router_mapping import RouterMapping
from phaselock.internet.state import Pinhole, Problem, RouterState, Way, from_json
from phaselock.model.invitation import Nat

TIMEOUT_S = 60.0


def started(monkeypatch: pytest.MonkeyPatch, code: str) -> tuple[RouterMapping, queue.SimpleQueue[RouterState]]:
    states: queue.SimpleQueue[RouterState] = queue.SimpleQueue()
    monkeypatch.setattr(router_mapping, "_CODE", code)
    return RouterMapping(states.put), states


def ended(mapping: RouterMapping) -> None:
    mapping.close()
    mapping.wait(TIMEOUT_S)


def test_a_state_is_the_same_on_both_sides() -> None:
    state = RouterState(Way.UPNP, Nat.OPEN, "1.2.3.4", "5.6.7.8", 1, 2, (Pinhole("::1", 3, 4),), Problem.REFUSED)
    assert from_json(state.to_json()) == state


def test_no_port_is_asked_for_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also: the process ends with its input."""
    mapping, states = started(monkeypatch, router_mapping._CODE)
    assert states.get(timeout=TIMEOUT_S) == RouterState()
    ended(mapping)
    assert states.empty()


def test_lines_go_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process shows in its second state what it was told."""
    code = (
        "import json, sys; from phaselock.internet.state import RouterState\n"
        "for line in sys.stdin:\n"
        "    print('no JSON'); print(json.dumps({'state': RouterState(public=line.strip()).to_json()}), flush=True)"
    )
    mapping, states = started(monkeypatch, code)
    mapping.map(tcp=(17404, 17401))
    assert states.get(timeout=TIMEOUT_S).public == '{"map": {"tcp": [17404, 17401]}}'
    mapping.seen("45.32.1.1")
    assert states.get(timeout=TIMEOUT_S).public == '{"seen": "45.32.1.1"}'
    ended(mapping)
    mapping.map(tcp=(1, 1))  # no effect


def test_a_process_that_ends_by_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, states = started(monkeypatch, "raise SystemExit(3)")
    assert states.get(timeout=TIMEOUT_S) == RouterState(problem=Problem.FAILED)
    ended(mapping)
