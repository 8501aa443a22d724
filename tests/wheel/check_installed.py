"""The package installed from a wheel is complete and plays, without the source tree and without numpy."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pathlib
import pkgutil
import subprocess
import sys
import sysconfig
import time

import pytest

SITE = pathlib.Path(sysconfig.get_path("platlib")).resolve()
DIST = importlib.metadata.distribution(importlib.metadata.packages_distributions()["phaselock"][0])
SCRIPT = pathlib.Path(sysconfig.get_path("scripts"), "phaselock.exe" if sys.platform == "win32" else "phaselock")
NEEDS_A_WINDOW = ("phaselock.ui.screens", "phaselock.ui.widgets", "phaselock.ui.theme", "phaselock.ui.window")
# numpy; PyAV; the sound system of one platform; iroh
NEEDS_MORE = (
    "phaselock.bench",
    "phaselock.audio.conversion",
    "phaselock.audio.other_tags",
    "phaselock.audio.latency",
    "phaselock.internet.iroh_bridge",
)


def test_the_installed_package_is_what_is_tested() -> None:
    import phaselock

    assert pathlib.Path(phaselock.__file__).resolve() == SITE / "phaselock" / "__init__.py"
    assert '"editable": true' not in (DIST.read_text("direct_url.json") or "")
    assert phaselock.__version__ == DIST.version


def test_the_wheel_is_for_the_stable_abi() -> None:
    said = DIST.read_text("WHEEL") or ""
    tags = [line.removeprefix("Tag: ") for line in said.splitlines() if line.startswith("Tag: ")]
    assert tags and all(tag.startswith("cp311-abi3-") for tag in tags), said
    assert "Root-Is-Purelib: false" in said


def test_what_is_in_it() -> None:
    files = {str(path).replace("\\", "/") for path in DIST.files or ()}
    assert {"phaselock/py.typed", "phaselock/_native.pyi", "phaselock/data/tune.mp3"} <= files
    page = {"icon.svg", "index.html", "main.js", "manifest.webmanifest", "page.css"}
    assert {f"phaselock/guests/page/{name}" for name in page} <= files
    assert not [path for path in files if path.endswith((".pyx", ".pxd", ".c", ".h", ".a"))]
    beside = {path.partition("/")[0] for path in files if not path.startswith("..")}
    name = DIST.name.replace("-", "_")
    assert beside <= {"phaselock", f"{name}.libs", f"{name}-{DIST.version}.dist-info"}


def test_its_launchers_and_one_without_a_console() -> None:
    found = {(one.group, one.name): one.load() for one in DIST.entry_points}
    assert found.keys() == {("console_scripts", "phaselock"), ("gui_scripts", "phaselock-window")}
    assert all(callable(one) for one in found.values())


def test_every_module_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import phaselock

    monkeypatch.setitem(sys.modules, "numpy", None)
    left_out = NEEDS_MORE
    if importlib.util.find_spec("_tkinter") is None:
        left_out += NEEDS_A_WINDOW
    for module in pkgutil.walk_packages(phaselock.__path__, "phaselock."):
        if not module.name.startswith(left_out) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_the_engine_plays_what_it_is_given_when_it_is_due() -> None:
    from phaselock import _native

    assert pathlib.Path(_native.__file__).resolve().parent == SITE / "phaselock"
    rate_hz, now_ns = 48000, 10**18
    line = _native.ClockMap()
    line.set(now_ns, 0, 0.0, 0.0, 0.0)
    engine = _native.Engine(line)
    engine.stream(rate_hz)
    deck = engine.free_deck()
    generation = engine.reset_deck(deck, 0)
    given = memoryview(bytearray(rate_hz * 8)).cast("f")
    for at in range(len(given)):
        given[at] = 0.5
    engine.write(deck, generation, given)
    engine.finish(deck, generation)
    assert engine.arm(deck, rate_hz, 0, now_ns + 100_000_000)
    got: list[float] = []
    for block in range(50):
        got += memoryview(engine.process(480, now_ns + block * 10_000_000)).cast("f")[::2]
    first = next(at for at, sample in enumerate(got) if abs(sample) > 0.25)
    assert abs(first - rate_hz // 10) < 2 * 480  # a block is filled one period ahead
    assert got[-1] == pytest.approx(0.5, abs=0.01)


def test_the_clock_goes_forward() -> None:
    from phaselock import _native

    before_ns = _native.now_ns()
    assert isinstance(before_ns, int) and before_ns <= _native.now_ns()
    assert time.get_clock_info("monotonic").monotonic


def test_the_tune_that_came_along_can_be_read() -> None:
    from phaselock import _native

    with (SITE / "phaselock" / "data" / "tune.mp3").open("rb") as tune:
        summary, _ = _native.Mp3Reader(tune.fileno()).scan()
    assert (summary.rate_hz, summary.mono_packets, summary.cut) == (44100, 0, False)


def test_the_command_says_its_version(tmp_path: pathlib.Path) -> None:
    for command in ([str(SCRIPT)], [sys.executable, "-m", "phaselock"]):
        said = subprocess.check_output([*command, "--version"], cwd=tmp_path, text=True)
        assert said.split() == ["phaselock", DIST.version]


def test_the_demo_plays_in_phase(tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [str(SCRIPT), "demo", "--seconds", "4"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=200,
    )
    assert done.returncode == 0 and "In phase: within" in done.stdout, done.stdout
