"""A language that marks what it translates, so that tests find texts that are not translated."""

from __future__ import annotations

import re
from collections.abc import Iterable

from phaselock.language.message import A_DECIMAL

UNITS = ("ms", "s", "µs", "ppm", "B", "kB", "MB", "GB", "h", "min")
_MARKED = re.compile(r"«[^«»]*»|«[^«»]*…$")
_UNIT = re.compile(rf"(?<=[\d\u202f ])(?:{'|'.join(UNITS)})\b")


class PseudoLanguage:
    """Each text is in « », except for its values, and about 30 % longer. The decimal sign is a comma."""

    def gettext(self, message: str, /) -> str:
        if message == A_DECIMAL:
            return "1,5"
        parts = re.split(r"(\{\w+\})", message)
        more = len(message) * 3 // 10
        parts[-1] += ("eeeee " * more)[:more].rstrip()
        return "".join(part if part.startswith("{") else f"«{part}»" for part in parts if part)

    def ngettext(self, singular: str, plural: str, n: int, /) -> str:
        return self.gettext(singular if n == 1 else plural)


def untranslated(text: str, names: Iterable[str]) -> str:
    """The letters of a text that are neither translated nor part of a name or unit; empty if there are none."""
    rest = _UNIT.sub("", _MARKED.sub("", text))
    for name in sorted(names, key=len, reverse=True):
        rest = rest.replace(name, "")
    return "".join(filter(str.isalpha, rest)) if len(text) > 1 else ""
