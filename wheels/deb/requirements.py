"""Print what a wheel requires on Linux, for a version of Python and a machine. pip takes its own for the conditions.

usage: python wheels/deb/requirements.py WHEEL PYTHON MACHINE
"""

from __future__ import annotations

import sys
import zipfile
from email.parser import HeaderParser

from packaging.requirements import Requirement


def requirements(metadata: str, python: str, machine: str) -> list[str]:
    """The requirements in the text of a METADATA file whose conditions hold, without these conditions."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine,
        "extra": "",
    }
    found = [Requirement(line) for line in HeaderParser().parsestr(metadata).get_all("Requires-Dist", [])]
    return [f"{one.name}{one.specifier}" for one in found if one.marker is None or one.marker.evaluate(environment)]


if __name__ == "__main__":
    wheel, python, machine = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        print(*requirements(archive.read(name).decode(), python, machine), sep="\n")
