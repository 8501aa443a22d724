"""Which language is chosen, and that the process speaks it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import types

import pytest

from phaselock.language import catalogue


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de_AT"}, "de"),
        ({"LANG": "de"}, "de"),
        ({"LANG": "de-CH"}, "de"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "de_DE.UTF-8"}, "de"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:de:en"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "en_GB:de"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": ""}, "de"),
        ({"LANG": "de_DE.UTF-8", "PHASELOCK_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "PHASELOCK_LANG": "de"}, "de"),
        ({"LANG": "de_DE.UTF-8", "PHASELOCK_LANG": "../../etc"}, "en"),
    ],
)
def test_the_environment_chooses(environ: dict[str, str], code: str) -> None:
    assert catalogue.chosen(environ) == code


def on(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "sys", types.SimpleNamespace(platform=platform))


def test_english_if_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux", monkeypatch)
    assert catalogue.chosen({}) == "en"


@pytest.mark.parametrize(
    ("number", "code"),
    [(0x0407, "de"), (0x0807, "de"), (0x0C07, "de"), (0x0409, "en"), (0x0809, "en"), (0x040C, "en"), (0x1000, "en")],
)
def test_on_windows_the_system_names_it_unless_a_variable_does(
    number: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel32 = types.SimpleNamespace(GetUserDefaultUILanguage=lambda: number)
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel32), raising=False)
    on("win32", monkeypatch)
    assert catalogue.chosen({}) == code
    assert catalogue.chosen({"PHASELOCK_LANG": "de"}) == "de"
    assert catalogue.chosen({"LANG": "en_US.UTF-8"}) == "en"


@pytest.mark.parametrize(("code", "text"), [("de", "Verwendung: phaselock [-h]"), ("en", "usage: phaselock [-h]")])
def test_the_command_line_speaks_it_and_programs_are_told_english(code: str, text: str) -> None:
    surroundings = os.environ | {"PHASELOCK_LANG": code, "PYTHONUTF8": "1"}
    told = subprocess.run(
        [sys.executable, "-m", "phaselock", "--help"],
        env=surroundings,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert told.stdout.startswith(text)
    refused = subprocess.run(
        [sys.executable, "-m", "phaselock", "host", "--json", "no such.mp3"],
        env=surroundings,
        capture_output=True,
        encoding="utf-8",
    )
    assert '"message": "There is no file no such.mp3."' in refused.stdout
    assert ("Es gibt" in refused.stderr) == (code == "de")


def test_help_without_umlauts_on_a_terminal_that_has_none() -> None:
    surroundings = os.environ | {"PHASELOCK_LANG": "de", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "phaselock", "--help"], env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "das Fenster ?ffnen" in done.stdout
