"""Check the one sdist and the one wheel of a directory, and that the installed wheel plays. Needs abi3audit.

usage: python check_wheel.py DIRECTORY
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile


def check(dist: pathlib.Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    name, version, *tags = wheel.stem.split("-")
    assert name == "phaselock", wheel.name
    assert tags[:2] == ["cp311", "abi3"], wheel.name

    with tarfile.open(sdist) as archive:
        inside = [path.partition("/")[2] for path in archive.getnames()]
    assert {"ext/_native.pyx", "ext/README.md", "README.md", "LICENSE", "tests/conftest.py"} <= set(inside), inside
    assert "ext/_native.c" not in inside and not [path for path in inside if path.startswith("build")], inside

    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    assert [path for path in inside if path.startswith("phaselock/_native.")], inside
    assert {"phaselock/py.typed", "phaselock/_native.pyi", "phaselock/data/tune.mp3"} <= set(inside), inside
    strangers = [path for path in inside if not path.startswith((f"phaselock-{version}.dist-info/", "phaselock/"))]
    strangers += [path for path in inside if path.endswith((".pyx", ".pxd", ".c", ".h"))]
    assert not strangers, strangers

    subprocess.run([sys.executable, "-m", "abi3audit", "--strict", wheel], check=True)

    with tempfile.TemporaryDirectory() as elsewhere:
        home = pathlib.Path(elsewhere, "venv")
        venv.create(home, with_pip=True)
        programs, suffix = (home / "Scripts", ".exe") if sys.platform == "win32" else (home / "bin", "")
        phaselock = programs / f"phaselock{suffix}"

        def run(*command: str | pathlib.Path) -> None:
            print("+", *command, flush=True)
            subprocess.run(command, cwd=elsewhere, check=True)

        run(programs / f"python{suffix}", "-m", "pip", "install", "--quiet", wheel)
        said = subprocess.check_output([phaselock, "--version"], cwd=elsewhere, text=True)
        assert said.split() == ["phaselock", version], said
        run(phaselock, "demo", "--seconds", "4")
    print(f"{wheel.name} is good")


if __name__ == "__main__":
    check(pathlib.Path(sys.argv[1]).resolve())
