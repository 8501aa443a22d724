"""The measurements of songs on the disk."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from phaselock.model.loudness import Loudness
from phaselock.model.measurement import Measurement
from phaselock.storage import measurements
from phaselock.storage.measurements import KeptMeasurements

ONE, OTHER = bytes(32), bytes(range(32))
LOUD = Measurement(Loudness(-9.25, 0.98), 5.5, 100, 900)
SILENT = Measurement(Loudness(None, 0.0), None, 0, 1000)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cache" / "measurements"


def test_kept_and_found_by_another_program(path: pathlib.Path) -> None:
    assert KeptMeasurements(path).find(ONE, 1000) is None
    KeptMeasurements(path).keep(ONE, LOUD)
    KeptMeasurements(path).keep(OTHER, SILENT)
    kept = KeptMeasurements(path)
    assert kept.find(ONE, 1000) == LOUD and kept.find(OTHER, 1000) == SILENT
    assert kept.find(bytes(31) + b"\1", 1000) is None


def test_the_newest_counts(path: pathlib.Path) -> None:
    kept = KeptMeasurements(path)
    kept.keep(ONE, SILENT)
    kept.keep(ONE, LOUD)
    assert kept.find(ONE, 1000) == LOUD


@pytest.mark.parametrize("content", [b"", b"\xff\x00" * 1000, b"[" * 100_000, b"\n1 " + bytes(32).hex().encode()])
def test_a_damaged_file_is_forgotten(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    kept = KeptMeasurements(path)
    assert kept.find(ONE, 1000) is None
    kept.keep(ONE, LOUD)
    assert kept.find(ONE, 1000) == LOUD


def test_a_line_that_is_cut_off_costs_no_other(path: pathlib.Path) -> None:
    kept = KeptMeasurements(path)
    kept.keep(OTHER, SILENT)
    kept.keep(ONE, SILENT)
    path.write_bytes(path.read_bytes()[:-3])
    assert kept.find(ONE, 1000) is None and kept.find(OTHER, 1000) == SILENT
    kept.keep(ONE, LOUD)
    assert kept.find(ONE, 1000) == LOUD and kept.find(OTHER, 1000) == SILENT


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        None,
        [-9.0, 0.9, 5.0, 0],
        [float("nan"), 0.9, 5.0, 0, 9],
        [float("inf"), 0.9, 5.0, 0, 9],
        [1e9, 0.9, 5.0, 0, 9],
        ["-9", 0.9, 5.0, 0, 9],
        [True, 0.9, 5.0, 0, 9],
        [-9.0, None, 5.0, 0, 9],
        [None, None, None, 0, 9],
        [-9.0, -0.1, 5.0, 0, 9],
        [-9.0, 0.9, -1.0, 0, 9],
        [-9.0, 0.9, 5.0, -1, 9],
        [-9.0, 0.9, 5.0, 9, 8],
        [-9.0, 0.9, 5.0, 0.0, 9],
        [-9.0, 0.9, 5.0, 0, 1001],
    ],
)
def test_values_that_make_no_sense_are_forgotten(path: pathlib.Path, values: Any) -> None:
    KeptMeasurements(path).keep(ONE, LOUD)
    line, _, _ = path.read_text().rpartition("[")
    path.write_text(line + json.dumps(values))
    assert KeptMeasurements(path).find(ONE, 1000) is None


def test_the_older_half_of_a_large_file_is_removed(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "MAX_FILE_BYTES", 4000)
    kept = KeptMeasurements(path)
    for number in range(100):
        kept.keep(bytes((number,)) * 32, LOUD)
        assert path.stat().st_size <= 4000
        assert kept.find(bytes((number,)) * 32, 1000) == LOUD
    assert kept.find(ONE, 1000) is None
    assert sum(kept.find(bytes((number,)) * 32, 1000) == LOUD for number in range(100)) >= 15


def test_a_file_that_another_program_has_filled_is_bounded(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "MAX_FILE_BYTES", 4000)
    path.parent.mkdir()
    path.write_bytes(b"x" * 100_000)
    KeptMeasurements(path).keep(ONE, LOUD)
    assert path.stat().st_size <= 4000 and KeptMeasurements(path).find(ONE, 1000) == LOUD


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cache").write_text("a file")
    kept = KeptMeasurements(tmp_path / "cache" / "measurements")
    kept.keep(ONE, LOUD)
    assert kept.find(ONE, 1000) is None
    (tmp_path / "folder").mkdir()
    assert KeptMeasurements(tmp_path / "folder").find(ONE, 1000) is None
