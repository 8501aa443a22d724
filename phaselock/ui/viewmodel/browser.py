"""The list of sessions to join."""

from __future__ import annotations

from phaselock.ui.backend import FoundSessions
from phaselock.ui.viewmodel.values import BrowserView, FoundRow

LOOKING = "Looking for sessions on this network…"
NONE_FOUND = "No sessions found yet. Is the host on this network? If so, enter the address that the host shows."


def browser_view(found: FoundSessions | None) -> BrowserView:
    """The screen with the sessions found. None: the search has begun and has no result yet."""
    if found is None:
        return BrowserView((), LOOKING, True)
    rows = tuple(
        FoundRow(
            one.address,
            one.session_name,
            f"hosted by {one.host_name} — {one.peers}/{one.max_peers} peers",
            one.peers >= one.max_peers,
            one.session_id,
        )
        for one in found.sessions
    )
    return BrowserView(rows, found.problem or ("" if rows else NONE_FOUND), not found.problem)
