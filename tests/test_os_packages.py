from __future__ import annotations

import platform
import sys

import pytest

from phaselock.audio.priority import Priority
from phaselock.os_packages import COMMANDS, RTKIT, TK, install_command, tk_advice
from phaselock.tools.doctor import check_window

# ID and ID_LIKE of /etc/os-release.
DISTRIBUTIONS = {
    "Debian": ("debian", "", "sudo apt install python3-tk"),
    "Raspberry Pi OS": ("raspbian", "debian", "sudo apt install python3-tk"),
    "Mint": ("linuxmint", "ubuntu debian", "sudo apt install python3-tk"),
    "Fedora": ("fedora", "", "sudo dnf install python3-tkinter"),
    "Rocky": ("rocky", "rhel centos fedora", "sudo dnf install python3-tkinter"),
    "Arch": ("arch", "", "sudo pacman -S tk"),
    "openSUSE": ("opensuse-leap", "suse opensuse", "sudo zypper install python3-tk"),
    "Alpine": ("alpine", "", "sudo apk add python3-tkinter"),
    "another": ("nixos", "", ""),
}


def run_on(patch: pytest.MonkeyPatch, system: str, id_: str = "", like: str = "") -> None:
    """Let this process believe that it runs on this system, and that /etc/os-release says this."""

    def release() -> dict[str, str]:
        if system != "linux":
            raise OSError("there is no os-release")
        return {"ID": id_, "ID_LIKE": like} if like else {"ID": id_}

    patch.setattr(sys, "platform", system)
    patch.setattr(platform, "freedesktop_os_release", release)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_distribution_is_told_its_own_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id_, like, command = DISTRIBUTIONS[name]
    run_on(monkeypatch, "linux", id_, like)
    assert install_command(TK) == command
    assert tk_advice() == (
        f"To install Tk: {command}"
        if command
        else "Install the package of your Linux distribution that contains tkinter."
    )
    assert (command.rpartition(" ")[0] + " rtkit" if command else "the package rtkit") in Priority("normal").advice


@pytest.mark.parametrize(("system", "words"), [("win32", "tcl/tk and IDLE"), ("darwin", "brew install python-tk")])
def test_other_systems_are_not_told_packages_of_linux(system: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_on(monkeypatch, system)
    assert words in tk_advice()
    assert install_command(TK) == Priority("normal").advice == ""


def test_the_doctor_tells_the_package_of_tk(monkeypatch: pytest.MonkeyPatch) -> None:
    run_on(monkeypatch, "linux", "fedora")
    (found,) = check_window(lambda: "no tk")
    assert found.fix == "To install Tk: sudo dnf install python3-tkinter"


def test_every_package_has_a_name_in_every_family() -> None:
    assert TK.keys() == RTKIT.keys() == COMMANDS.keys()
