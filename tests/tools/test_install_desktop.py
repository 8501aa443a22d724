from __future__ import annotations

import configparser
import gzip
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from phaselock.cli import command_line, main
from phaselock.errors import PhaseLockError
from phaselock.tools import install_desktop
from phaselock.tools.install_desktop import DATA, ENTRY, ICON_SIZES, entry, icon_name, program, quoted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a command for Linux")


@pytest.fixture
def share(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", os.fspath(tmp_path / "share"))
    return tmp_path / "share"


@pytest.fixture
def command(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An installed command in a folder with a name that must be quoted."""
    folder = tmp_path / 'my $HOME `x` "q" 100% \\ é'
    folder.mkdir()
    script = folder / "phaselock"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [os.fspath(script), "install-desktop"])
    return script


def files(folder: pathlib.Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def exec_words(text: str) -> list[str]:
    """The words of the key Exec, read as the Desktop Entry Specification says."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    value = parser["Desktop Entry"]["Exec"].replace("\\\\", "\0").replace("\0", "\\")
    words, word, inside, escaped = [], "", False, False
    for char in value + " ":
        if escaped:
            word, escaped = word + char, False
        elif inside and char == "\\":
            escaped = True
        elif char == '"':
            inside = not inside
        elif char == " " and not inside:
            words, word = [*words, word], ""
        else:
            word += char
    return [word.replace("%%", "%") for word in words if word]


def test_installed_and_removed(
    share: pathlib.Path, command: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = share / "applications" / "other.desktop"
    other.parent.mkdir(parents=True)
    other.touch()
    for _ in range(2):
        assert main(["install-desktop"]) == 0
        assert files(share) - {"applications/mimeinfo.cache"} == {
            *install_desktop.file_names(),
            "applications/other.desktop",
        }
    out = capsys.readouterr().out
    assert os.fspath(share / ENTRY) in out and "phaselock install-desktop --remove" in out
    text = (share / ENTRY).read_text("utf-8")
    assert exec_words(text) == [os.fspath(command), "window", "%U"]
    for size in ICON_SIZES:
        data = (share / icon_name(size)).read_bytes()
        assert data.startswith(b"\x89PNG") and int.from_bytes(data[16:20], "big") == size
    manual = gzip.decompress((share / "man/man1/phaselock.1.gz").read_bytes()).decode()
    assert manual.startswith(".TH PHASELOCK 1") and "install\\-desktop" in manual
    if shutil.which("desktop-file-validate"):
        done = subprocess.run(["desktop-file-validate", share / ENTRY], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
    assert main(["install-desktop", "--remove"]) == 0
    assert files(share) - {"applications/mimeinfo.cache"} == {"applications/other.desktop"}
    capsys.readouterr()
    assert main(["install-desktop", "--remove"]) == 0
    assert capsys.readouterr().out == "PhaseLock is not in the menu of this user.\n"


@pytest.mark.skipif(not shutil.which("gio"), reason="opens a URL as a desktop does")
def test_the_desktop_opens_invitations(
    share: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "phaselock:///192.168.1.42:17404,[2001:db8::1]:17404+17402/4829134471/7-1f00ab42"
    got, command = tmp_path / "got", tmp_path / "my programs" / "phaselock"
    command.parent.mkdir()
    command.touch(0o755)
    monkeypatch.setattr(sys, "argv", [os.fspath(command), "install-desktop"])
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{got}.new"\nmv "{got}.new" "{got}"\n')
    assert main(["install-desktop"]) == 0
    if not (share / "applications" / "mimeinfo.cache").exists():
        pytest.skip("the desktop has no cache of what programs open")
    subprocess.run(["gio", "open", line], check=True)
    end_s = time.monotonic() + 30
    while not got.exists():
        assert time.monotonic() < end_s
        time.sleep(0.01)
    assert got.read_text().splitlines() == ["window", line]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_systems(
    share: pathlib.Path, system: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(PhaseLockError, match="for Linux"):
        install_desktop.run_install_desktop(False, command_line(), None)  # type: ignore[arg-type]
    assert not share.exists()


def test_a_folder_that_cannot_be_written(share: pathlib.Path, command: pathlib.Path, capsys: Any) -> None:
    share.write_text("a file")
    assert main(["install-desktop"]) == 1
    assert "Cannot write" in capsys.readouterr().err
    assert main(["install-desktop", "--remove"]) == 1


@pytest.mark.parametrize(
    "words",
    [["/usr/bin/phaselock"], ["/a b/phaselock"], ['/"`$\\/p'], ["/100%/p"], ["/é/p"], ["/p", "-m", "phaselock"]],
)
def test_the_command_is_quoted(words: Sequence[str]) -> None:
    text = entry((DATA / "phaselock.desktop").read_text("utf-8"), words)
    assert exec_words(text) == [*words, "window", "%U"]
    if words == ["/usr/bin/phaselock"]:
        assert "Exec=/usr/bin/phaselock window %U\n" in text and shlex.split(quoted(words[0])) == words


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(PhaseLockError, match="line break"):
        entry("Exec=phaselock window", ["/opt/a\nExec=evil/phaselock"])


def test_which_command_is_installed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, command: pathlib.Path
) -> None:
    monkeypatch.delenv("APPIMAGE", raising=False)
    assert program() == [os.fspath(command)]
    monkeypatch.setattr(sys, "argv", ["/somewhere/phaselock/__main__.py"])
    monkeypatch.setattr(sys, "executable", os.fspath(command.with_name("python3")))
    assert program() == [os.fspath(command)]
    command.unlink()
    assert program() == [sys.executable, "-m", "phaselock"]
    monkeypatch.setenv("APPIMAGE", "/home/ana/PhaseLock.AppImage")
    monkeypatch.setenv("APPDIR", "/tmp/another")  # another AppImage has started this program
    assert program() == [sys.executable, "-m", "phaselock"]
    monkeypatch.setenv("APPDIR", os.fspath(tmp_path))
    assert program() == ["/home/ana/PhaseLock.AppImage"]
