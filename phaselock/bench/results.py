"""The result of benchmarks: cases with metrics, raw samples and plots, the computer on which they ran, and its file.

A *metric* is one quantity with a value for each repeat; a repeat mostly has a seed of its own. A *case* is one
configuration: `sync` has one for each scenario, `engine` one for each pair of rates. The file calls metrics "figures".
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from phaselock import __version__
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.storage.files import rename

FORMAT = "phaselock-bench"
FORMAT_VERSION = 1
MAX_FILE_BYTES = 50_000_000
MAX_DEPTH = 20

Better = Literal["less", "more", ""]


@frozen
class Metric:
    """One quantity with a value for each repeat. `better` is the better direction, empty if neither is. A value that is
    not finite was not measured."""

    name: str
    unit: str
    values: tuple[float, ...]
    better: Better = "less"


@frozen
class Series:
    """One line, set of points or set of bars in a plot. For bars, `x` contains their names."""

    label: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]


@frozen
class Plot:
    """A plot of a report."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["line", "points", "bars"] = "line"
    log_y: bool = False


@frozen
class Case:
    """One configuration that was measured. `samples` are the raw measurements, of any type that JSON can contain."""

    benchmark: str
    name: str
    parameters: Mapping[str, Any]
    figures: tuple[Metric, ...]
    plots: tuple[Plot, ...] = ()
    samples: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(slots=True)
class Run:
    """All that one command measured. It is not `complete` if it was interrupted or a benchmark failed, see
    `problems`."""

    command: tuple[str, ...]
    began: str
    machine: Mapping[str, Any]
    cases: list[Case] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False


def new_run(command: tuple[str, ...]) -> Run:
    """An empty run that begins now, on this computer. Of absolute paths in the command only the last part is kept,
    because paths are private."""
    words = tuple(map(_without_folders, command))
    return Run(words, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), about_machine())


def _without_folders(word: str) -> str:
    option, equals, path = word.rpartition("=")
    return option + equals + pathlib.Path(path).name if os.path.isabs(path) else word


def about_machine() -> dict[str, Any]:
    """The software and hardware on which a result depends, without names of the computer and its user."""
    packages = ("numpy", "scipy", "miniaudio", "msgpack", "customtkinter")
    return {
        "phaselock": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "packages": {name: _package_version(name) for name in packages},
    }


def write_run(run: Run, path: pathlib.Path) -> None:
    """Write the run as JSON. The file is replaced as a whole. Raise PhaseLockError if it cannot be written."""
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(run)}
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_text(json.dumps(finite(document), allow_nan=False), "utf-8")
        rename(unfinished, path)
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be written: {error.strerror}.") from None


def read_run(path: pathlib.Path) -> Run:
    """Read the result of `write_run`. Raise PhaseLockError for any other file."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("it is too large")
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError("it is another kind of file")
        if found.get("format_version") != FORMAT_VERSION:
            raise ValueError("it was written by another version of PhaseLock")
        return Run(
            command=tuple(map(str, found["command"])),
            began=str(found["began"]),
            machine=_checked_depth(_mapping(found["machine"])),
            cases=[_case(one) for one in found["cases"]],
            problems=[str(one) for one in found["problems"]],
            seconds=float(found["seconds"]),
            complete=bool(found["complete"]),
        )
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be read: {error.strerror}.") from None
    except MemoryError:
        raise PhaseLockError(f"{path} does not fit in memory.") from None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise PhaseLockError(f"{path} is not a result of phaselock bench: {reason}.") from None


def _case(found: Any) -> Case:
    return Case(
        benchmark=str(found["benchmark"]),
        name=str(found["name"]),
        parameters=_checked_depth(_mapping(found["parameters"])),
        figures=tuple(
            Metric(str(one["name"]), str(one["unit"]), _numbers(one["values"]), _better(one["better"]))
            for one in found["figures"]
        ),
        plots=tuple(_plot(one) for one in found["plots"]),
        samples=_mapping(found["samples"]),
        notes=tuple(map(str, found["notes"])),
    )


def _plot(found: Any) -> Plot:
    kind = found["kind"]
    if kind not in ("line", "points", "bars"):
        raise ValueError(f"{kind!r} is not a kind of plot")
    series = tuple(
        Series(
            str(one["label"]),
            tuple(map(str, one["x"])) if kind == "bars" else _numbers(one["x"]),
            _numbers(one["y"]),
        )
        for one in found["series"]
    )
    return Plot(str(found["title"]), str(found["x_label"]), str(found["y_label"]), series, kind, bool(found["log_y"]))


def _numbers(found: Any) -> tuple[float, ...]:
    return tuple(math.nan if one is None else float(one) for one in found)


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("a mapping was expected")
    return found


def _checked_depth(found: Any, levels: int = MAX_DEPTH) -> Any:
    """Check a value that is compared and printed recursively: raise ValueError if it is nested too deeply."""
    if isinstance(found, dict | list):
        if not levels:
            raise ValueError("it is nested too deeply")
        for one in found.values() if isinstance(found, dict) else found:
            _checked_depth(one, levels - 1)
    return found


def _better(found: Any) -> Better:
    for better in get_args(Better):
        if found == better:
            return cast(Better, better)
    raise ValueError(f"{found!r} is not a direction")


def finite(value: Any) -> Any:
    """A copy for JSON, which has no NaN and no infinity: they become null, and numpy arrays become lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, str | int | None):
        return value
    return finite(value.tolist())  # of numpy


def _commit() -> str | None:
    """The commit of the checkout that runs, with a plus if files were changed; None for an installed package."""
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", checkout, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    if sys.platform == "linux":
        try:
            for line in pathlib.Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        except OSError:
            pass
    return platform.processor()


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
