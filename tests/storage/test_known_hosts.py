from __future__ import annotations

import pathlib

import pytest

from phaselock.storage.known_hosts import meet_host

KEY, OTHER = bytes(32), bytes(range(32))


def test_a_host_with_another_key_than_the_last_time_is_noticed_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data" / "known_hosts.json"
    met = [meet_host(path, name, key) for name, key in (("Ana", KEY), ("Ana", KEY), ("Ben", OTHER), ("ANA", OTHER))]
    assert met == [False, False, False, True]
    assert not meet_host(path, "Ana", OTHER)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"ana": 5}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_counts_as_empty(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "known_hosts.json"
    path.write_bytes(content)
    assert not meet_host(path, "Ana", KEY)
    assert meet_host(path, "Ana", OTHER)


def test_the_hosts_met_last_are_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.storage.known_hosts.MAX_HOSTS", 3)
    path = tmp_path / "known_hosts.json"
    for name in ("Ana", "Ben", "Cleo", "Ana", "Dora", "Ana"):
        meet_host(path, name, KEY)
    assert [meet_host(path, name, OTHER) for name in ("Ben", "Cleo")] == [False, False]
    assert meet_host(path, "Ana", OTHER)
