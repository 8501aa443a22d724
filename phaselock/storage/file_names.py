"""Names of files in texts of other programs: bytes in an unknown encoding, and file URLs."""

from __future__ import annotations

import contextlib
import locale
import os
import re
import sys

_ANSI = "mbcs" if sys.platform == "win32" else locale.getencoding()
"""The usual encoding of old texts: on Windows that of the ANSI code page."""
_DRIVE = re.compile(r"/?([a-z])[:|]/", re.IGNORECASE)
"""The beginning of a path with a drive, as file URLs have it."""


def spellings(data: bytes) -> list[str]:
    """The texts that these bytes may mean, at least one, the most likely first. Text in another encoding is rarely
    valid UTF-8."""
    with contextlib.suppress(UnicodeDecodeError):
        return [data.decode()]
    found = []
    if sys.platform != "win32":
        found.append(os.fsdecode(data))  # file names are bytes on this system
    # cp1252 has typographic characters where latin-1 has control characters. latin-1 fits all bytes.
    for encoding in (_ANSI, "cp1252", "latin-1"):
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            found.append(data.decode(encoding))
    return list(dict.fromkeys(found))


def is_file_url(text: str) -> bool:
    """Is this the URL of a file?"""
    return text[:5].lower() == "file:" and text[5:6] in ("/", "\\")


def url_paths(url: str) -> list[str]:
    """The paths that a file URL may mean, the most likely first; none if the file is on another machine. Escapes of a
    URL are bytes in any encoding."""
    from urllib.parse import unquote_to_bytes  # imported late: it loads many modules

    rest = url[5:].replace("\\", "/")
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if re.fullmatch("[a-z][:|]", host, re.IGNORECASE):  # file://D:/Music
        host, rest = "", f"/{host}{rest}"
    if host.lower() in ("", "localhost", "127.0.0.1"):
        server = ""
    elif os.sep == "\\":
        server = f"//{host}"
    else:
        return []
    paths = [server + path for path in spellings(unquote_to_bytes(rest.encode("utf-8", "surrogateescape")))]
    return [_DRIVE.sub(r"\1:/", path, count=1) if os.sep == "\\" else path for path in paths]
