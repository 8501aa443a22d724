"""Reads the arguments of typed commands, and completes them."""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from phaselock.model.calibration import MAX_DISTANCE_M
from phaselock.model.file_kinds import SONG_ENDINGS
from phaselock.model.notices import Code, Notice
from phaselock.model.role import ROLES, Role
from phaselock.session.sentences import NoticeError

MAX_COMPLETIONS = 500

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DISTANCE = re.compile(r"(?P<name>[^=]*[^=\s])\s*=\s*(?P<number>\d+(?:[.,]\d*)?)(?:\s*m\b)?(?:\s+|$)")

Completed = tuple[str, str, int]
"""The text to insert, the text to show, and how many characters before the cursor it replaces."""


def usage_error(form: str) -> NoticeError:
    """The error for arguments that do not have the form `form`."""
    return NoticeError(Notice(Code.USAGE, form))


def nothing_after(word: str, rest: str) -> None:
    """The usage of `word` as an error if something follows it."""
    if rest:
        raise usage_error(word)


def number(text: str, low: float, high: float, form: str) -> float:
    """A number from `low` to `high`, also with a decimal comma. The usage `form` as an error for any other text."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        raise usage_error(form) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise usage_error(form)
    return value


def percent(text: str, now: float, form: str) -> float:
    """0 to 100: "50", "50 %", or relative to `now` "+5", "-5"."""
    plain = text.removesuffix("%").rstrip()
    if plain[:1] in ("+", "-"):
        return min(100.0, max(0.0, now + number(plain, -100, 100, form)))
    return number(plain, 0, 100, form)


def role(text: str, form: str) -> Role:
    """One of the roles, in any case. The usage `form` as an error for any other text."""
    for one in ROLES:
        if text.casefold() == one:
            return one
    raise usage_error(form)


def seconds(text: str, now: float | None, form: str) -> float:
    """A position in seconds: "90", "1:30", "1:02:03", or relative to `now` "+10", "-5", "+1:00". Negative positions
    become 0. NOTHING_PLAYING for a relative one without `now`."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    parts = text.removeprefix(sign).removesuffix("s").split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d{1,6}", part) for part in parts[:-1]):
        raise usage_error(form)
    value = number(parts[-1], 0, 1e6 if len(parts) == 1 else 59.999, form)
    for part, unit_s in zip(reversed(parts[:-1]), (60, 3600), strict=False):
        value += int(part) * unit_s
    if not sign:
        return value
    if now is None:
        raise NoticeError(Notice(Code.NOTHING_PLAYING))
    return max(0.0, now + value if sign == "+" else now - value)


def distances(text: str, form: str) -> tuple[tuple[str, float], ...]:
    """Names with distances in metres: "Kitchen=3.2 Living room=1,5 m". The usage `form` as an error for any other
    text."""
    found = tuple(_DISTANCE.finditer(text))
    if "".join(one[0] for one in found) != text or not found:
        raise usage_error(form)
    return tuple((one["name"].strip(), number(one["number"], 0, MAX_DISTANCE_M, form)) for one in found)


def similar(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant, or None."""
    return next(iter(difflib.get_close_matches(word, words, 1, 0.6)), None)


def beginning_with(text: str, words: Sequence[str]) -> list[Completed]:
    """The words that begin with `text` in any case."""
    return [(word + " ", word, len(text)) for word in words if word.casefold().startswith(text.casefold())]


def path_completions(text: str) -> list[Completed]:
    """The folders, music files and playlists that complete the last path in `text`, as `typed_paths` reads them. Looks
    into the folder: it may block."""
    typed, plain = _last_word(text)
    folder, slash, start = _divided(plain)
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
            found = sorted(_fitting(entries, start), key=lambda one: one[0].casefold())
    except (OSError, ValueError):
        return []
    return [
        (_quoted(folder + slash + name, is_folder=is_folder), name + (os.sep if is_folder else ""), len(typed))
        for name, is_folder in found[:MAX_COMPLETIONS]
    ]


def _fitting(entries: Iterable[os.DirEntry[str]], start: str) -> Iterator[tuple[str, bool]]:
    for entry in entries:
        if not entry.name.casefold().startswith(start.casefold()) or (entry.name.startswith(".") and not start):
            continue
        if _CONTROLS.search(entry.name):  # a line break in a name would end the command
            continue
        is_folder = entry.is_dir()
        if is_folder or entry.name.lower().endswith(SONG_ENDINGS):
            yield entry.name, is_folder


def _divided(path: str) -> tuple[str, str, str]:
    """The folder, its slash, and the beginning of the name."""
    at = max(path.rfind(one) for one in ("/", os.sep))
    return (path[:at], path[at], path[at + 1 :]) if at >= 0 else ("", "", path)


def _last_word(text: str) -> tuple[str, str]:
    """The last word of a line as it was typed, and without its quotes and backslashes. A shell divides words like
    this."""
    start, quote, plain, place = 0, "", "", 0
    while place < len(text):
        character = text[place]
        if quote and character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
        elif not quote and character == "\\" and sys.platform != "win32" and place + 1 < len(text):
            place += 1
            plain += text[place]
        elif not quote and character == " ":
            start, plain = place + 1, ""
        else:
            plain += character
        place += 1
    return text[start:], plain


def _quoted(path: str, *, is_folder: bool) -> str:
    """The path as it has to be typed. A folder ends with a slash, so that the user can go on; a file with a blank."""
    if is_folder:
        path += "/" if "/" in path else os.sep
    if sys.platform == "win32":
        if " " not in path:
            return path if is_folder else path + " "
        return f'"{path}' if is_folder else f'"{path}" '
    escaped = re.sub(r"([\s\"'\\*?\[\]&;()<>|$`!#{}])", r"\\\1", path)
    return escaped if is_folder else escaped + " "
