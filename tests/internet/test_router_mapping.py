"""The child process and its parent, without a router."""

from __future__ import annotations

import pathlib
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
        "    if 'nonce' in line: continue\n"
        "    print('no JSON'); print(json.dumps({'state': RouterState(public=line.strip()).to_json()}), flush=True)"
    )
    mapping, states = started(monkeypatch, code)
    mapping.map(tcp=(17404, 17401))
    assert states.get(timeout=TIMEOUT_S).public == '{"map": {"tcp": [17404, 17401]}}'
    mapping.map(tcp=(17404, 17401), udp=(17402, 17402), instead=(20001, 20002))
    instead = '"instead": {"tcp": [17404, 20001], "udp": [17402, 20002]}'
    ports = '"tcp": [17404, 17401], "udp": [17402, 17402]'
    assert states.get(timeout=TIMEOUT_S).public == f'{{"map": {{{ports}, {instead}}}}}'
    mapping.seen("45.32.1.1")
    assert states.get(timeout=TIMEOUT_S).public == '{"seen": "45.32.1.1"}'
    ended(mapping)
    mapping.map(tcp=(1, 1))  # no effect


def test_a_process_that_ends_by_itself_is_told_and_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """The new one is told what the old one was told, with the same nonce. After the last pause there is none."""
    starts = tmp_path / "starts"
    code = (
        "import json, sys; from phaselock.internet.state import RouterState\n"
        f"open({str(starts)!r}, 'a').write('started ')\n"
        "said = [next(sys.stdin).strip() for _ in range(3)]\n"
        "print(json.dumps({'state': RouterState(public=' '.join(said)).to_json()}), flush=True)\n"
        "raise SystemExit(3)"
    )
    monkeypatch.setattr(router_mapping, "PAUSES_S", (0.0, 0.0))
    mapping, states = started(monkeypatch, code)
    mapping.map(tcp=(17404, 17401))
    mapping.seen("45.32.1.1")
    told = [states.get(timeout=TIMEOUT_S) for _ in range(6)]
    mapping.wait(TIMEOUT_S)
    assert told[1::2] == [RouterState(problem=Problem.FAILED)] * 3
    assert len({state.public for state in told[::2]}) == 1
    assert told[0].public.endswith('{"map": {"tcp": [17404, 17401]}} {"seen": "45.32.1.1"}')
    assert states.empty() and len(starts.read_text().split()) == 3
    ended(mapping)


def test_a_process_that_ran_for_long_is_started_again_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_mapping, "PAUSES_S", (0.0,))
    monkeypatch.setattr(router_mapping, "STEADY_S", 0.0)
    mapping, states = started(monkeypatch, "raise SystemExit(3)")
    assert [states.get(timeout=TIMEOUT_S) for _ in range(3)] == [RouterState(problem=Problem.FAILED)] * 3
    ended(mapping)


def test_nothing_is_started_again_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_mapping, "PAUSES_S", (TIMEOUT_S,))
    mapping, states = started(monkeypatch, "raise SystemExit(3)")
    assert states.get(timeout=TIMEOUT_S) == RouterState(problem=Problem.FAILED)
    ended(mapping)
    assert states.empty() and not mapping._process._reader.is_alive()
