from __future__ import annotations

import argparse

import pytest

from phaselock.bench.benchmarks import call
from tests.support.bench import Collector


def test_a_call_loses_nothing_beside_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "UPLINKS_MBIT", (5, 10))
    monkeypatch.setattr(call, "UNTIL_S", 8)
    found = Collector()
    call.run(argparse.Namespace(seeds=(1, 2)), found)
    assert len(found.cases) == 2 * len(call.FRIENDS) and found.done[0] == 0 and found.done[-1] < 1
    for case in found.cases.values():
        values = {figure.name: figure.values for figure in case.figures}
        assert values["lost_percent"] == (0, 0)
        assert max(values["wait_p95_ms"]) < 25 and min(values["of_limit_percent"]) > 85
