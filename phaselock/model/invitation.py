"""Where a session is and its code, as one text that people copy and cameras read.

`phaselock://192.168.1.42:17401/482913`: the code is the path, so that no shell needs quotes around the text.
"""

from __future__ import annotations

import dataclasses
import re

from phaselock.language.message import N_
from phaselock.model.address import parse_address
from phaselock.model.code import normal_code

_SCHEME = "phaselock://"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""The bytes that need no escape in a path (RFC 3986)."""
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclasses.dataclass(frozen=True, slots=True)
class Invitation:
    """What the user of another machine needs to join."""

    host: str
    port: int
    code: str = ""
    """In its normal form; empty: not told."""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


def invitation_text(address: str, code: str) -> str:
    """The text for a session at an address that `parse_address` takes. `code` is in its normal form; empty: none."""
    path = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in code.encode("utf-8", "replace"))
    return f"{_SCHEME}{address}/{path}" if code else f"{_SCHEME}{address}"


def parse_invitation(text: str) -> Invitation:
    """What an invitation or a plain address says. ValueError, whose text is a message id for users."""
    text = text.strip()
    if text[: len(_SCHEME)].casefold() != _SCHEME:
        return Invitation(*parse_address(text))
    address, _, path = text[len(_SCHEME) :].partition("/")
    path = re.split("[?#]", path)[0].rstrip("/")  # without what a browser or a messenger has added
    host, port = parse_address(address)
    told = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), path.encode("utf-8", "replace")).decode(
        "utf-8", "replace"
    )
    code = normal_code(told)
    if told and not code:
        raise ValueError(N_("The code in this invitation is not whole. Copy all of it."))
    return Invitation(host, port, code)
