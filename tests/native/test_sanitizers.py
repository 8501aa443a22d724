"""The native core under GCC's sanitizers: AddressSanitizer and UndefinedBehaviorSanitizer, and ThreadSanitizer.

A copy of the tree gets an extension that a sanitizer watches, with the assertions of the C files, which ordinary builds
leave out. It runs tests there. Each report fails the test, also one of a child process that was expected to fail. There
are no suppressions.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
COPIED = ("LICENSE", "README.md", "ext", "phaselock", "pyproject.toml", "setup.py", "tests")
RUNTIMES = {"address,undefined": ("libasan.so", "libubsan.so"), "thread": ("libtsan.so",)}

WATCHED_FOR_MEMORY = {
    f"{folder}-{part}": [
        str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(f"tests/{folder}/test_*.py"))[part::2]
    ]
    for folder in ("native", "audio")
    for part in (0, 1)
} | {"sync": ["tests/sync"]}
"""In parts, so that none takes longer than a test may take."""
WATCHED_FOR_RACES = (
    "tests/native/test_udp.py",
    "tests/native/test_udp_trouble.py",
    "tests/audio/test_player.py",
    "tests/audio/test_priority.py",
    "tests/audio/test_virtual_device.py",
    "tests/sync",
)
"""The tests that start threads. In the others there is nothing to find, and ThreadSanitizer makes them slow."""
EXCLUDED = (
    # Here the sanitizer replaces malloc and free, in front of the shim.
    "tests/native/test_realtime.py::test_the_shim_catches[malloc-malloc]",
    "tests/native/test_realtime.py::test_the_shim_catches[free-free]",
    # They read source text only.
    "tests/native/test_c_style.py",
)
THREADS_S = 10


class Sanitizer:
    """A copy of the tree with an extension that is watched."""

    def __init__(self, folder: pathlib.Path, kinds: str) -> None:
        self.folder, self.flags = folder / "tree", [f"-fsanitize={kinds}", "-g1", "-fno-omit-frame-pointer"]
        self.reports = folder / "reports"
        self.reports.mkdir()
        self.folder.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("*.so", "__pycache__")
                shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.folder)
        flags = {"CC": "gcc", "CFLAGS": " ".join(self.flags), "LDFLAGS": self.flags[0], "PHASELOCK_ASSERT": "1"}
        build = [sys.executable, "setup.py", "build_ext", "--inplace"]
        subprocess.run(build, cwd=self.folder, env=os.environ | flags, check=True)
        found = [subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True) for name in RUNTIMES[kinds]]
        options = f"log_path={self.reports / 'report'}"
        self.environment = {
            **os.environ,
            "LD_PRELOAD": " ".join(name.strip() for name in found),
            "PYTHONMALLOC": "malloc",  # Python's own allocator would hide overflows in its blocks
            "PYTHONPATH": str(self.folder),
            "ASAN_OPTIONS": f"{options}:detect_leaks=0",  # Python frees little at its end
            "UBSAN_OPTIONS": f"{options}:halt_on_error=1:print_stacktrace=1",
            "TSAN_OPTIONS": options,
        }

    def python(self, *arguments: str) -> None:
        """Run a Python in the copy. AssertionError if it fails, or if a sanitizer reports anything."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        reports = [path.read_text(errors="replace") for path in sorted(self.reports.iterdir())]
        assert not reports, "\n".join(reports)[:8000]
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    def test(self, *paths: str) -> None:
        excluded = (option for one in EXCLUDED for option in ("--deselect", one))
        self.python("-m", "pytest", "-q", "-n0", "-m", "not slow", "-p", "no:cacheprovider", *excluded, *paths)

    def call_planted(self, name: str) -> None:
        """Call a function of planted.c in a Python."""
        library = self.folder / "planted.so"
        command = ["gcc", *self.flags, "-shared", "-fPIC", str(HERE / "planted.c"), "-o", str(library), "-lpthread"]
        subprocess.run(command, check=True)
        try:
            self.python("-c", f"import ctypes; ctypes.CDLL({str(library)!r}).{name}()")
        finally:
            for report in self.reports.iterdir():
                report.unlink()


def sanitizer(folder: pathlib.Path, kinds: str) -> Sanitizer:
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("the sanitizers are those of GCC on Linux")
    try:
        return Sanitizer(folder, kinds)
    except subprocess.CalledProcessError:
        pytest.skip(f"this GCC does not build with -fsanitize={kinds}")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sanitizer]:
    yield sanitizer(tmp_path_factory.mktemp("memory"), "address,undefined")


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sanitizer]:
    yield sanitizer(tmp_path_factory.mktemp("races"), "thread")


@pytest.mark.parametrize(
    ("name", "report"),
    [("heap_buffer_overflow", "heap-buffer-overflow"), ("signed_integer_overflow", "signed integer overflow")],
)
def test_a_planted_fault_is_found(memory: Sanitizer, name: str, report: str) -> None:
    with pytest.raises(AssertionError, match=report):
        memory.call_planted(name)


def test_a_planted_race_is_found(races: Sanitizer) -> None:
    with pytest.raises(AssertionError, match="data race"):
        races.call_planted("data_race")


def test_a_broken_invariant_is_found(memory: Sanitizer) -> None:
    """The decode thread commits more frames than the ring has room for."""
    engine = "from phaselock import _native\nengine = _native.Engine(_native.ClockMap())\n"
    with pytest.raises(AssertionError, match="pl_ring_room"):
        memory.python("-c", engine + "engine.commit(0, engine.reset_deck(0, 0), 1 << 40)")


@pytest.mark.parametrize("group", WATCHED_FOR_MEMORY)
def test_memory_and_arithmetic(memory: Sanitizer, group: str) -> None:
    memory.test(*WATCHED_FOR_MEMORY[group])


def test_memory_while_all_threads_run(memory: Sanitizer) -> None:
    memory.python("-m", "tests.native.thread_driver", str(THREADS_S / 2))


def test_the_threads_of_the_tests_do_not_race(races: Sanitizer) -> None:
    races.test(*WATCHED_FOR_RACES)


def test_all_threads_together_do_not_race(races: Sanitizer) -> None:
    """The data callback, the decode thread and the clock threads, while commands come."""
    races.python("-m", "tests.native.thread_driver", str(THREADS_S))
