"""The list of sessions to join."""

from __future__ import annotations

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui.backend import FoundSessions
from phaselock.ui.viewmodel.values import BrowserView, FoundRow

LOOKING = N_("Looking for jams on this network…")
NONE_FOUND = N_("No sessions found yet. Is the host on this network? If so, enter the address that the host shows.")


def browser_view(found: FoundSessions | None) -> BrowserView:
    """The screen with the sessions found. None: the search has begun and has no result yet."""
    if found is None:
        return BrowserView((), tr(LOOKING), True)
    rows = tuple(
        FoundRow(
            one.address,
            one.session_name,
            tr("hosted by {name} — {number}/{total} peers").format(
                name=one.host_name, number=one.peers, total=one.max_peers
            ),
            one.peers >= one.max_peers,
            one.session_id,
        )
        for one in found.sessions
    )
    note = found.problem or ("" if rows else tr(NONE_FOUND))
    return BrowserView(rows, note, not found.problem)
