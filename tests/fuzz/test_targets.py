"""A short run of each fuzz target. `python -m tests.fuzz` is the long one."""

from __future__ import annotations

import pathlib

import pytest

from tests.fuzz.__main__ import TARGETS, build, compiler, fuzz

pytestmark = pytest.mark.slow

SECONDS = 8


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    clang = compiler()
    if clang is None:
        pytest.skip("there is no clang with libFuzzer")
    folder = tmp_path_factory.mktemp("fuzz")
    build(folder, clang, list(TARGETS))
    return folder


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(built: pathlib.Path, name: str) -> None:
    done = fuzz(built, name, SECONDS)
    assert done.returncode == 0, done.stderr[-8000:]
