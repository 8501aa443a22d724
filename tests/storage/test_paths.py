from __future__ import annotations

import pathlib
import sys

import pytest

from phaselock.storage.paths import cache_dir


@pytest.mark.skipif(sys.platform != "linux", reason="the variable is of the XDG standard")
def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "phaselock" / "tracks"
    assert not cache_dir().exists()
