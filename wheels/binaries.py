"""Check the extension inside of each wheel against the platform that the wheel's name promises.

usage: python wheels/binaries.py WHEEL... [--without TEXT...]

Prints one line per wheel: the processor, the oldest system, and the libraries that the extension imports. Fails if one
of them is not what the platform's tag promises, if a library is not part of every such system, if Python would not find
the function that makes the module, or if the extension contains one of the texts, for example the path of the build.
Needs pyelftools, pefile and macholib from PyPI; each is imported only for files of its format.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import re
import sys
import tempfile
import zipfile
from typing import NamedTuple

# Libraries that every system of the kind has.
LIBRARIES = {
    "manylinux": r"lib(c|m|pthread|dl)\.so\.\d|ld-linux-(x86-64|aarch64)\.so\.\d",
    "musllinux": r"libc\.so|libc\.musl-\w+\.so\.1",
    "win": r"(python3|kernel32|ws2_32|msvcrt|ucrtbase|api-ms-win-crt-[a-z]+-l1-1-0)\.dll",
    "macosx": r"/usr/lib/libSystem\.B\.dylib",
}
PROCESSORS = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "IMAGE_FILE_MACHINE_AMD64": "amd64",
    "IMAGE_FILE_MACHINE_ARM64": "arm64",
    "x86_64": "x86_64",
    "ARM64": "arm64",
}
INIT = "PyInit_"
"""Begins the name of the function that makes the module of an extension."""


class Platform(NamedTuple):
    """What the name of a wheel promises. `oldest` is the oldest version of the system, "2_17"; None for Windows."""

    system: str
    oldest: str | None
    processor: str


class Binary(NamedTuple):
    """What an extension says of itself. `oldest` is the oldest version of the system that it needs; empty: any."""

    processor: str
    oldest: str
    libraries: list[str]
    modules: list[str]


def modules(exported: list[str]) -> list[str]:
    """The modules that an extension makes, by its exported functions."""
    return [name.removeprefix(INIT) for name in exported if name.startswith(INIT)]


def elf(data: bytes) -> Binary:
    from elftools.elf.elffile import ELFFile

    file = ELFFile(io.BytesIO(data))
    tags = list(file.get_section_by_name(".dynamic").iter_tags())
    for tag in tags:
        if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
            raise SystemExit(f"it looks for libraries in {getattr(tag, tag.entry.d_tag[3:].lower())}")
    section = file.get_section_by_name(".gnu.version_r")
    names = [one.name for _, versions in section.iter_versions() for one in versions] if section else []
    glibc = [tuple(map(int, name[6:].split("."))) for name in names if name.startswith("GLIBC_")]
    oldest = "_".join(map(str, max(glibc)[:2])) if glibc else ""
    libraries = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    symbols = file.get_section_by_name(".dynsym").iter_symbols()
    exported = [one.name for one in symbols if one["st_shndx"] != "SHN_UNDEF"]
    return Binary(PROCESSORS[file["e_machine"]], oldest, libraries, modules(exported))


def pe(data: bytes) -> Binary:
    import pefile

    file = pefile.PE(data=data)
    libraries = [one.dll.decode().lower() for one in file.DIRECTORY_ENTRY_IMPORT]
    exported = [one.name.decode() for one in file.DIRECTORY_ENTRY_EXPORT.symbols if one.name]
    return Binary(PROCESSORS[pefile.MACHINE_TYPE[file.FILE_HEADER.Machine]], "", libraries, modules(exported))


def macho(data: bytes) -> Binary:
    from macholib import mach_o
    from macholib.MachO import MachO
    from macholib.SymbolTable import SymbolTable

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        whole = MachO(file.name)
        (header,) = whole.headers
        exported = [name.decode().removeprefix("_") for _, name in SymbolTable(whole).extdefsyms]
    processor = PROCESSORS[mach_o.CPU_TYPE_NAMES[header.header.cputype]]
    if processor == "arm64" and mach_o.LC_CODE_SIGNATURE not in [kind.cmd for kind, _, _ in header.commands]:
        raise SystemExit("it is not signed, and macOS on ARM64 loads signed code only")
    oldest, libraries = "", []
    for kind, command, rest in header.commands:
        if kind.cmd == mach_o.LC_BUILD_VERSION:
            oldest = f"{command.minos >> 16}_{command.minos >> 8 & 255}"
        elif kind.cmd == mach_o.LC_VERSION_MIN_MACOSX:
            oldest = f"{command.version >> 16}_{command.version >> 8 & 255}"
        elif kind.cmd == mach_o.LC_LOAD_DYLIB:
            libraries.append(rest.rstrip(b"\0").decode())
    return Binary(processor, oldest, libraries, modules(exported))


def read(data: bytes) -> Binary:
    """Look into an extension. SystemExit with a sentence if it cannot be loaded on its system."""
    return (elf if data[:4] == b"\x7fELF" else pe if data[:2] == b"MZ" else macho)(data)


def platform_of(wheel: pathlib.Path) -> Platform:
    tag = wheel.stem.split("-")[-1].split(".")[0].replace("manylinux2014", "manylinux_2_17")
    return Platform(*re.fullmatch(r"([a-z]+)_?(\d+_\d+)?_(\w+)", tag).groups())


def extension_in(names: list[str]) -> str:
    """The one extension among the files of a wheel."""
    (name,) = (one for one in names if one.endswith((".so", ".pyd")))
    return name


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("_")))


def faults(promised: Platform, found: Binary, libraries: str = "") -> list[str]:
    """Where an extension breaks the promise of its wheel. `libraries`: a pattern of those that it may import, too."""
    said = [f"is for {found.processor}"] if found.processor != promised.processor else []
    newer = found.oldest and numbers(found.oldest) > numbers(promised.oldest)
    if newer or promised.system == "macosx" and found.oldest != promised.oldest:
        said.append(f"needs version {found.oldest}")
    pattern = f"{LIBRARIES[promised.system]}|{libraries}"
    return said + [f"imports {one}" for one in found.libraries if not re.fullmatch(pattern, one)]


def check(wheel: pathlib.Path, forbidden: list[str]) -> None:
    """Raises SystemExit with a sentence about the first fault."""
    promised = platform_of(wheel)
    with zipfile.ZipFile(wheel) as archive:
        name = extension_in(archive.namelist())
        data = archive.read(name)
    found = read(data)
    said = faults(promised, found)
    if found.modules != [pathlib.PurePosixPath(name).name.partition(".")[0]]:
        said.append(f"exports {INIT} of {found.modules}")
    said += [f"contains {text}" for text in forbidden if text.encode() in data]
    if said:
        raise SystemExit(f"{wheel.name}: {name} {', '.join(said)}")
    tag = "_".join(filter(None, promised))
    print(f"{tag:26}{found.processor:9}{found.oldest.replace('_', '.'):7}{' '.join(sorted(found.libraries))}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheels", nargs="+", type=pathlib.Path)
    parser.add_argument("--without", nargs="+", default=[])
    arguments = parser.parse_args()
    for wheel in arguments.wheels:
        check(wheel, arguments.without)


if __name__ == "__main__":
    sys.exit(main())
