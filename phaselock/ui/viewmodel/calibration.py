"""What a calibration of all loudspeakers does now, for the window."""

from __future__ import annotations

from phaselock.language.catalogue import current, tr
from phaselock.model.snapshot import CalibrationView
from phaselock.session.hearing_sentences import walk_text

MEASURING_SHARE = 0.6
"""Part of the whole that the first pass takes."""
AFTER_NS = 1_500_000_000
"""From the last sound of a pass to its result, about."""


def calibration_share(view: CalibrationView, session_ns: int) -> float:
    """How far the calibration is, 0 to 1."""
    if view.asking:
        return 0.0
    before = (view.step - 1) / view.steps
    if view.wait is not None:
        return before * MEASURING_SHARE
    done = (session_ns - view.begin_session_ns) / (view.length_ns + AFTER_NS)
    done = min(max(done, 0.0), 1.0)
    if view.checking:
        return MEASURING_SHARE + done * (1 - MEASURING_SHARE)
    return (before + done / view.steps) * MEASURING_SHARE


def calibration_text(view: CalibrationView, session_ns: int) -> str:
    """A sentence: who plays now, or where to put the microphone."""
    if view.asking:
        return tr("{name} is asked whether its microphone may listen…").format(name=view.listener)
    if view.wait is not None:
        return f"{walk_text(view.listener, view.wait, current())} ({view.step}/{view.steps})"
    since_ns = session_ns - view.begin_session_ns
    begun = [name for start_ns, name in view.turns if start_ns <= since_ns]
    if begun and since_ns < view.length_ns:
        form = tr("Checking: {name} plays.") if view.checking else tr("Listening: {name} plays.")
        return form.format(name=begun[-1])
    if begun:
        return tr("Comparing what was heard…")
    return tr("The microphone of {name} listens. Please be quiet.").format(name=view.listener)
