"""The assertions of the C files hold in all tests of this folder: these tests again, with an extension that has them.

Ordinary builds leave them out (NDEBUG). `PHASELOCK_ASSERT=1 python setup.py build_ext --inplace --force` puts them in.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
IMPORT = """
import importlib.util, sys, phaselock
spec = importlib.util.spec_from_file_location("phaselock._native", sys.argv[1])
phaselock._native = sys.modules["phaselock._native"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(phaselock._native)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of an extension with assertions."""
    folder = tmp_path_factory.mktemp("asserts")
    build = [sys.executable, "setup.py", "build_ext", "--force", "--build-lib", folder, "--build-temp", folder]
    subprocess.run(build, cwd=ROOT, env={**os.environ, "PHASELOCK_ASSERT": "1"}, check=True)
    (found,) = folder.glob("phaselock/_native*")
    return str(found)


@pytest.mark.slow
def test_a_broken_invariant_ends_the_process(native: str) -> None:
    """The decode thread commits more frames than the ring has room for."""
    code = "engine = phaselock._native.Engine(phaselock._native.ClockMap())\n"
    done = python(IMPORT + code + "engine.commit(0, engine.reset_deck(0, 0), 1 << 40)", native)
    assert done.returncode != 0 and "pl_ring_room" in done.stderr


@pytest.mark.slow
def test_all_assertions_hold(native: str) -> None:
    code = 'import pytest\nsys.exit(pytest.main(["-q", "-n0", "-m", "not slow", *sys.argv[2:]]))'
    done = python(IMPORT + code, native, str(HERE))
    assert done.returncode == 0, done.stdout[-4000:]
