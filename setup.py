"""Builds the extension and the catalogues of the languages; everything else is in pyproject.toml."""

import concurrent.futures
import contextlib
import datetime
import glob
import os
import shutil
import sys
import sysconfig
import threading

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

# Free-threaded Python has no stable ABI: the extension is built for the running version only.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED") and os.environ.get("PHASELOCK_NO_ABI3") != "1"

# In place of the time of the build, which Babel would write: two builds make the same files.
NO_DATE = datetime.datetime.fromtimestamp(0, datetime.UTC)

PACKAGES = {
    "compiler": {"debian": "gcc libc6-dev", "fedora": "gcc", "arch": "gcc", "suse": "gcc", "alpine": "gcc musl-dev"},
    "headers": {
        "debian": "python3-dev",
        "fedora": "python3-devel",
        "arch": "python",
        "suse": "python3-devel",
        "alpine": "python3-dev",
    },
}


def refuse(reason):
    """End the build with a message instead of a traceback."""
    raise SystemExit(f"\nPhaseLock cannot be built here: {reason}\n")


def to_get(what):
    """How to install the compiler or the headers of Python."""
    if sys.platform == "win32":
        return 'install the "Desktop development with C++" of the Microsoft C++ Build Tools 2022.'
    if sys.platform == "darwin":
        return {"compiler": "run xcode-select --install.", "headers": "install Python from python.org."}[what]
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from phaselock.os_packages import install_command  # imports nothing that must be built

    command = install_command(PACKAGES[what])
    return f"run {command}." if command else "install the package of your Linux distribution that contains it."


def compile_catalogues(folder):
    """Write the compiled catalogue (.mo) of each language (.po) below `folder`, in the source tree or a copy of it."""
    for source in glob.glob("phaselock/language/*/LC_MESSAGES/*.po"):
        target = os.path.join(folder, source.removesuffix("po") + "mo")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source, "rb") as text, open(target, "wb") as compiled:
            catalogue = read_po(text)
            catalogue.creation_date = NO_DATE
            write_mo(compiled, catalogue)


@contextlib.contextmanager
def signs_of_life():
    """Print a line every second: the spinner of pip only turns when the build prints something."""
    ended = threading.Event()

    def print_lines():
        while not ended.wait(1.0):
            print("still compiling", flush=True)

    printing = threading.Thread(target=print_lines, daemon=True)
    printing.start()
    try:
        yield
    finally:
        ended.set()
        printing.join()


def compile_side_by_side(compiler, pool):
    """Let a Unix compiler of setuptools compile all files at the same time, and wait for them before it links.

    The file that Cython makes only calls the others: -O1 is enough for it, and takes half of the time of -O3.
    """
    compile_one, link, running = compiler._compile, compiler.link, []

    def begin(target, source, extension, options, more, *rest):
        if source.endswith("_native.c"):
            more = ["-O1" if one == "-O3" else one for one in more]
        running.append(pool.submit(compile_one, target, source, extension, options, more, *rest))

    def link_compiled(*arguments, **options):
        for one in running:
            one.result()
        link(*arguments, **options)

    compiler._compile, compiler.link = begin, link_compiled


class BuildNative(build_ext):
    def run(self):
        super().run()
        compile_catalogues("" if self.inplace else self.build_lib)

    def build_extensions(self):
        if sys.maxsize < 2**32 or sys.byteorder != "little":
            refuse("it needs a 64-bit, little-endian Python.")
        headers = [*self.include_dirs, *(path for one in self.extensions for path in one.include_dirs)]
        if not any(os.path.exists(os.path.join(folder, "Python.h")) for folder in headers):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            refuse(f"the headers of Python {version} are missing; {to_get('headers')}")
        if self.compiler.compiler_type == "msvc":
            flags = ["/O2", "/std:c11", "/experimental:c11atomics"]
            try:
                self.compiler.initialize()
            except PlatformError:
                refuse(f"there is no C compiler; {to_get('compiler')}")
        else:
            flags = ["-O3", "-std=c11"]
            if shutil.which(self.compiler.compiler[0]) is None:
                refuse(f"the C compiler {self.compiler.compiler[0]} is missing; {to_get('compiler')}")
        for extension in self.extensions:
            extension.extra_compile_args = flags
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, signs_of_life():
            if self.compiler.compiler_type == "unix":
                compile_side_by_side(self.compiler, pool)
            super().build_extensions()


def in_ext(*patterns):
    """Paths relative to this directory, sorted, so that builds repeat."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ext")
    return sorted(f"ext/{name}" for pattern in patterns for name in glob.glob(pattern, root_dir=here))


native = Extension(
    "phaselock._native",
    ["ext/_native.pyx", *in_ext("pl_*.c")],
    depends=in_ext("*.h", "*.pxd", "*.pxi"),
    include_dirs=["ext"],
    libraries={"win32": ["ws2_32"], "linux": ["m", "dl", "pthread"]}.get(sys.platform, ["m"]),
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
    undef_macros=["NDEBUG"] if os.environ.get("PHASELOCK_ASSERT") == "1" else [],
    py_limited_api=ABI3,
)

setup(
    ext_modules=[native],
    cmdclass={"build_ext": BuildNative},
    options={
        # The generated C lives in build/, never in the tree, the sdist or the wheel.
        "build_ext": {"cython_c_in_temp": True, "cython_include_dirs": "ext"},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {}),
    },
)
