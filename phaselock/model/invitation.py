"""Where a session is and its code, as one text that people copy and cameras read.

`phaselock://192.168.1.42:17401/482913`: the code is the path, so that no shell needs quotes around the text.
"""

from __future__ import annotations

import dataclasses
import urllib.parse

from phaselock.language.message import N_
from phaselock.model.address import parse_address
from phaselock.model.code import normal_code

_SCHEME = "phaselock://"


@dataclasses.dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody needs to join."""

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
    return f"{_SCHEME}{address}/{urllib.parse.quote(code, safe='')}" if code else f"{_SCHEME}{address}"


def parse_invitation(text: str) -> Invitation:
    """What an invitation or a plain address says. ValueError, whose text is a message id for users."""
    text = text.strip()
    if text[: len(_SCHEME)].casefold() != _SCHEME:
        return Invitation(*parse_address(text))
    address, _, path = text[len(_SCHEME) :].partition("/")
    host, port = parse_address(address)
    told = urllib.parse.unquote(path)
    code = normal_code(told)
    if told and not code:
        raise ValueError(N_("The code in this invitation is not whole. Copy all of it."))
    return Invitation(host, port, code)
