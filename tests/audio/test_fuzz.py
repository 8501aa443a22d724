"""Damaged files of every kind that is played as it is: each is refused in words, or plays."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.support.programs import ROOT

COUNT = 15_000
"""About 20 s."""
MAX_GROWN_MB = 64


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process is measured by `resource`")
def test_a_damaged_file_is_refused_or_plays(tmp_path: pathlib.Path) -> None:
    """No crash, no hang, bounded memory; and after each seek the same samples as without it."""
    command = (sys.executable, "-m", "tests.support.fuzz", "2024", str(COUNT), str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nby {tmp_path / 'input'}"
    told = json.loads(done.stdout)
    assert told["grown_mb"] < MAX_GROWN_MB
    assert 0.1 * COUNT < told["played"] < 0.9 * COUNT
