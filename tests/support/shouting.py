"""A language for tests."""

from __future__ import annotations

import re


class Shouting:
    """A language in capital letters, except for the names of values."""

    def gettext(self, message: str, /) -> str:
        return re.sub(r"(\{\w+\})|.", lambda match: match[1] or match[0].upper(), message, flags=re.DOTALL)

    def ngettext(self, singular: str, plural: str, n: int, /) -> str:
        return self.gettext(singular if n == 1 else plural)
