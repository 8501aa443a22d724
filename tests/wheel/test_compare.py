"""wheels/compare.py, with extensions that are described instead of compiled."""

from __future__ import annotations

import importlib
import pathlib
import types
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]

LINUX = "manylinux_2_17_x86_64"
NEWER = "manylinux_2_28_x86_64"
EXTENSION = "phaselock/_native.abi3.so"
FILES = {
    "phaselock/": b"",
    "phaselock/cli.py": b"import sys\n",
    EXTENSION: b"built by zig",
    "phaselock-1.dist-info/METADATA": b"Name: phaselock\n",
    "phaselock-1.dist-info/RECORD": b"one",
}
Say = Callable[..., list[str]]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(ROOT / "wheels")
    return importlib.import_module("compare")


@pytest.fixture
def said(
    compare: types.ModuleType,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Say:
    """Compares the wheel of FILES with another wheel; the sentences about their differences."""

    def run(
        tag: str = LINUX,
        second_tag: str = NEWER,
        *,
        both: dict[str, Any] | None = None,
        binary: dict[str, Any] | None = None,
        **files: Any,
    ) -> list[str]:
        kind = {"processor": "x86_64", "oldest": "", "libraries": ["libc.so.6"], "modules": ["_native"], **(both or {})}
        make = importlib.import_module("binaries").Binary
        described = {b"built by zig": make(**kind), b"built by gcc": make(**kind | (binary or {}))}
        monkeypatch.setattr(compare, "read", described.__getitem__)
        second = {**FILES, EXTENSION: b"built by gcc", "phaselock-1.dist-info/RECORD": b"two"} | files
        for folder, name, content in (("first", tag, FILES), ("second", second_tag, second)):
            (tmp_path / folder).mkdir()
            with zipfile.ZipFile(tmp_path / folder / f"phaselock-1-cp311-abi3-{name}.whl", "w") as archive:
                for path, data in content.items():
                    if data is not None:
                        archive.writestr(path, data)
        status = compare.main(str(tmp_path / "first"), str(tmp_path / "second"))
        sentences = capsys.readouterr().err.splitlines()
        assert status == bool(sentences)
        return sentences

    return run


def test_two_builds_may_differ_in_the_bytes_of_the_extension(said: Say) -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phaselock/cli.py": b"import sys\r\n"}, "phaselock/cli.py is not the same"),
        ({"phaselock-1.dist-info/METADATA": b"Name: other\n"}, "METADATA is not the same"),
        ({"phaselock/more.py": b""}, "phaselock/more.py is in one of the two wheels only"),
        ({"phaselock/cli.py": None}, "phaselock/cli.py is in one of the two wheels only"),
        ({EXTENSION: None, "phaselock/_native.so": b"built by gcc"}, "The extensions are not the same"),
    ],
)
def test_every_other_difference_is_told(changes: dict[str, bytes], words: str, said: Say) -> None:
    (sentence,) = said(**changes)
    assert words in sentence


@pytest.mark.parametrize(
    ("binary", "words"),
    [
        ({"modules": []}, "makes no module"),
        ({"modules": ["_other"]}, "makes _other"),
        ({"processor": "aarch64"}, "is for aarch64"),
        ({"oldest": "2_34"}, "needs version 2_34"),
        ({"libraries": ["libssl.so.3"]}, "imports libssl.so.3"),
    ],
)
def test_extensions_do_the_same(binary: dict[str, Any], words: str, said: Say) -> None:
    (sentence,) = said(binary=binary)
    assert words in sentence


def test_the_first_wheel_runs_on_the_oldest_system(said: Say) -> None:
    (sentence,) = said(NEWER, LINUX)
    assert "needs a newer system" in sentence


def test_a_platform_of_the_second_build_is_missing_in_the_first(said: Say) -> None:
    (sentence,) = said(second_tag="manylinux_2_28_aarch64")
    assert sentence.startswith("There is no wheel for phaselock manylinux aarch64")


def test_nothing_to_compare_is_a_failure(compare: types.ModuleType, tmp_path: pathlib.Path) -> None:
    assert compare.main(str(tmp_path), str(tmp_path)) == 1


def test_windows_wheels_may_need_the_library_of_microsofts_compiler(said: Say) -> None:
    windows = {"processor": "amd64", "libraries": ["python3.dll", "vcruntime140.dll"]}
    assert said("win_amd64", "win_amd64", both=windows) == []
