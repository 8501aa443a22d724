import pathlib
import sys

import pytest

from phaselock.app import show_file


def test_each_platform_has_its_command() -> None:
    path = pathlib.PurePosixPath("/music/a song.mp3")
    assert show_file.command(path, "linux") == ["xdg-open", "/music"]  # type: ignore[arg-type]
    assert show_file.command(path, "darwin") == ["open", "-R", "/music/a song.mp3"]  # type: ignore[arg-type]
    windows = pathlib.PureWindowsPath("C:\\My music\\a.mp3")
    assert show_file.command(windows, "win32") == 'explorer /select,"C:\\My music\\a.mp3"'  # type: ignore[arg-type]


def test_a_missing_file_manager_is_no_error() -> None:
    show_file._run(["/none/such/program"])


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of POSIX")
def test_the_window_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(show_file, "command", lambda path, platform: ["sh", "-c", f'echo "{path}" > "{log}"'])
    started = []
    real = show_file.threading.Thread

    def start(**options: object) -> object:
        started.append(real(**options))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(show_file.threading, "Thread", start)
    show_file.show_file(tmp_path / "a.mp3")
    started[0].join()
    assert started[0].daemon and log.read_text().strip() == str(tmp_path / "a.mp3")
