"""A program without a console: nothing that it writes raises, and an error becomes visible."""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from phaselock import __main__
from phaselock.console import message_box
from phaselock.console.message_box import MAX_TEXT

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of the boxes."""
    texts: list[str] = []
    monkeypatch.setattr(message_box, "show_message", texts.append)
    return texts


def without_console(main: Callable[[], int]) -> int:
    """The result of `main` in a process without standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        return main()


def says(text: str, status: int) -> Callable[[], int]:
    def main() -> int:
        print(text, file=sys.stderr)
        return status

    return main


def test_what_a_failed_program_has_said_is_shown(shown: list[str]) -> None:
    assert without_console(lambda: message_box.run(says("There is no screen.", 1))) == 1
    assert shown == ["There is no screen."]


def test_warnings_of_a_good_program_are_not_shown(shown: list[str]) -> None:
    assert without_console(lambda: message_box.run(says("a warning of a library", 0))) == 0
    assert shown == []


def test_a_failure_without_words_shows_nothing(shown: list[str]) -> None:
    assert without_console(lambda: message_box.run(lambda: 1)) == 1
    assert shown == []


def test_an_exception_is_shown_as_a_traceback(shown: list[str]) -> None:
    def main() -> int:
        raise ValueError("nobody expected this")

    assert without_console(lambda: message_box.run(main)) == 1
    (text,) = shown
    assert text.startswith("Traceback") and text.endswith("ValueError: nobody expected this")


def test_a_long_text_is_cut_at_its_beginning(shown: list[str]) -> None:
    without_console(lambda: message_box.run(says("first" + "x" * MAX_TEXT + "last", 1)))
    (text,) = shown
    assert len(text) <= MAX_TEXT and text.endswith("last")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--backend", "tape"], "invalid choice"), (["--dance"], "phaselock window --help"), (["--help"], None)],
)
def test_wrong_arguments_of_the_window_are_shown(
    arguments: list[str], words: str | None, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["phaselock-window", *arguments])
    with pytest.raises(SystemExit) as caught:
        without_console(__main__.window)
    assert caught.value.code == (2 if words else 0)
    assert [words in text for text in shown if words] == ([True] if words else [])


def test_a_window_without_tk_says_so(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    monkeypatch.setattr(sys, "argv", ["phaselock-window"])
    assert without_console(__main__.window) == 1
    (text,) = shown
    assert "The window needs Tk" in text


def test_with_a_console_errors_stay_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_box, "show_message", lambda text: pytest.fail("a box"))
    assert message_box.run(says("There is no screen.", 1)) == 1
    assert capsys.readouterr().err == "There is no screen.\n"


def test_on_windows_the_box_is_one_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes: list[tuple[object, ...]] = []
    user32 = types.SimpleNamespace(MessageBoxW=lambda *arguments: boxes.append(arguments))
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(user32=user32), raising=False)
    monkeypatch.setattr(message_box, "sys", types.SimpleNamespace(platform="win32"))
    message_box.show_message("There is no screen.")
    assert boxes == [(None, "There is no screen.", "PhaseLock", 0x10)]


@pytest.mark.parametrize(("button", "answer"), [(6, True), (7, False)])  # IDYES, IDNO
def test_on_windows_a_question_is_one_of_the_system(monkeypatch: pytest.MonkeyPatch, button: int, answer: bool) -> None:
    boxes: list[tuple[object, ...]] = []
    user32 = types.SimpleNamespace(MessageBoxW=lambda *arguments: boxes.append(arguments) or button)
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(user32=user32), raising=False)
    monkeypatch.setattr(message_box, "sys", types.SimpleNamespace(platform="win32"))
    assert message_box.ask("Really?") is answer
    assert boxes == [(None, "Really?", "PhaseLock", 0x10124)]


@pytest.mark.parametrize("arguments", [["log"], ["--version"], ["sessions", "--timeout", "0", "--json"]], ids=" ".join)
def test_a_command_without_a_console_ends_as_usual(arguments: list[str]) -> None:
    code = (
        "import sys, threading\n"
        "errors = sys.stderr\n"
        "threading.excepthook = lambda args: print(args.exc_value, file=errors)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        f"sys.argv = {['phaselock', *arguments]!r}\n"
        "from phaselock import __main__\n"
        "sys.exit(__main__.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
