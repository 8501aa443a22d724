"""What a check of all loudspeakers does now, for the window."""

from __future__ import annotations

from phaselock.language.catalogue import tr
from phaselock.model.snapshot import CheckView

AFTER_NS = 6_000_000_000
"""From the end of the last turn to the result, about."""


def check_share(view: CheckView, session_ns: int) -> float:
    """How far the check is, 0 to 1."""
    return min(max((session_ns - view.begin_session_ns) / (view.length_ns + AFTER_NS), 0.0), 1.0)


def check_text(view: CheckView, session_ns: int) -> str:
    """A sentence: who plays now."""
    if not view.turns:
        return tr("{name} is asked whether its microphone may listen…").format(name=view.listener)
    since_ns = session_ns - view.begin_session_ns
    begun = [name for begin_ns, name in view.turns if begin_ns <= since_ns]
    if begun and since_ns < view.length_ns:
        return tr("Listening: {name} plays.").format(name=begun[-1])
    if begun:
        return tr("Comparing what was heard…")
    return tr("The microphone of {name} listens. The machines play in turns.").format(name=view.listener)
