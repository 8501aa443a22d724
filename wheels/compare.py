"""Compare the wheels of two builds, platform by platform.

usage: python wheels/compare.py DIRECTORY DIRECTORY

The first directory has the wheels that one Linux machine has built for all platforms (`build.sh --all`), the second has
those that some platforms have built by themselves. Prints a line for each platform of the second directory. Fails if

- it has no wheel in the first directory;
- the two wheels do not contain the same files with the same bytes, except the extension, RECORD and WHEEL;
- an extension breaks the promise of its wheel (see binaries.py), or the two do not make the same module;
- the first wheel needs a newer system than the second.

Needs pyelftools, pefile and macholib from PyPI.
"""

from __future__ import annotations

import pathlib
import sys
import zipfile

from binaries import extension_in, faults, numbers, platform_of, read

LEFT_OUT = ("/RECORD", "/WHEEL", "/")
"""Ends of names: files about the wheel itself, and folders, which some tools write."""
OF_PYTHON = r"vcruntime140\.dll"
"""A library that Microsoft's compiler needs; each Python for Windows brings it."""


class Wheel:
    """The files of a wheel; `files` leaves out the extension, RECORD and WHEEL."""

    def __init__(self, path: pathlib.Path) -> None:
        self.name = path.name
        self.promised = platform_of(path)
        with zipfile.ZipFile(path) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist() if not name.endswith(LEFT_OUT)}
        self.extension = extension_in(list(self.files))
        self.binary = read(self.files.pop(self.extension))


def differences(first: Wheel, second: Wheel) -> list[str]:
    """Sentences about the faults of two wheels of the same platform."""
    said = [f"{name} is in one of the two wheels only." for name in sorted(first.files.keys() ^ second.files.keys())]
    both = sorted(first.files.keys() & second.files.keys())
    said += [f"{name} is not the same in both wheels." for name in both if first.files[name] != second.files[name]]
    if (first.extension, first.binary.modules) != (second.extension, second.binary.modules):
        makes = (f"{one.extension} makes {', '.join(one.binary.modules) or 'no module'}" for one in (first, second))
        said.append(f"The extensions are not the same: {'; '.join(makes)}.")
    for wheel in (first, second):
        for fault in faults(wheel.promised, wheel.binary, OF_PYTHON):
            said.append(f"The extension in {wheel.name} {fault}.")
    if first.promised.oldest and numbers(first.promised.oldest) > numbers(second.promised.oldest):
        said.append(f"{first.name} needs a newer system than {second.name}.")
    return said


def wheels_in(directory: str) -> dict[str, pathlib.Path]:
    """The wheels of a directory by distribution, system and processor."""
    found = {}
    for path in sorted(pathlib.Path(directory).glob("*.whl")):
        promised = platform_of(path)
        found[f"{path.name.partition('-')[0]} {promised.system} {promised.processor}"] = path
    return found


def main(one_machine: str, platforms: str) -> int:
    first, second = wheels_in(one_machine), wheels_in(platforms)
    said = [] if second else [f"There is no wheel in {platforms}."]
    for name, path in second.items():
        if name not in first:
            said.append(f"There is no wheel for {name} in {one_machine}.")
            continue
        pair = Wheel(first[name]), Wheel(path)
        found = differences(*pair)
        oldest = [(one.promised.oldest or "").replace("_", ".") for one in pair]
        print(f"{name:28}{len(pair[0].files):4} files  {oldest[0]:6}{oldest[1]:6}{'DIFFERENT' if found else 'same'}")
        said += found
    for one in said:
        print(one, file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
