"""A test that ends its process fails the run of all tests, with the settings of pyproject.toml."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
DEADLY = """
import os

def test_that_ends_its_process():
    os._exit(1)
"""


@pytest.mark.slow
def test_a_worker_that_dies_ends_the_run(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_deadly.py").write_text(DEADLY)
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *settings, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
