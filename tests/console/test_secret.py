from __future__ import annotations

import io
import pathlib
import subprocess
import sys

import pytest

from phaselock.console import secret

HIDE = """
import pathlib, sys
from phaselock.console.secret import hide_argument
hide_argument(sys.argv[-1].removeprefix("--code="))
print(pathlib.Path("/proc/self/cmdline").read_bytes().split(b"\\0")[-2].decode(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let a process change it")
@pytest.mark.parametrize(
    ("argument", "shown"),
    [("482913", "******"), ("--code=482913", "--code=******"), ("tür 12", "*******"), ("48", "**")],
)
def test_a_code_is_not_in_the_list_of_processes(argument: str, shown: str) -> None:
    done = subprocess.run([sys.executable, "-c", HIDE, argument], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{shown}\n", "")


def test_an_argument_that_is_not_there_changes_nothing() -> None:
    if sys.platform == "linux":
        before = pathlib.Path("/proc/self/cmdline").read_bytes()
        secret.hide_argument("482913482913")
        assert pathlib.Path("/proc/self/cmdline").read_bytes() == before


def test_a_pipe_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("482913\n"))
    assert not secret.can_ask()
