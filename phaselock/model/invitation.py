"""Where a session is and its code, as one text that people copy and cameras read.

On the network of the host, `phaselock://192.168.1.42:17401/482913`. For friends elsewhere, all places of the host, a
code of its own, the version of the protocol and the beginning of the session's id:

    phaselock:///192.168.1.42:17404,45.32.1.1:17401+17402/4829134471/7-1f00ab42

The code is a part of the path, so that no shell needs quotes around the text (PowerShell does, if there are several
places). So are several places: browsers refuse a URL with a list of them in place of the host
(https://url.spec.whatwg.org), and a click on it would do nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Sequence

from phaselock.frozen import frozen
from phaselock.language.message import N_
from phaselock.model.address import DEFAULT_PORT, leads_here, parse_address
from phaselock.model.code import normal_code

MAX_LINES = 8
"""Of an invitation that a mail has broken."""
MAX_CANDIDATES = 8
SESSION_BYTES = 4
"""How many bytes of the session's id an invitation tells."""
_SCHEME = "phaselock://"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""The bytes that need no escape in a path (RFC 3986)."""
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_CLOCK_PORT = re.compile(r"(.*)\+([0-9]{1,5})")
_ABOUT = re.compile(rf"([0-9]{{1,9}})-([0-9a-f]{{{2 * SESSION_BYTES}}})", re.IGNORECASE)
_NODE = re.compile(r"[0-9A-Za-z_-]{1,128}(@[0-9A-Za-z.:-]{1,128})?")
_NOT_WHOLE = N_("This invitation is not whole. Copy all of it.")


class Nat(enum.StrEnum):
    """What is between a machine and the internet."""

    OPEN = "open"
    """A home router that lets friends in, at a public address."""
    HOME = "home"
    """A home router that lets no friend in by itself."""
    DOUBLE = "double"
    """A router behind another router."""
    CARRIER = "carrier"
    """The provider shares one public address among its customers."""
    PUBLIC = "public"
    """Nothing: the machine has a public address of its own."""
    UNKNOWN = "unknown"


class InvitationState(enum.StrEnum):
    """The state of the invitation of a host."""

    CLOSED = "closed"
    """There is none, and the outside port is closed."""
    OPENING = "opening"
    """The places of the host are not known yet."""
    OPEN = "open"
    WITHDRAWN = "withdrawn"
    """Its code is void. The outside port stays open for those who came in by it."""


@frozen
class Candidate:
    """A place where a host may be reached."""

    host: str
    """An address, or a name."""
    port: int
    """TCP."""
    clock_port: int = 0
    """UDP, at the same host. 0: the one that the host tells after joining."""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


@frozen
class Invitation:
    """What the user of another machine needs to join."""

    candidates: tuple[Candidate, ...]
    """At least one. All of them lead to the same host."""
    code: str = dataclasses.field(default="", repr=False)
    """In its normal form; empty: not told."""
    version: int = 0
    """Of the protocol; 0: not told."""
    session: bytes = b""
    """The first SESSION_BYTES of the session's id; empty: not told."""
    node: str = ""
    """How the host's end of a bridge is found: see model/relay.py. Empty: it has none."""

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the first candidate."""
        return self.candidates[0].place

    @property
    def places(self) -> list[tuple[str, int]]:
        """Host and port of all candidates."""
        return [one.place for one in self.candidates]

    @property
    def clock_ports(self) -> dict[tuple[str, int], int]:
        """The UDP port of each candidate that tells one."""
        return {one.place: one.clock_port for one in self.candidates if one.clock_port}


def find_invitation(text: str) -> str:
    """The first invitation in a text, such as a message that was copied whole; empty: there is none. One that a mail
    has broken into lines is put together again."""
    found = re.search(re.escape(_SCHEME) + r"\S+", text, re.IGNORECASE)
    if found is None:
        return ""
    first = whole = found[0]
    for line in [*re.split(r"[ \t>]*\r?\n[ \t>]*", text[found.end() :])[1:MAX_LINES], ""]:
        if _is_whole(whole):
            return whole
        whole += (line.split() or [""])[0]
    return first


def invitation_text(address: str, code: str) -> str:
    """The text for a session at an address that `parse_address` takes. `code` is in its normal form; empty: none."""
    path = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in code.encode("utf-8", "replace"))
    return f"{_SCHEME}{address}/{path}" if code else f"{_SCHEME}{address}"


def invitation_line(invitation: Invitation) -> str:
    """The text for friends elsewhere. All fields are told, except a `node` that is empty."""
    addresses = ",".join(map(_candidate_text, invitation.candidates))
    line = f"{invitation_text(f'/{addresses}', invitation.code)}/{invitation.version}-{invitation.session.hex()}"
    return f"{line}/{invitation.node}" if invitation.node else line


def is_invitation(text: str) -> bool:
    """The text has the form of an invitation, and is no plain address."""
    return text.strip()[: len(_SCHEME)].casefold() == _SCHEME


def parse_invitation(text: str) -> Invitation:
    """What an invitation or a plain address says. Where there are other places, one on this machine itself is left out:
    no friend is there, but other programs are. ValueError, whose text is a message id for users."""
    text = text.strip()
    if not is_invitation(text):
        host, port = parse_address(text)
        return Invitation((Candidate(host, port),))
    addresses, _, path = text[len(_SCHEME) :].removeprefix("/").partition("/")
    path = re.split("[?#]", path)[0].rstrip("/")  # without what a browser or a messenger has added
    told_code, *about = path.split("/")
    told = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), told_code.encode("utf-8", "replace")).decode(
        "utf-8", "replace"
    )
    version, session, node = _parse_about(about)
    texts = addresses.split(",")
    if len(texts) > MAX_CANDIDATES or (len(texts) > 1 and not about):
        raise ValueError(_NOT_WHOLE)
    told_places = tuple(map(parse_candidate, texts))
    candidates = tuple(one for one in told_places if not (about and leads_here(one.host))) or told_places
    code = normal_code(told)
    if (told or about) and not code:
        raise ValueError(N_("The code in this invitation is not whole. Copy all of it."))
    return Invitation(candidates, code, version, session, node)


def _is_whole(text: str) -> bool:
    try:
        parse_invitation(text)
    except ValueError:
        return False
    return True


def parse_candidate(text: str, default_port: int = DEFAULT_PORT) -> Candidate:
    """A candidate as an invitation tells it: an address, and behind a plus sign its UDP port. ValueError, whose text is
    a message id for users."""
    found = _CLOCK_PORT.fullmatch(text)
    if found is None:
        return Candidate(*parse_address(text, default_port))
    clock_port = int(found[2])
    if not 1 <= clock_port <= 65535:
        raise ValueError(N_("The port is a number from 1 to 65535."))
    return Candidate(*parse_address(found[1], default_port), clock_port)


def _candidate_text(candidate: Candidate) -> str:
    host = f"[{candidate.host}]" if ":" in candidate.host else candidate.host
    if candidate.clock_port:
        return f"{host}:{candidate.port}+{candidate.clock_port}"
    return host if candidate.port == DEFAULT_PORT else f"{host}:{candidate.port}"


def _parse_about(parts: Sequence[str]) -> tuple[int, bytes, str]:
    """Version, session and node of the parts behind the code."""
    if not parts:
        return 0, b"", ""
    about, node = _ABOUT.fullmatch(parts[0]), "".join(parts[1:2])
    if about is None or len(parts) > 2 or (node and not _NODE.fullmatch(node)):
        raise ValueError(_NOT_WHOLE)
    return int(about[1]), bytes.fromhex(about[2]), node
