"""Compile extensions for other platforms with zig, and put them into wheels.

usage: python wheels/cross.py phaselock WHEEL SDIST DIRECTORY      from the wheel of this machine
       python wheels/cross.py miniaudio DIRECTORY                  for ARM Linux; from PyPI's sdist and x86-64 wheel

Needs ziglang, wheel, Cython, cffi and abi3info from PyPI, and the headers of a Python from 3.11 on. With the limited
API these headers are the same on all platforms, except pyconfig.h.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import abi3info
from abi3info.models import PyVersion

PYTHON = PyVersion(3, 11)

GLIBC, MUSL = "linux-gnu.2.17", "linux-musl"
TARGETS = {
    # Tags of a wheel, joined by dots, and what zig calls the platform. build.sh makes the wheel for x86-64 and glibc.
    "manylinux_2_17_aarch64.manylinux2014_aarch64": f"aarch64-{GLIBC}",
    "musllinux_1_2_x86_64": f"x86_64-{MUSL}",
    "musllinux_1_2_aarch64": f"aarch64-{MUSL}",
    "win_amd64": "x86_64-windows-gnu",
    "win_arm64": "aarch64-windows-gnu",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
}

# What Python.h asks of pyconfig.h when Py_LIMITED_API is defined. The compiler knows the sizes.
PYCONFIG = "\n".join(
    [
        "#pragma once",
        *(
            f"#define HAVE_{name} 1"
            for name in ("STDDEF_H", "STDINT_H", "SYS_TYPES_H", "SYS_STAT_H", "WCHAR_H", "ERRNO_H")
        ),
        *(f"#define HAVE_{name} 1" for name in ("SSIZE_T", "UINTPTR_T", "LONG_LONG", "PROTOTYPES")),
        *(
            f"#define SIZEOF_{name} __SIZEOF_{name}__"
            for name in ("SHORT", "INT", "LONG", "LONG_LONG", "FLOAT", "DOUBLE")
        ),
        *(f"#define SIZEOF_{name} __SIZEOF_{name}__" for name in ("WCHAR_T", "SIZE_T")),
        "#define SIZEOF_VOID_P __SIZEOF_POINTER__",
        "#define SIZEOF_PID_T 4",
        "#ifdef _WIN32",
        "#include <io.h>",
        *(f"#define {name} 1" for name in ("MS_WINDOWS", "MS_WIN32", "MS_WIN64", "NT_THREADS")),
        *(f"#define {name} 1" for name in ("HAVE_DECLSPEC_DLL", "Py_ENABLE_SHARED")),  # data comes from a DLL
        "#else",
        *(f"#define {name} 1" for name in ("_GNU_SOURCE", "_DARWIN_C_SOURCE")),  # Python.h uses more than C11 has
        "#endif\n",
    ]
)


def run(*command: object, cwd: pathlib.Path | None = None) -> str:
    """Run a command of this Python; its output. A failure ends the program with what the command said."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Workshop:
    """A temporary folder with the headers of Python and, for Windows, import libraries of python3.dll."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._headers = folder / "headers"
        shutil.copytree(sysconfig.get_paths()["include"], self._headers)
        (self._headers / "pyconfig.h").unlink()  # may be a link
        (self._headers / "pyconfig.h").write_text(PYCONFIG)

    def compile(
        self, target: str, name: str, sources: Iterable[pathlib.Path], include: pathlib.Path, flags: Sequence[str] = ()
    ) -> pathlib.Path:
        """Make the extension `name` of these C files for a platform; its path."""
        folder = self.folder / target
        folder.mkdir(exist_ok=True)
        output = folder / f"{name}.{'pyd' if 'windows' in target else 'abi3.so'}"
        if "windows" in target:
            platform = [str(self._import_library(target)), "-lws2_32"]
        elif "macos" in target:  # the program that loads the extension has Python's functions
            platform = ["-Wl,-undefined,dynamic_lookup", f"-Wl,-install_name,@rpath/{output.name}"]
        else:
            platform = ["-fPIC", "-lm", "-lpthread", "-ldl"]
        api = f"-DPy_LIMITED_API=0x{PYTHON.major:02X}{PYTHON.minor:02X}0000"
        command = ["cc", "-target", target, "-shared", "-O3", "-s", "-DNDEBUG", api, "-isystem", self._headers]
        run("-m", "ziglang", *command, f"-I{include}", *flags, *sources, *platform, "-o", output)
        return output

    def _import_library(self, target: str) -> pathlib.Path:
        machine = {"x86_64": "i386:x86-64", "aarch64": "arm64"}[target.partition("-")[0]]
        definitions, library = (self.folder / target / f"python3.{ending}" for ending in ("def", "lib"))
        functions = [one.name for one, about in abi3info.FUNCTIONS.items() if about.added <= PYTHON]
        data = [f"{one.name} DATA" for one, about in abi3info.DATAS.items() if about.added <= PYTHON]
        definitions.write_text("\n".join(["LIBRARY python3.dll", "EXPORTS", *sorted(functions + data)]) + "\n")
        run("-m", "ziglang", "dlltool", "-m", machine, "-d", definitions, "-l", library)
        return library


def repack(wheel: pathlib.Path, binary: pathlib.Path, tags: str, directory: pathlib.Path) -> None:
    """Write a copy of a wheel with another platform's extension in place of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run("-m", "wheel", "unpack", "--dest", folder, wheel)
        (tree,) = pathlib.Path(folder).iterdir()
        (own,) = tree.rglob(f"{binary.name.partition('.')[0]}.*so")
        own.unlink()
        shutil.copy(binary, own.parent)
        (about,) = tree.glob("*.dist-info/WHEEL")
        kept = [line for line in about.read_text().splitlines() if line and not line.startswith("Tag: ")]
        abi = f"cp{PYTHON.major}{PYTHON.minor}-abi3"
        about.write_text("\n".join([*kept, *(f"Tag: {abi}-{tag}" for tag in tags.split("."))]) + "\n")
        run("-m", "wheel", "pack", "--dest-dir", directory, tree)


