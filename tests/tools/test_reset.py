"""What `phaselock reset` removes, and how it asks."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import types
from collections.abc import Callable

import pytest

from phaselock import cli
from phaselock.console import message_box
from phaselock.storage.cache import FileCache
from phaselock.storage.inbox import Inbox
from phaselock.storage.paths import cache_dir, inbox_dir, log_path, own_folders, settings_path
from phaselock.storage.settings import SettingsStore
from phaselock.tools import reset


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with all files of PhaseLock, and one of the user."""
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    settings = SettingsStore(settings_path())
    settings.update(volume=0.5)
    settings.close()
    log_path().parent.mkdir()
    log_path().write_text("a line")
    song = tmp_path / "song.mp3"
    song.write_bytes(b"sound")
    FileCache(cache_dir()).adopt(song, 100)
    return tmp_path


def answering(answer: str | None) -> Callable[[str], str]:
    def read(question: str) -> str:
        assert str(cache_dir().parent) in question and question.endswith("[y/N] ")
        if answer is None:
            raise EOFError
        return answer

    return read


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset, "has_terminal", lambda: True)


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_of_phaselock_goes_and_the_users_files_stay(
    home: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(home) == ["cache", "config", "data", "song.mp3"]
    assert cli.main(["reset", "--yes"]) == 0
    assert names(home) == ["song.mp3"]
    assert capsys.readouterr().out.splitlines() == [f"Removed: {home / kind}" for kind in ("cache", "config", "data")]
    assert cli.main(["reset", "--yes"]) == 0
    assert capsys.readouterr().out == "There are no settings, no received songs and no log.\n"


@pytest.mark.parametrize(
    ("answer", "removed"), [("y", True), ("Yes ", True), ("", False), ("no", False), (None, False)]
)
def test_a_terminal_is_asked(
    home: pathlib.Path, terminal: None, monkeypatch: pytest.MonkeyPatch, answer: str | None, removed: bool
) -> None:
    monkeypatch.setattr("builtins.input", answering(answer))
    assert cli.main(["reset"]) == 0
    assert (names(home) == ["song.mp3"]) == removed


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("stdin", [None, types.SimpleNamespace(isatty=lambda: True)], ids=["none", "NUL of Windows"])
def test_without_a_terminal_a_box_asks(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, answer: bool, stdin: object
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(message_box, "ask", lambda text: asked.append(text) or answer)
    assert cli.main(["reset"]) == 0
    assert (names(home) == ["song.mp3"]) == answer
    assert [str(home / "config") in text for text in asked] == [True]


@pytest.mark.skipif(sys.platform == "win32", reason="a box asks there")
def test_nothing_goes_if_nobody_can_answer(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["reset"]) == 1
    assert "phaselock reset --yes" in capsys.readouterr().err
    assert names(home) == ["cache", "config", "data", "song.mp3"]


def test_of_a_folder_that_is_kept_elsewhere_only_the_link_goes(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = home / "dotfiles"
    (home / "config").rename(elsewhere)
    try:
        (home / "config").symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links")
    assert cli.main(["reset", "--yes"]) == 0
    assert names(home) == ["dotfiles", "song.mp3"] and (elsewhere / "settings.json").exists()


def test_nothing_goes_while_a_window_is_open(home: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(Inbox(inbox_dir())) as window:
        assert window.receive()
        assert cli.main(["reset", "--yes"]) == 1
    assert capsys.readouterr().err == "The window of PhaseLock is open. Close it first.\n"
    assert names(home) == ["cache", "config", "data", "song.mp3"]
    assert cli.main(["reset", "--yes"]) == 0
    assert names(home) == ["song.mp3"]


def test_a_folder_that_cannot_be_removed_is_an_error(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: pathlib.Path) -> None:
        raise PermissionError(13, "Permission denied", str(log_path()))

    monkeypatch.setattr(reset.shutil, "rmtree", refuse)
    assert cli.main(["reset", "--yes"]) == 1
    assert f"{log_path()} cannot be removed: Permission denied." in capsys.readouterr().err


def test_a_folder_inside_of_another_one_is_named_once(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """As on Windows, where the cache is inside of the folder with settings and log."""
    import platformdirs

    monkeypatch.delenv("PHASELOCK_HOME")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name, appauthor: str(tmp_path / name / "Cache"))
    for kind in ("user_config_dir", "user_data_dir"):
        monkeypatch.setattr(platformdirs, kind, lambda name, appauthor: str(tmp_path / name))
    assert own_folders() == [tmp_path / "phaselock"]
