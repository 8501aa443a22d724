"""The code of a session: six digits, or a word or a sentence of the host's user."""

from __future__ import annotations

import unicodedata

from phaselock.language.message import N_

CODE_DIGITS = 6
INVITATION_DIGITS = 10
"""Of the code of an invitation for friends elsewhere: it is never typed, and guessed from everywhere."""
MIN_CODE_LENGTH = 4
MAX_CODE_LENGTH = 64
CODE_RULE = N_("A code has 4 to 64 characters besides blanks.")


def normal_code(text: str) -> str:
    """The code as both sides compare it: capital letters are as small ones, and blanks do not count. Empty if the text
    has fewer than MIN_CODE_LENGTH or more than MAX_CODE_LENGTH characters besides blanks, or one that is not shown."""
    code, before = text, ""
    while code != before:  # a blank less may join two characters, and a joined one may have a small form
        code, before = "".join(unicodedata.normalize("NFKC", code).casefold().split()), code
    if any(unicodedata.category(character).startswith("C") for character in code):
        return ""
    return code if MIN_CODE_LENGTH <= len(code) <= MAX_CODE_LENGTH else ""


def code_from_number(number: int, digits: int = CODE_DIGITS) -> str:
    """A code of digits from a random number."""
    return f"{number % 10**digits:0{digits}}"


def shown_code(code: str) -> str:
    """The code as people read it: digits in two groups."""
    if code.isdecimal() and len(code) == CODE_DIGITS:
        return f"{code[:3]} {code[3:]}"
    return code
