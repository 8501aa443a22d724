"""The key of a host: made once, kept, and replaced only where it is damaged."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from phaselock.app import host_key
from phaselock.app.host_key import host_identity
from phaselock.errors import PhaseLockError


def test_a_key_is_made_once_and_only_its_user_may_read_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data" / "host_key.pem"
    first = host_identity(path)
    assert host_identity(path).host_key == first.host_key and len(first.host_key) == 32
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_a_damaged_key_is_replaced(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "host_key.pem"
    path.write_bytes(content)
    first = host_identity(path)
    assert host_identity(path).host_key == first.host_key


def test_where_no_file_can_be_written_the_key_is_for_this_session(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").write_text("a file in the place of the folder")
    path = tmp_path / "data" / "host_key.pem"
    assert host_identity(path).host_key != host_identity(path).host_key


def test_without_another_process_the_key_is_made_in_this_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_python(*_: str) -> list[str]:
        raise PhaseLockError("This installation of PhaseLock cannot start another Python.")

    monkeypatch.setattr(host_key, "python_command", no_python)
    assert len(host_identity(tmp_path / "key.pem").host_key) == 32


def test_a_missing_package_is_told_in_words(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        host_key.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], returncode=1, stdout=b"")
    )
    monkeypatch.setitem(sys.modules, "phaselock.network.certificate", None)
    with pytest.raises(PhaseLockError, match="The package cryptography is missing or damaged"):
        host_identity(tmp_path / "key.pem")
