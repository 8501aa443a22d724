from __future__ import annotations

import json
import os
import pathlib
import re

import pytest

from phaselock import __version__
from phaselock.errors import PhaseLockError
from phaselock.sync import trace
from phaselock.sync.trace import Exchange, read_trace, trace_bytes

ABOUT = {"recorded": "2026-11-24T15:00:00Z", "seconds": 2.5, "session": "Kitchen", "host": "Ann"}
EXCHANGES: list[Exchange] = [(1000, 900_000, 900_100, 2000), (1500, 900_500, 900_500, 2000), (3000, 5, 6, 4000)]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "kitchen.trace"


def written(path: pathlib.Path, *lines: str, **changed: object) -> pathlib.Path:
    """A file with these lines of numbers and a matching header, except for the changes."""
    header = json.loads(trace_bytes([], ABOUT)) | {"count": len(lines)} | changed
    path.write_text("".join(f"{line}\n" for line in (json.dumps(header), *lines)), "utf-8")
    return path


@pytest.mark.parametrize("exchanges", [EXCHANGES, []], ids=["some", "none"])
def test_a_written_trace_is_read_back(path: pathlib.Path, exchanges: list[Exchange]) -> None:
    path.write_bytes(trace_bytes(exchanges, ABOUT))
    found = read_trace(os.fspath(path))
    assert found.exchanges == exchanges
    assert found.header == {
        "format": "phaselock clock trace",
        "version": 1,
        "phaselock": __version__,
        "count": len(exchanges),
        **ABOUT,
    }


def test_an_editor_of_windows_does_no_harm(path: pathlib.Path) -> None:
    path.write_bytes(trace_bytes(EXCHANGES, ABOUT).replace(b"\n", b"\r\n"))
    assert read_trace(path).exchanges == EXCHANGES


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1 2 3",
        "1 2 3 4 5",
        "1 2 3 x",
        "1 2 3  4",
        "1_0 20 20 30",
        "1.0 20 20 30",
        "-1 20 20 30",
        "١ 20 20 30",
        "0 20 20 30",
        "20 20 20 10",
        "10 20 10 30",
        "10 20 41 30",
        "10 20 20 10000000011",
        "10 20 20 4611686018427387905",
        "4 20 20 5",
        f"1{'0' * 5000} 20 20 30",
    ],
)
def test_a_line_that_cannot_be_is_refused_by_its_number(path: pathlib.Path, line: str) -> None:
    with pytest.raises(PhaseLockError, match=r"^Line 3 of the clock trace kitchen\.trace cannot be"):
        read_trace(written(path, "5 10 10 6", line))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"format": "snapshot"}, "kitchen.trace is no clock trace; phaselock trace ADDRESS records one."),
        ({"version": 2}, "The clock trace kitchen.trace was written by another version of PhaseLock."),
        ({"version": True}, "The clock trace kitchen.trace was written by another version of PhaseLock."),
        ({"session": 5}, "The first line of the clock trace kitchen.trace is damaged."),
        ({"seconds": "long"}, "The first line of the clock trace kitchen.trace is damaged."),
        ({"seconds": float("nan")}, "The first line of the clock trace kitchen.trace is damaged."),
        ({"count": 1.0}, "The first line of the clock trace kitchen.trace is damaged."),
        ({"count": -1}, "The first line of the clock trace kitchen.trace is damaged."),
        ({"count": 2}, "The clock trace kitchen.trace is cut short or damaged."),
        ({"session": "x" * 5000}, "kitchen.trace is no clock trace; phaselock trace ADDRESS records one."),
    ],
)
def test_a_header_that_does_not_fit_is_refused(path: pathlib.Path, changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(PhaseLockError, match=f"^{re.escape(sentence)}$"):
        read_trace(written(path, "5 10 10 6", **changed))


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n", b"\xff\xfe\n", b"[" * 4000 + b"\n", b"ID3\x04" * 100])
def test_any_other_file_is_refused(path: pathlib.Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(PhaseLockError, match="is no clock trace"):
        read_trace(path)


def test_a_file_cut_short_is_refused(path: pathlib.Path) -> None:
    path.write_bytes(trace_bytes(EXCHANGES, ABOUT)[:-3])
    with pytest.raises(PhaseLockError, match="is cut short or damaged"):
        read_trace(path)


def test_a_huge_file_is_not_taken_in(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_BYTES", 300)
    path.write_bytes(trace_bytes(EXCHANGES * 10, ABOUT))
    with pytest.raises(PhaseLockError, match="is too large"):
        read_trace(path)


def test_a_trace_that_is_too_large_is_refused(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day_ns = 86_400_000_000_000
    assert len(read_trace(written(path, "1 5 5 2", f"{day_ns} 10 10 {day_ns + 1}")).exchanges) == 2
    with pytest.raises(PhaseLockError, match=r"^The clock trace kitchen\.trace is longer than a day\.$"):
        read_trace(written(path, "1 5 5 2", f"{day_ns} 10 10 {day_ns + 2}"))
    monkeypatch.setattr(trace, "MAX_EXCHANGES", 2)
    with pytest.raises(PhaseLockError, match=r"^The clock trace kitchen\.trace has more than 2 exchanges\.$"):
        read_trace(written(path, *["1 5 5 2"] * 3))


def test_a_missing_file_or_a_folder_is_refused(tmp_path: pathlib.Path) -> None:
    for name in ("missing", ".", "null\0byte"):
        with pytest.raises(PhaseLockError, match="cannot be read"):
            read_trace(tmp_path / name)


def test_texts_are_fit_to_be_shown(path: pathlib.Path) -> None:
    assert read_trace(written(path, session="a\x1b[2Jb", host="\u202eevil")).header["session"] == "a[2Jb"
    assert read_trace(path).header["host"] == "evil"
