"""Check the extension inside of each wheel against the platform that the wheel's name promises.

usage: python wheels/binaries.py WHEEL... [--without TEXT...]

Prints one line per wheel: the processor, the oldest system, and the libraries that the extension imports. Fails if one
of them is not what the platform's tag promises, if a library is not part of every such system, or if the extension
contains one of the texts, for example the path of the build. Needs pyelftools, pefile and macholib from PyPI.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import re
import sys
import tempfile
import zipfile

import pefile
from elftools.elf.elffile import ELFFile
from macholib import mach_o
from macholib.MachO import MachO

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


def elf(data: bytes) -> tuple[str, str, list[str]]:
    """Processor, newest version of glibc that is needed, and libraries."""
    file = ELFFile(io.BytesIO(data))
    tags = list(file.get_section_by_name(".dynamic").iter_tags())
    for tag in tags:
        if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
            raise SystemExit(f"it looks for libraries in {getattr(tag, tag.entry.d_tag[3:].lower())}")
    section = file.get_section_by_name(".gnu.version_r")
    names = [one.name for _, versions in section.iter_versions() for one in versions] if section else []
    glibc = [tuple(map(int, name[6:].split("."))) for name in names if name.startswith("GLIBC_")]
    oldest = "_".join(map(str, max(glibc)[:2])) if glibc else ""
    return PROCESSORS[file["e_machine"]], oldest, [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]


def pe(data: bytes) -> tuple[str, str, list[str]]:
    """Processor, nothing, and libraries."""
    file = pefile.PE(data=data)
    libraries = [one.dll.decode().lower() for one in file.DIRECTORY_ENTRY_IMPORT]
    return PROCESSORS[pefile.MACHINE_TYPE[file.FILE_HEADER.Machine]], "", libraries


def macho(data: bytes) -> tuple[str, str, list[str]]:
    """Processor, oldest version of macOS, and libraries."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        (header,) = MachO(file.name).headers
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
    return processor, oldest, libraries


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("_")))


def check(wheel: pathlib.Path, forbidden: list[str]) -> None:
    """Raises SystemExit with a sentence about the first fault."""
    tag = wheel.stem.split("-")[-1].split(".")[0]
    system, promised, processor = re.fullmatch(
        r"([a-z]+)_?(\d+_\d+)?_(\w+)", tag.replace("manylinux2014", "manylinux_2_17")
    ).groups()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith((".so", ".pyd")))
        data = archive.read(name)
    kind = elf if data[:4] == b"\x7fELF" else pe if data[:2] == b"MZ" else macho
    found, oldest, libraries = kind(data)
    faults = [f"is for {found}"] if found != processor else []
    if oldest and numbers(oldest) > numbers(promised) or system == "macosx" and oldest != promised:
        faults.append(f"needs version {oldest}")
    faults += [f"imports {one}" for one in libraries if not re.fullmatch(LIBRARIES[system], one)]
    faults += [f"contains {text}" for text in forbidden if text.encode() in data]
    if faults:
        raise SystemExit(f"{wheel.name}: {name} {', '.join(faults)}")
    print(f"{tag:26}{found:9}{oldest.replace('_', '.'):7}{' '.join(sorted(libraries))}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheels", nargs="+", type=pathlib.Path)
    parser.add_argument("--without", nargs="+", default=[])
    arguments = parser.parse_args()
    for wheel in arguments.wheels:
        check(wheel, arguments.without)


if __name__ == "__main__":
    sys.exit(main())
