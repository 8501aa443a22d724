"""What the line of input gets from the program. It does not import that line, which takes memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from phaselock.frozen import frozen


class KeptLines(Protocol):
    """The lines that were typed in this session and in earlier ones."""

    def load(self) -> Sequence[str]:
        """All kept lines, oldest first."""
        ...

    def keep(self, line: str) -> None:
        """Keep a line."""
        ...


@frozen
class Typing:
    """What the line needs from the program. The functions are called on its threads."""

    kept: KeptLines
    completions: Callable[[str], Iterable[tuple[str, str, int]]]
    """For the text before the cursor: the text to insert, the text to show, and how many characters before the cursor
    it replaces."""
    start_hint: str
    """What to say before the first line."""
    end_hint: Callable[[], str]
    """Returns what to say at Ctrl-D, which would end a program too easily."""
