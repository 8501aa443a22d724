"""`phaselock install-desktop`: adds PhaseLock to the menu of a Linux desktop, for this user, after an installation with
pip. The packages for Linux install the same files for all users."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Sequence

from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError, message_of
from phaselock.language.message import Message
from phaselock.os_packages import tk_advice
from phaselock.tools.manual import page

DATA = pathlib.Path(__file__).parent.parent / "data"
ICON_SIZES = (16, 32, 48, 64, 128, 256)
ENTRY = "applications/phaselock.desktop"
METAINFO = "metainfo/com.phaselock.app.metainfo.xml"
MANUALS = "man/man1/phaselock.1.gz", "man/man1/phaselock-window.1.gz"
TIMEOUT_UPDATE_S = 20.0


def run_install_desktop(remove: bool, parser: argparse.ArgumentParser, terminal: Screen) -> int:
    """Write the files, or remove them. `parser` is that of the command line, for the manual. Return the exit status.
    PhaseLockError on other systems, or if a file cannot be written or removed."""
    if sys.platform in ("win32", "darwin"):
        raise PhaseLockError("This command is for Linux. On Windows and macOS, the installer of PhaseLock does that.")
    share = data_home()
    if remove:
        removed = [path for path in map(share.joinpath, file_names()) if _remove(path)]
        for path in removed:
            terminal.say(Message("Removed: {path}", path=path))
        if not removed:
            terminal.say(Message("PhaseLock is not in the menu of this user."))
    else:
        for name, content in contents(program(), parser).items():
            _write(share / name, content)
            terminal.say(Message("Written: {path}", path=share / name))
        terminal.say(Message("PhaseLock is in the menu now. To take it out again: phaselock install-desktop --remove"))
    _update(share)
    return 0


def data_home() -> pathlib.Path:
    """The user's folder for such files (XDG Base Directory Specification)."""
    wanted = os.environ.get("XDG_DATA_HOME", "")
    return pathlib.Path(wanted) if os.path.isabs(wanted) else pathlib.Path.home() / ".local" / "share"


def file_names() -> list[str]:
    """All files, below `data_home`."""
    return [ENTRY, METAINFO, *MANUALS, *map(icon_name, ICON_SIZES)]


def icon_name(size: int) -> str:
    """The file of the icon with this width in pixels."""
    return f"icons/hicolor/{size}x{size}/apps/phaselock.png"


def contents(command: Sequence[str], parser: argparse.ArgumentParser) -> dict[str, bytes]:
    """The content of all files; `command` starts PhaseLock."""
    try:
        from phaselock.ui.widgets.logo import icon_png
    except ImportError:
        needs = Message("The window needs {module}. Without a window: phaselock host and phaselock join.", module="Tk")
        raise PhaseLockError(Message.joined(" ", (needs, tk_advice()))) from None
    found = {
        ENTRY: entry((DATA / "phaselock.desktop").read_text("utf-8"), command).encode(),
        METAINFO: (DATA / "com.phaselock.app.metainfo.xml").read_bytes(),
    }
    manual = gzip.compress(page(parser).encode(), mtime=0)
    return found | dict.fromkeys(MANUALS, manual) | {icon_name(size): icon_png(size) for size in ICON_SIZES}


def entry(text: str, command: Sequence[str]) -> str:
    """The desktop entry with the command in place of `phaselock`. PhaseLockError if it cannot stand in an entry."""
    if any(unicodedata.category(letter) == "Cc" for word in command for letter in word):
        raise PhaseLockError("The path of PhaseLock contains a line break or another control character.")
    words = " ".join(map(quoted, command))
    lines = re.sub(r"^Exec=phaselock ", lambda _: f"Exec={words} ", text, flags=re.MULTILINE)
    return lines + f"TryExec={command[0].replace(chr(92), chr(92) * 2)}\n"


def quoted(word: str) -> str:
    """A word of the key Exec: quoted, then escaped as every string of a desktop entry (Desktop Entry Specification)."""
    if not re.fullmatch(r"[\w/.+:@,-]+", word, re.ASCII):
        word = '"' + re.sub(r'(["`$\\])', r"\\\1", word).replace("\\", "\\\\") + '"'
    return word.replace("%", "%%")


def program() -> list[str]:
    """The command that starts this PhaseLock from any folder."""
    image, mounted = os.environ.get("APPIMAGE", ""), os.environ.get("APPDIR", "")
    if image and mounted and pathlib.Path(sys.executable).is_relative_to(mounted):
        return [os.path.abspath(image)]
    beside = os.path.join(os.path.dirname(sys.executable), "phaselock")
    for script in (os.path.abspath(sys.argv[0]), beside):
        if os.path.basename(script) == "phaselock" and os.path.isfile(script) and os.access(script, os.X_OK):
            return [script]
    return [sys.executable, "-m", "phaselock"]


def _write(path: pathlib.Path, content: bytes) -> None:
    """Replace the file at once: the desktop watches these folders."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_bytes(content)
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise PhaseLockError("Cannot write {path}: {reason}", path=path, reason=message_of(error)) from None


def _remove(path: pathlib.Path) -> bool:
    """Remove the file. False if there is none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise PhaseLockError("{path} cannot be removed: {reason}.", path=path, reason=message_of(error)) from None
    return True


def _update(share: pathlib.Path) -> None:
    """Update the caches of the desktop, if it has any."""
    commands = [["update-desktop-database", os.fspath(share / "applications")]]
    icons = share / "icons" / "hicolor"
    if (icons / "icon-theme.cache").exists():
        commands.append(["gtk-update-icon-cache", "--force", "--ignore-theme-index", "--quiet", os.fspath(icons)])
    for command in commands:
        if shutil.which(command[0]):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT_UPDATE_S)
