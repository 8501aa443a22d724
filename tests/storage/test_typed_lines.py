from __future__ import annotations

import os
import pathlib
import sys

import pytest

from phaselock.storage import typed_lines
from phaselock.storage.typed_lines import TypedLines


def test_lines_are_kept_for_the_next_session(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed_lines, "MAX_LINES", 3)
    path = tmp_path / "data" / "typed_lines"
    lines = TypedLines(path)
    assert lines.load() == []
    for line in ("one", "two\nlines", "drei é", "four"):
        lines.keep(line)
    assert TypedLines(path).load() == ["two lines", "drei é", "four"] == path.read_text("utf-8").splitlines()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


def test_codes_and_messages_are_not_kept(tmp_path: pathlib.Path) -> None:
    lines = TypedLines(tmp_path / "typed_lines")
    for line in ("code secret", "Say between us", "code", "play"):
        lines.keep(line)
    assert lines.load() == ["code", "play"]


def test_a_file_that_cannot_be_used_is_left_alone(tmp_path: pathlib.Path) -> None:
    lines = TypedLines(tmp_path)
    lines.keep("one")
    assert lines.load() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "typed_lines")
    lines = TypedLines(tmp_path / "typed_lines")
    lines.keep("one")
    assert lines.load() == []
