"""What is said where PhaseLock cannot be built or is not whole, what cibuildwheel would build, and the name on PyPI."""

from __future__ import annotations

import gettext
import importlib.util
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tomllib

import pytest

from phaselock.os_packages import tk_advice

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]

NO_COMPILER = "import os; os.environ['CC'] = 'no-such-compiler'"
HINDRANCES = {
    NO_COMPILER: "the C compiler no-such-compiler is missing",
    "import os.path; real = os.path.exists; os.path.exists = lambda path: path[-8:] != 'Python.h' and real(path)": (
        f"the headers of Python {sys.version_info[0]}.{sys.version_info[1]} are missing"
    ),
    "import sys, setuptools; sys.maxsize = 2**31 - 1": "it needs a 64-bit, little-endian Python",
    "import sys, setuptools; sys.byteorder = 'big'": "it needs a 64-bit, little-endian Python",
}


@pytest.mark.skipif(sys.platform == "win32", reason="MSVC is not chosen by CC")
@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_a_build_that_cannot_be_ends_with_a_sentence(hindrance: str, tmp_path: pathlib.Path) -> None:
    said = refused(hindrance, tmp_path)
    assert f"PhaseLock cannot be built here: {HINDRANCES[hindrance]}" in said
    assert "Traceback" not in said


def refused(hindrance: str, tmp_path: pathlib.Path) -> str:
    """Standard error of a build that cannot be."""
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    build = f"sys.argv = ['setup.py', 'build_ext', '-b', {str(tmp_path)!r}, '-t', {str(tmp_path)!r}]"
    code = f"import runpy, sys; {build}; {hindrance}; runpy.run_path('setup.py')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no packages")
@pytest.mark.parametrize(
    ("distribution", "advice"),
    [
        ("debian", "run sudo apt install gcc libc6-dev."),
        ("fedora", "run sudo dnf install gcc."),
        ("alpine", "run sudo apk add gcc musl-dev."),
        ("another", "install the package of your Linux distribution that contains it."),
    ],
)
def test_a_build_names_the_package_of_the_distribution(distribution: str, advice: str, tmp_path: pathlib.Path) -> None:
    release = f"import platform; platform.freedesktop_os_release = lambda: {{'ID': {distribution!r}}}"
    assert f"the C compiler no-such-compiler is missing; {advice}\n" in refused(f"{release}; {NO_COMPILER}", tmp_path)


def test_two_builds_write_the_same_catalogues(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("babel")
    setuptools = pytest.importorskip("setuptools")
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")["compile_catalogues"](str(tmp_path))
    dates = set()
    for path in tmp_path.rglob("*.mo"):
        with path.open("rb") as file:
            dates.add(gettext.GNUTranslations(file).info()["pot-creation-date"])
    assert dates == {"1970-01-01 00:00+0000"}


@pytest.fixture
def unbuilt(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the package that lacks its native part."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    return pathlib.Path(shutil.copytree(ROOT / "phaselock", tmp_path / "phaselock", ignore=ignored))


def last_words(package: pathlib.Path, *arguments: str, missing: str = "") -> str:
    start = f"import runpy, sys; sys.argv[0] = 'phaselock'; sys.path.insert(0, {str(package.parent)!r})\n"
    # An editable installation would lend the copy its native part.
    start += "sys.meta_path[:] = [one for one in sys.meta_path if '__editable__' not in str(vars(one))]\n"
    start += "".join(f"sys.modules[{name!r}] = None\n" for name in missing.split())
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{start}runpy.run_module('phaselock', run_name='__main__')", *arguments],
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("command", ["window", "host", "devices"])
def test_an_unbuilt_checkout_says_so(unbuilt: pathlib.Path, command: str) -> None:
    assert "PhaseLock's native part does not load here" in last_words(unbuilt, command)


def test_a_native_part_of_another_platform_is_told(unbuilt: pathlib.Path) -> None:
    suffix = ".pyd" if sys.platform == "win32" else ".abi3.so"
    (unbuilt / f"_native{suffix}").write_bytes(b"\x7fELF of another machine")
    said = last_words(unbuilt, "devices")
    assert "PhaseLock's native part does not load here" in said and "pip" in said


@pytest.mark.parametrize(
    ("missing", "command", "words"),
    [
        ("msgpack", "host", "PhaseLock is not installed completely: msgpack is missing"),
        ("tkinter", "window", tk_advice()),
        ("_tkinter", "window", tk_advice()),
        ("customtkinter", "window", "The window needs customtkinter."),
    ],
)
def test_what_is_missing_is_named(missing: str, command: str, words: str) -> None:
    assert words in last_words(ROOT / "phaselock", command, missing=missing)


@pytest.mark.parametrize(
    ("platform", "architectures", "wheels"),
    [
        ("linux", "auto", {"cp311-manylinux_x86_64", "cp311-musllinux_x86_64"}),
        ("windows", "auto", {"cp311-win_amd64"}),
        ("macos", "x86_64,arm64", {"cp311-macosx_x86_64", "cp311-macosx_arm64"}),
    ],
)
def test_what_would_be_built(platform: str, architectures: str, wheels: set[str]) -> None:
    if importlib.util.find_spec("cibuildwheel") is None:
        pytest.skip("cibuildwheel is not installed")
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform]
    command += [] if architectures == "auto" else ["--archs", architectures]
    said = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=True).stdout
    assert set(said.split()) == wheels


def test_the_distribution_name_is_one_line_to_change() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras["bench"]) < set(extras["test"])  # written out: `name[bench]` would be a second line
    required = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    assert not [one for one in required if re.match(rf"{project['name']}\b", one)]


def test_no_instruction_installs_the_other_project_of_that_name() -> None:
    texts = [
        ROOT / "README.md",
        *(path for top in ("wheels", ".github", "phaselock", "ext") for path in (ROOT / top).rglob("*")),
    ]
    for path in texts:
        if path.suffix in (".md", ".py", ".sh", ".yml", ".po"):
            for line in re.findall(r"^.*pip install(?: -\S+)* phaselock\b.*$", path.read_text("utf-8"), re.MULTILINE):
                assert "another project" in line, (path, line)
