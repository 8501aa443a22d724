"""The linters, as tests."""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"


@pytest.mark.parametrize(("tool", "arguments"), [("ruff", ["check", "."]), ("mypy", ["--strict", "phaselock"])])
def test_python(tool: str, arguments: list[str]) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    check(sys.executable, "-m", tool, *arguments)


def test_stub_of_the_extension(tmp_path: pathlib.Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    # What Cython adds of its own, and constructors, whose signatures it does not tell.
    allowed = tmp_path / "allowed"
    allowed.write_text(r"phaselock\._native\.(\w+\.__init__|__\w+__|Buffer)")
    command = [sys.executable, "-m", "mypy.stubtest", "phaselock._native", "--concise"]
    check(*command, "--ignore-disjoint-bases", "--ignore-unused-allowlist", "--allowlist", str(allowed))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("ext/pl_*.c"))
    assert sources
    check(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fsyntax-only", "-Iext", *sources)


@pytest.mark.parametrize("target", ["x86_64-windows-gnu", "x86_64-macos", "aarch64-macos"])
def test_c_of_other_systems(target: str, tmp_path: pathlib.Path) -> None:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    for source in sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("ext/pl_*.c")):
        zig = (sys.executable, "-m", "ziglang", "cc", "-target", target)
        check(*zig, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-Iext", "-c", source, "-o", str(tmp_path / "o"))
