"""Unpack wheels for several versions of Python into one folder, from which each of these versions can import.

usage: python wheels/deb/merge.py FOLDER WHEEL...

An extension module has the version of Python in its name, and the other files of a project are the same in all of its
wheels. Exceptions: *.dist-info, and extensions for the stable ABI. Of these, the one for the oldest Python is kept,
because every newer Python can load it. The manuals of a project, which no import needs, are left out.
"""

from __future__ import annotations

import pathlib
import sys
import zipfile
from collections.abc import Iterable


def merge(folder: pathlib.Path, wheels: Iterable[pathlib.Path]) -> None:
    """Unpack the wheels. SystemExit if they cannot share a folder."""
    versions: dict[str, str] = {}
    for wheel in sorted(wheels):  # cp311 before cp312
        project, version = wheel.name.split("-")[:2]
        if versions.setdefault(project, version) != version:
            sys.exit(f"{project} {versions[project]} and {version} cannot share a folder: pin one version.")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                top = name.partition("/")[0]
                path, data = folder / name, archive.read(name)
                if name.startswith(f"{top}/data/share/man/") and top.endswith(".data"):
                    continue
                if top.endswith(".data"):
                    sys.exit(f"{wheel.name}: {name} does not belong into this folder.")
                if name.endswith("/") or (path.exists() and (top.endswith(".dist-info") or ".abi3." in path.name)):
                    continue
                if path.exists() and path.read_bytes() != data:
                    sys.exit(f"{wheel.name}: {name} differs from the file for an older Python.")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


if __name__ == "__main__":
    merge(pathlib.Path(sys.argv[1]), map(pathlib.Path, sys.argv[2:]))
