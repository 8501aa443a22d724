"""Packages of the operating system that PhaseLock uses, and how to install them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping

from phaselock.language.message import Message

COMMANDS = {
    "debian": "sudo apt install",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "suse": "sudo zypper install",
    "alpine": "sudo apk add",
}
"""By family of Linux distributions: a word of ID or ID_LIKE in /etc/os-release."""

RTKIT = dict.fromkeys(COMMANDS, "rtkit")
TK = {
    "debian": "python3-tk",
    "fedora": "python3-tkinter",
    "arch": "tk",
    "suse": "python3-tk",
    "alpine": "python3-tkinter",
}


def install_command(packages: Mapping[str, str]) -> str:
    """The command that installs a package on this Linux distribution; empty if it is of no known family. `packages` has
    the name of the package in each family."""
    try:
        release = platform.freedesktop_os_release()
    except (OSError, ValueError):
        return ""
    for family in (release["ID"], *release.get("ID_LIKE", "").split()):
        if family in packages:
            return f"{COMMANDS[family]} {packages[family]}"
    return ""


def tk_advice() -> Message:
    """How to install Tk for Python on this system."""
    if sys.platform == "win32":
        return Message('Run the installer of Python again, choose Modify and tick "tcl/tk and IDLE".')
    if sys.platform == "darwin":
        return Message("With Homebrew: brew install python-tk; otherwise install Python from python.org.")
    if command := install_command(TK):
        return Message("To install Tk: {command}", command=command)
    return Message("Install the package of your Linux distribution that contains tkinter.")
