"""Texts from other computers and from files, reduced to strings that are safe to show, to log and to put in JSON."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator

# The protocol limits the bytes, in UTF-8. The characters are limited for the display.
PERSON_CHARS = 64
PERSON_BYTES = 128
FILE_CHARS = 200
FILE_BYTES = 255
TITLE_CHARS = TITLE_BYTES = 200
WHOLE_TITLE_CHARS = 1000
WHOLE_TITLE_BYTES = 4000
SENTENCE_CHARS = 300
SENTENCE_BYTES = 600
CHAT_CHARS = 500
CHAT_BYTES = 2000

# Control characters, invisible format characters (also those that change the direction of text), lone surrogates, line
# and paragraph separators, and characters of private use, which have no shape of their own. Each of them can fake a
# line, break a terminal or hide a name. The two joiners are permitted: writing systems and emoji need them.
_UNWANTED_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
# Letters that are invisible: a name could be empty to the eye, or look the same as another one.
_SHAPELESS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u2800\u3164\uffa0")
# Letters of other scripts, and digits, that look like Latin letters in most fonts: large ones before the letter case is
# taken away, and small ones behind that.
_LARGE_TWINS = str.maketrans("АВЕКМНОРСТУХІЈЅԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧ|", "ABEKMHOPCTYXIJSGABEZHIKMNOPTYXl")
_SMALL_TWINS = str.maketrans("аеорсухіјѕһԁԛԝοανιρυ0l1ı", "aeopcyxijshdqwoavipuoiii")
_MARKS = frozenset({"Mn", "Me"})
_ELLIPSIS = "…"
_MAX_WORD_CHARS = 24
"""A text is cut before its last word, unless that is longer: it is no word, or the script has no blanks."""
_MAX_MARKS = 2
"""Combining marks on one letter; more of them cover the lines above."""


def person_name(text: str) -> str:
    """The name of a person or a session; empty if it has no visible character."""
    return _reduced(text, PERSON_CHARS, PERSON_BYTES)


def file_label(text: str) -> str:
    """The file name in `text` without directories. For display only, not for opening files."""
    label = _reduced(text.replace("\\", "/").rsplit("/", 1)[-1], FILE_CHARS, FILE_BYTES)
    return label if label.strip(".") else "unnamed"


def title(text: str) -> str:
    """A title or an artist from a file's tags; empty if it has no visible character. A longer one ends with "…"."""
    return _shortened(_reduced(text, WHOLE_TITLE_CHARS, WHOLE_TITLE_BYTES), TITLE_CHARS, TITLE_BYTES)


def whole_title(text: str) -> str:
    """The same without the limit of the protocol."""
    return _reduced(text, WHOLE_TITLE_CHARS, WHOLE_TITLE_BYTES)


def is_cut(text: str) -> bool:
    """Whether this title may be shorter than that of the tag."""
    return text.endswith(_ELLIPSIS)


def chat_text(text: str) -> str:
    """A message to all, as one line; empty if it has no visible character. A longer one ends with "…"."""
    line = " ".join(text[: 4 * CHAT_CHARS].split())
    return _shortened(_reduced(line, 2 * CHAT_CHARS, 2 * CHAT_BYTES), CHAT_CHARS, CHAT_BYTES)


def sentence(text: str) -> str:
    """A reason from another computer, as one line. A Message that is safe already stays one."""
    reduced = _reduced(text, SENTENCE_CHARS, SENTENCE_BYTES)
    return text if text == reduced else reduced


def distinct(name: str, taken: Iterable[str]) -> str:
    """`name`; or, if a name in `taken` looks the same, `name` with the first free number from " (2)" on."""
    used = {_shape(other) for other in taken}
    candidate, number = name, 1
    while _shape(candidate) in used:
        number += 1
        suffix = f" ({number})"
        candidate = _cut(name, PERSON_CHARS - len(suffix), PERSON_BYTES - len(suffix)) + suffix
    return candidate


def skeleton(name: str) -> str:
    """A key that is equal for names that look the same (not for all of them). For comparison only."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if c not in _JOINERS and not "\ufe00" <= c <= "\ufe0f")


@functools.lru_cache(maxsize=2048)
def _shape(name: str) -> str:
    """As `skeleton`, for the eye: letters of several scripts that look alike are equal, and so are all blanks. It may
    change with a new version, and is not for anything that is kept."""
    plain = unicodedata.normalize("NFKC", name).translate(_LARGE_TWINS)
    return " ".join(skeleton(plain).translate(_SMALL_TWINS).split())


def _wanted(text: str) -> Iterator[str]:
    marks = 0
    for c in text:
        category = unicodedata.category(c)
        marks = marks + 1 if category in _MARKS else 0
        unwanted = category in _UNWANTED_CATEGORIES or c in _SHAPELESS or marks > _MAX_MARKS
        if c in _JOINERS or not unwanted:
            yield c


def _reduced(text: str, chars: int, size: int) -> str:
    shown = "".join(_wanted(text[: 4 * chars]))
    return _cut(unicodedata.normalize("NFC", shown).strip(), chars, size) if shown.strip(_JOINERS + " ") else ""


def _shortened(text: str, chars: int, size: int) -> str:
    if len(text) <= chars and len(text.encode()) <= size:
        return text
    shown = _cut(text, chars - len(_ELLIPSIS), size - len(_ELLIPSIS.encode()))
    end = len(shown)
    while end and _inside_cluster(text, end):
        end -= 1
    words, blank, _ = text[:end].rpartition(" ")
    if blank and text[end] != " " and end - len(words) <= _MAX_WORD_CHARS:
        end = len(words)
    return (text[:end].rstrip() or shown) + _ELLIPSIS


def _inside_cluster(text: str, at: int) -> bool:
    """Whether the place before the character `at` is inside of what people see as one character (the frequent cases of
    Unicode Standard Annex 29)."""
    before, after = text[at - 1], text[at]
    if _is_flag_letter(before) and _is_flag_letter(after):
        letters = next((n for n in range(at) if not _is_flag_letter(text[at - 1 - n])), at)
        return letters % 2 == 1
    is_skin = "\U0001f3fb" <= after <= "\U0001f3ff"
    return unicodedata.category(after).startswith("M") or after in _JOINERS or before == "\u200d" or is_skin


def _is_flag_letter(c: str) -> bool:
    """Two regional indicators make one flag."""
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def _cut(text: str, chars: int, size: int) -> str:
    return text[:chars].encode()[:size].decode(errors="ignore").strip()
