"""The keys of the hosts that this machine has joined, by the display names of the hosts. Everything here blocks."""

from __future__ import annotations

import json
import pathlib

from phaselock.model.names import skeleton
from phaselock.storage.files import open_regular, replace_file

MAX_FILE_BYTES = 1 << 20
MAX_HOSTS = 1000


def meet_host(path: pathlib.Path, host_name: str, host_key: bytes) -> bool:
    """Remember the key of this host. Return whether a host of this name had another key the last time. OSError if the
    file cannot be written; one that cannot be read counts as empty."""
    hosts = _read(path)
    name = skeleton(host_name)
    before = hosts.pop(name, "")
    hosts[name] = host_key.hex()
    if before != hosts[name]:
        path.parent.mkdir(parents=True, exist_ok=True)
        latest = dict(list(hosts.items())[-MAX_HOSTS:])
        replace_file(path, json.dumps(latest).encode())
    return before not in ("", hosts[name])


def _read(path: pathlib.Path) -> dict[str, str]:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
        hosts = json.loads(data) if len(data) <= MAX_FILE_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(hosts, dict):
        return {}
    return {name: key for name, key in hosts.items() if isinstance(key, str)}
