from __future__ import annotations

import argparse
import math

import pytest

from phaselock.bench.benchmarks import calibrate
from phaselock.bench.benchmarks.calibrate import RoomResult, Setting
from phaselock.bench.results import Case
from tests.support.bench import Collector


def values(case: Case, name: str) -> tuple[float, ...]:
    (figure,) = (one for one in case.figures if one.name == name)
    return figure.values


def test_every_setting_is_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (Setting("quiet", 30.0, {"hidden_s": {}, "gain_db": {}}), Setting("deaf", -30.0))
    monkeypatch.setattr(calibrate, "SETTINGS", settings)
    bench = Collector()
    calibrate.run(argparse.Namespace(seeds=(3,), rooms=1), bench)
    assert list(bench.cases) == ["quiet", "deaf"]
    assert values(bench.cases["quiet"], "refused_percent") == (0.0,)
    assert max(values(bench.cases["quiet"], "error_worst_us")) < 50
    assert max(values(bench.cases["quiet"], "level_p95_db")) < 3
    assert values(bench.cases["deaf"], "refused_percent") == (100.0,)
    assert all(map(math.isnan, values(bench.cases["deaf"], "error_p95_us")))


def test_figures_are_those_of_the_rooms() -> None:
    rooms = [
        RoomResult((0.00001, -0.002), ("echo",), 0, 1.0, 0.1, (0.5, -1.5)),
        RoomResult((0.00003,), (), 1, math.nan, 0.3),
    ]
    case = calibrate.case("calibrate", Setting("any"), 2, [rooms])
    assert values(case, "error_p50_us") == pytest.approx((30,))
    assert values(case, "error_worst_us") == pytest.approx((2000,))
    assert values(case, "level_p50_db") == (1.0,)
    assert values(case, "wrong") == (1.0,)
    assert values(case, "refused_percent") == (25.0,)
    assert values(case, "false_alarms") == (1.0,)
    assert values(case, "clock_p95_ppm") == (1.0,)
    assert case.samples["refused"] == [{"echo": 1}]
