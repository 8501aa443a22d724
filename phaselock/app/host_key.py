"""The key of this machine as a host. It is made once and kept, so that peers recognise the machine."""

from __future__ import annotations

import logging
import pathlib
import subprocess
import sys
import tempfile

from phaselock.errors import PhaseLockError
from phaselock.network.secure import HostIdentity
from phaselock.python_process import environment, python_command
from phaselock.storage.files import replace_file

TIMEOUT_S = 60.0
_CODE = "from phaselock.network.certificate import main; main()"

_log = logging.getLogger("phaselock.app.host_key")


def host_identity(path: pathlib.Path) -> HostIdentity:
    """The identity in the file `path`; a new one is written there if it has none. Blocks for some 100 ms. If the file
    cannot be written, the identity is for this session only. PhaseLockError if none can be made."""
    try:
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            _log.warning("others could read the key in %s; now they cannot", path)
            path.chmod(0o600)
        return HostIdentity.load(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        _log.warning("the key in %s cannot be used, a new one is made: %s", path, error)
    pem = _new_pem()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, pem)
        return HostIdentity.load(path)
    except OSError as error:
        _log.warning("the key cannot be kept in %s: %s", path, error)
    with tempfile.TemporaryDirectory() as folder:
        draft = pathlib.Path(folder, "key.pem")
        replace_file(draft, pem)
        return HostIdentity.load(draft)


def _new_pem() -> bytes:
    """A key and its certificate, made by another process if one can be started: see network/certificate.py."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    try:
        done = subprocess.run(
            python_command("-P", "-c", _CODE),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            creationflags=flags,
        )
        if done.returncode == 0:
            return done.stdout
    except (OSError, PhaseLockError, subprocess.TimeoutExpired) as error:
        _log.info("the key is made in this process: %s", error)
    try:
        from phaselock.network.certificate import new_key_and_certificate
    except ImportError as error:
        raise PhaseLockError("The package cryptography is missing or damaged: {reason}.", reason=str(error)) from None
    return new_key_and_certificate()
