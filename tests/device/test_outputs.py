"""`bench outputs` with real sound servers: the predicted delay is right, or the output reports it as unknown."""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys

import pytest

from phaselock.bench.benchmarks import outputs
from phaselock.bench.results import Case
from tests.support.sound_servers import PipeWireServer, PulseServer
from tests.support.tries import best_of_tries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.device,
    pytest.mark.skipif(sys.platform != "linux", reason="the servers are Linux's"),
]

SECONDS = 10


class Bench:
    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}

    def add(self, case: Case) -> None:
        self.cases[case.name] = case

    def progress(self, done: float, doing: str) -> None: ...


def measured() -> dict[str, Case]:
    bench = Bench()
    outputs.run(argparse.Namespace(output_s=SECONDS), bench)
    return bench.cases


def figure(case: Case, name: str) -> float:
    return next((one.values[0] for one in case.figures if one.name == name), float("nan"))


def test_pulseaudio_plays_when_it_was_predicted(pulse: PulseServer) -> None:
    def once() -> None:
        case = measured()["pulseaudio, TestSink"]
        assert case.parameters["timing"] == "exact", case.notes
        assert abs(figure(case, "late_p50_us")) < 100
        assert figure(case, "late_p95_us") - figure(case, "late_p5_us") < 150

    best_of_tries(once)


@pytest.mark.skipif(
    not all(map(shutil.which, ("pipewire", "wireplumber", "dbus-daemon", "pipewire-pulse"))),
    reason="PipeWire is not installed",
)
def test_pipewire_plays_when_it_was_predicted(
    server: PipeWireServer,  # noqa: F811
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/pulse/native")
    server.run(["pipewire-pulse"], (tmp_path / "pulse" / "native").exists)

    def once() -> None:
        cases = measured()
        native = cases["pipewire, Test sink"]
        assert native.parameters["timing"] == "exact", native.notes
        assert abs(figure(native, "late_p50_us")) < 3 * figure(native, "shown_us")  # of one standard deviation
        television = cases["pipewire, Television"]
        assert television.parameters["timing"] == "told"
        assert figure(television, "shown_us") > 50_000
        by_pulse = cases["pulseaudio, Test sink"]
        assert by_pulse.parameters["timing"] == "unknown"
        assert not [one for one in by_pulse.figures if one.name == "shown_us"]

    best_of_tries(once)
