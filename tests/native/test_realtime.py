"""The real-time law of ext/README.md: the data callback under a shim that ends the process when it is broken."""

from __future__ import annotations

import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

from tests.native import rt_driver
from tests.support.preload import preloading

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the shim knows only the GNU C library")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("shim") / "rt_shim.so"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-fPIC", "-shared"]
    subprocess.run([compiler, *flags, HERE / "rt_shim.c", "-o", library, "-ldl"], check=True)
    return library


def drive(shim: pathlib.Path, *scenario: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HERE / "rt_driver.py", shim, *scenario],
        env={**os.environ, **preloading(shim), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("scenario", rt_driver.SCENARIOS)
def test_the_callback_keeps_the_law(shim: pathlib.Path, scenario: str) -> None:
    done = drive(shim, scenario)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("act", "name"),
    [
        ("malloc", "malloc"),
        ("free", "free"),
        ("lock", "pthread_mutex_lock"),
        ("write", "write"),
        ("futex", "syscall"),
        ("raw", "system call "),
    ],
)
def test_the_shim_catches(shim: pathlib.Path, act: str, name: str) -> None:
    if act == "raw" and drive(shim, "catches-all").returncode:
        pytest.skip("this kernel has no syscall user dispatch")
    done = drive(shim, "planted", act)
    assert done.returncode == 99 and done.stderr.startswith(f"forbidden: {name}"), done


def test_the_shim_accepts_a_lawful_callback(shim: pathlib.Path) -> None:
    done = drive(shim, "planted", "nothing")
    assert done.returncode == 0, done.stderr
