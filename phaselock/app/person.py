"""The name of the person at this computer, for those who have not chosen one."""

from __future__ import annotations

import getpass
import socket

from phaselock.model.names import person_name

_NOBODY = frozenset({"admin", "administrator", "debian", "guest", "pi", "root", "ubuntu", "user"})
"""Login names that tell nothing about a person."""


def suggested_name() -> str:
    """The login name with a capital letter; if it tells nothing, the name of the computer. Never empty."""
    try:
        login = person_name(getpass.getuser())
    except (ImportError, KeyError, OSError):  # Python on Windows without the variable; a user without an entry
        login = ""
    if login and login.lower() not in _NOBODY:
        return login[0].upper() + login[1:]
    return person_name(socket.gethostname().partition(".")[0]) or "PhaseLock"