def open_sdist(sdist: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Unpack a source distribution; the path of its one folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def phaselock(work: Workshop, wheel: pathlib.Path, sdist: pathlib.Path, directory: pathlib.Path) -> None:
    source = open_sdist(sdist, work.folder / "sdist")
    generated = work.folder / "_native.c"
    run("-m", "cython", "-I", "ext", "ext/_native.pyx", "-o", generated, cwd=source)
    # Our own C compiles without a warning on every platform; that of Cython need not.
    generated.write_text('#pragma clang diagnostic ignored "-Weverything"\n' + generated.read_text("utf-8"), "utf-8")
    sources = [generated, *sorted(source.glob("ext/pl_*.c"))]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror"]

    def make(tags: str) -> None:
        binary = work.compile(TARGETS[tags], "_native", sources, source / "ext", flags)
        repack(wheel, binary, tags, directory)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, TARGETS))


def miniaudio(work: Workshop, directory: pathlib.Path) -> None:
    fetched = work.folder / "pypi"
    fetch = ("-m", "pip", "download", "--quiet", "--no-deps", "--dest", fetched)
    run(*fetch, "--no-binary", "miniaudio", "miniaudio")
    (sdist,) = fetched.iterdir()
    version = sdist.name.removeprefix("miniaudio-").removesuffix(".tar.gz")
    run(*fetch, "--only-binary", ":all:", f"miniaudio=={version}")
    (wheel,) = fetched.glob("*.whl")
    source = open_sdist(sdist, work.folder / "miniaudio")
    generated = work.folder / "_miniaudio.c"
    program = "import json, sys, build_ffi_module as b; b.ffibuilder.emit_c_code(sys.argv[1]);"
    program += "print(json.dumps(b.ffibuilder._assigned_source[3]['define_macros']))"
    os.environ["CXX"] = "true"  # the module asks when it is imported whether this computer needs libatomic
    macros = json.loads(run("-c", program, generated, cwd=source).splitlines()[-1])  # cffi prints too
    flags = ["-w", "-ffast-math", *(f"-D{name}={value}" for name, value in macros)]

    def make(tags: str) -> None:
        binary = work.compile(TARGETS[tags], "_miniaudio", [generated, source / "miniaudio.c"], source, flags)
        repack(wheel, binary, tags, directory)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, [tags for tags, target in TARGETS.items() if target.startswith("aarch64-linux")]))


def main(what: str, *paths: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        makers = {"phaselock": phaselock, "miniaudio": miniaudio}
        makers[what](Workshop(pathlib.Path(folder)), *(pathlib.Path(path).resolve() for path in paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
