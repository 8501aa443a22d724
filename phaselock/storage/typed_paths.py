"""The paths in a line that a user typed, or pasted from a terminal or a file manager."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
import re

from phaselock.errors import PhaseLockError
from phaselock.language.message import N_
from phaselock.model.names import sentence
from phaselock.storage.collect import MAX_FILES, natural_key
from phaselock.storage.file_names import is_file_url, url_paths

_SPACES = " \t\v\f"
_SPECIAL = re.compile(r"[*?[]")


@dataclasses.dataclass(slots=True)
class _Word:
    """One word of a line, without its quotes."""

    text: str = ""
    pattern: str = ""
    """The word for `glob`: quoted and escaped characters stand for themselves."""
    marked: bool = False
    """Parts of it are quoted or escaped."""

    def add(self, character: str, *, marked: bool) -> None:
        self.text += character
        self.pattern += glob.escape(character) if marked else character
        self.marked = self.marked or marked


def typed_paths(text: str) -> list[str]:
    """The paths that `text` names, in its order.

    A line that names a file as it stands is one path. Any other line is divided as a shell does it: at spaces, with
    quotes, `\\ ` (not on Windows, where a backslash divides folders), `~`, and the patterns `*`, `?` and `[...]`, whose
    files are in natural order. Words may also be file URLs. A line without quotes of which no word exists is one path
    with spaces. A path need not exist.

    Blocks: it looks for files. PhaseLockError for quotes without an end, a pattern with `*` that matches nothing, and
    a URL of a file on another machine.
    """
    return list(itertools.chain.from_iterable(map(_paths_of_line, re.split(r"[\r\n\0]+", text))))


def _paths_of_line(line: str) -> list[str]:
    line = line.strip(_SPACES)
    whole = os.path.expanduser(line)
    if not line or os.path.lexists(whole):
        return [whole] if line else []
    if _SPECIAL.search(line) and (found := _matching(whole)):
        return found
    words = _words(line, windows=os.sep == "\\")
    if words and not any(word.marked or is_file_url(word.text) or "*" in word.text for word in words):
        paths = [os.path.expanduser(word.text) for word in words]
        if not any(os.path.lexists(path) for path in paths):
            return [whole]
    return [path for word in words for path in _paths_of_word(word)]


def _words(line: str, *, windows: bool) -> list[_Word]:
    """Divide a line as a shell does it. PhaseLockError if a quote has no end."""
    words: list[_Word] = []
    word: _Word | None = None
    quote, place = "", 0
    while place < len(line):
        character = line[place]
        follower = line[place + 1 : place + 2]
        place += 1
        if not quote and character in _SPACES:
            word = None
            continue
        if word is None:
            word = _Word()
            words.append(word)
        if character == quote:
            quote = ""
        elif not quote and (character == '"' or (character == "'" and not (windows and word.text))):
            quote, word.marked = character, True
        elif character == "\\" and not windows and _escapes(follower, quote):
            word.add(follower, marked=True)
            place += 1
        else:
            word.add(character, marked=bool(quote))
    if quote:
        raise PhaseLockError(N_("The quotes do not match: {text}"), text=sentence(line))
    if windows and words and words[0].text == "&" and not words[0].marked:  # the call operator of PowerShell
        del words[0]
    return [word for word in words if word.text]


def _escapes(follower: str, quote: str) -> bool:
    """Does a backslash before this character only protect it? No shell protects letters and digits: a backslash before
    them belongs to a path of Windows."""
    if quote == "'":
        return False
    if quote:
        return follower in ('"', "\\", "$", "`")
    return bool(follower) and not follower.isalnum()


def _paths_of_word(word: _Word) -> list[str]:
    if is_file_url(word.text):
        paths = url_paths(word.text)
        if not paths:
            raise PhaseLockError(N_("{text} is on another machine."), text=sentence(word.text))
        return [next((path for path in paths if os.path.lexists(path)), paths[0])]
    path = os.path.expanduser(word.text)
    if not _SPECIAL.search(word.text) or os.path.lexists(path):
        return [path]
    found = _matching(os.path.expanduser(word.pattern))
    if not found and re.search(r"(?<!\[)\*", word.pattern):
        raise PhaseLockError(N_("Nothing matches {text}."), text=sentence(word.text))
    return found or [path]


def _matching(pattern: str) -> list[str]:
    """The paths that match, in natural order; not hidden ones."""
    return sorted(itertools.islice(glob.iglob(pattern), MAX_FILES + 1), key=natural_key)
