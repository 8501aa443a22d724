"""The installer for Windows, under wine: it installs, starts, upgrades and removes PhaseLock.

PHASELOCK_MSI names two installers, the older version first, separated as in PATH. WINEPREFIX is the prefix of wine, and
PHASELOCK_FOREIGN_PYTHON a Windows Python in it that does not belong to the installation.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.support.foreign import FOREIGN

INSTALLERS = [path for path in os.environ.get("PHASELOCK_MSI", "").split(os.pathsep) if path]
OLDER, NEWER = INSTALLERS if INSTALLERS else ("", "")
TIMEOUT_S = 120.0
ENDINGS = (".mp3", ".flac", ".wav", ".w64", ".aif", ".aiff", ".aifc", ".m3u", ".m3u8")
OK, YES, NO = "1", "6", "7"
"""The buttons of a box, by their numbers in Windows."""

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.skipif(not INSTALLERS, reason="PHASELOCK_MSI names no installers"),
]

FIND = """
import ctypes, json, sys, time
from ctypes import wintypes
user32 = ctypes.WinDLL("user32")
end = time.monotonic() + 60
def until(true, what):
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found
window = until(lambda: user32.FindWindowW(sys.argv[1], sys.argv[2]), "no window")
"""
"""Waits for a window of the class and with the title that are the first two arguments."""
PLACE = """
place = wintypes.RECT()
until(lambda: user32.GetWindowRect(window, ctypes.byref(place)) and place.right - place.left > 800, "no large window")
print(json.dumps([place.left, place.top, place.right, place.bottom]))
"""
"""Prints where the window is on the screen."""
ANSWER = """
told = ctypes.create_unicode_buffer(1000)
user32.GetDlgItemTextW(window, 0xFFFF, told, 1000)
print(json.dumps(told.value))
user32.PostMessageW(window, 0x111, int(sys.argv[3]), 0)  # WM_COMMAND
"""
"""Prints the text of a box, and presses a button of it."""


class Windows:
    """The prefix of wine: a user of Windows."""

    def __init__(self) -> None:
        self.drive = pathlib.Path(os.environ["WINEPREFIX"]) / "drive_c"
        users = [path for path in (self.drive / "users").iterdir() if path.name != "Public"]
        assert len(users) == 1, users
        self.local = users[0] / "AppData/Local"
        self.folder = self.local / "Programs/PhaseLock"
        self.settings = self.local / "phaselock/settings.json"
        self.entry = users[0] / "AppData/Roaming/Microsoft/Windows/Start Menu/Programs/PhaseLock.lnk"
        self.environment = {**os.environ, "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "winemenubuilder.exe=d"}
        del self.environment["PHASELOCK_HOME"]
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, by: Sequence[str] = ("wine",)) -> subprocess.Popen[bytes]:
        """Start a Windows program, which ends with the test."""
        process = subprocess.Popen(
            [*by, *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> tuple[bool, str]:
        """Wait for the end; whether it was a success, and the output. The pipe does not end then, because programs of
        wine that this one has started keep it open."""
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        output, end_s, ended = b"", time.monotonic() + TIMEOUT_S, False
        while not ended:
            assert time.monotonic() < end_s, (process.args, output)
            ended = process.poll() is not None
            output += process.stdout.read() or b""
            time.sleep(0 if ended else 0.02)
        return process.returncode == 0, output.decode("utf-8", "replace").replace("\r", "")

    def run(self, *command: str) -> tuple[bool, str]:
        """Whether a Windows program succeeds, and its output."""
        return self.finish(self.start(*command))

    def msiexec(self, *arguments: str) -> bool:
        return self.run("msiexec", *arguments)[0]

    def python(self, code: str, *arguments: str) -> object:
        """What this code prints as JSON."""
        good, output = self.finish(self.start("-c", code, *arguments, by=FOREIGN))
        assert good, output
        return json.loads(output)

    def registry(self, key: str) -> str:
        """The values of a key and of all keys below; empty if there is no such key."""
        good, output = self.run("reg", "query", key, "/s")
        return output if good else ""

    def context_menu(self) -> list[str]:
        keys = (rf"HKCU\Software\Classes\SystemFileAssociations\{ending}\shell\AddToPhaseLock" for ending in ENDINGS)
        return [text for key in keys if (text := self.registry(key))]

    def scheme(self) -> str:
        """What is registered for invitations."""
        return self.registry(r"HKCU\Software\Classes\phaselock")

    def versions(self) -> list[str]:
        """The versions of PhaseLock that Windows lists."""
        listed = self.registry(r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall")
        listed += self.registry(r"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall")
        entries = [entry for entry in listed.split("\n\n") if "PhaseLock" in entry]
        return [line.split()[-1] for entry in entries for line in entry.splitlines() if " DisplayVersion " in line]


@pytest.fixture
def windows() -> Iterator[Windows]:
    """Windows without PhaseLock."""
    windows = Windows()
    assert not windows.folder.exists() and not windows.versions()
    yield windows
    for installer in INSTALLERS:
        windows.msiexec("/x", installer, "/qn")
    for process in windows.started:
        process.kill()
        with process:  # closes its pipe
            pass
    shutil.rmtree(windows.settings.parent, ignore_errors=True)


def version_of(installer: str) -> str:
    return pathlib.Path(installer).stem.partition("-")[2]


def test_it_installs_and_leaves_nothing(windows: Windows) -> None:
    before = {path for path in windows.drive.rglob("*") if "Temp" not in path.parts}
    assert windows.msiexec("/i", OLDER, "/qn")
    assert windows.versions() == [version_of(OLDER)]
    good, output = windows.run("cmd", "/c", str(windows.folder / "phaselock.cmd"), "--version")
    assert good and output.startswith("phaselock ")
    assert windows.entry.is_file()
    assert len(windows.context_menu()) == len(ENDINGS)
    assert all(r'python\pythonw.exe" -m phaselock window "%1"' in text for text in windows.context_menu())
    assert "URL Protocol" in windows.scheme()
    assert r'python\pythonw.exe" -m phaselock window -- "%1"' in windows.scheme()
    assert r"Programs\PhaseLock" in windows.registry(r"HKCU\Environment")
    windows.settings.parent.mkdir()
    windows.settings.write_text("{}")

    assert windows.msiexec("/x", OLDER, "/qn")
    assert windows.settings.is_file()
    windows.settings.unlink()
    windows.settings.parent.rmdir()
    left = {path for path in windows.drive.rglob("*") if "Temp" not in path.parts} - before
    # Folders of Windows itself, which it makes for the first program of a user.
    own = {windows.local.parent / "Roaming/Microsoft/Installer", windows.drive / "windows/Installer"}
    assert left <= {windows.folder.parent, *own}
    assert windows.context_menu() == windows.versions() == [] and windows.scheme() == ""
    for key in (r"HKCU\Environment", r"HKCU\Software"):
        assert "Programs\\PhaseLock" not in windows.registry(key)


def test_an_upgrade_closes_the_window_with_a_goodbye(windows: Windows, display: str, tmp_path: pathlib.Path) -> None:
    image_grab = pytest.importorskip("PIL.ImageGrab")
    assert windows.msiexec("/i", OLDER, "/qn")
    window = windows.start("start", "/wait", "/unix", os.fspath(windows.entry))
    place = windows.python(FIND + PLACE, "TkTopLevel", "PhaseLock")
    end_s = time.monotonic() + TIMEOUT_S
    while (picture := image_grab.grab(xdisplay=display).crop(place)).getcolors(50) is not None:  # few colours
        assert time.monotonic() < end_s, "the window draws nothing"
        time.sleep(0.05)
    folder = pathlib.Path(os.environ.get("PHASELOCK_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / "installed_window.png")
    assert not windows.settings.exists()

    assert windows.msiexec("/i", NEWER, "/qn")
    windows.finish(window)
    assert "geometry" in windows.settings.read_text()  # a window that is stopped writes no settings
    assert windows.versions() == [version_of(NEWER)]
    assert windows.run("cmd", "/c", str(windows.folder / "phaselock.cmd"), "--version")[0]
    manager = windows.registry(r"HKLM\System\CurrentControlSet\Control\Session Manager")
    assert "PendingFileRenameOperations" not in manager  # nothing waits for a restart of Windows

    refused = windows.start("msiexec", "/i", OLDER, "/qb")
    assert windows.python(FIND + ANSWER, "#32770", "Install Failed", OK) == "A newer version of PhaseLock is installed."
    assert not windows.finish(refused)[0]
    assert windows.versions() == [version_of(NEWER)]


@pytest.mark.parametrize("answer", [YES, NO])
def test_a_removal_asks_for_the_settings(windows: Windows, display: str, answer: str) -> None:
    assert windows.msiexec("/i", OLDER, "/qn")
    windows.settings.parent.mkdir(exist_ok=True)
    windows.settings.write_text("{}")
    removal = windows.start("msiexec", "/x", OLDER, "/qb")
    asked = windows.python(FIND + ANSWER, "#32770", "PhaseLock", answer)
    assert str(asked).startswith("Remove the settings, the received songs and the log of PhaseLock?")
    assert windows.finish(removal)[0]
    assert not windows.folder.exists()
    assert windows.settings.exists() == (answer == NO)
