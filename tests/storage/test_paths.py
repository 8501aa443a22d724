from __future__ import annotations

import pathlib
import sys

import pytest

from phaselock.storage.paths import cache_dir, log_path, settings_path


@pytest.mark.skipif(sys.platform != "linux", reason="the variables are of the XDG standard")
@pytest.mark.parametrize("home", [None, ""])
def test_files_are_in_the_users_own_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, home: str | None
) -> None:
    monkeypatch.delenv("PHASELOCK_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("PHASELOCK_HOME", home)
    for kind in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    assert cache_dir() == tmp_path / "CACHE" / "phaselock" / "tracks"
    assert settings_path() == tmp_path / "CONFIG" / "phaselock" / "settings.json"
    assert log_path() == tmp_path / "DATA" / "phaselock" / "phaselock.log"
    assert list(tmp_path.iterdir()) == []


def test_one_folder_can_hold_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "cache" / "tracks"
    assert settings_path() == tmp_path / "config" / "settings.json"
    assert log_path() == tmp_path / "data" / "phaselock.log"
    assert list(tmp_path.iterdir()) == []
