"""The list of sessions to join."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from phaselock.language.catalogue import tr
from phaselock.language.message import N_
from phaselock.ui.backend import Found, FoundSessions
from phaselock.ui.viewmodel.values import BrowserView, FoundRow

LOOKING = N_("Looking for jams on this network…")
NONE_FOUND = N_("No jams found yet. Is the host on this network? If so, enter the address that the host shows.")


def browser_view(found: FoundSessions | None, before: Sequence[FoundRow] = (), *, held: bool = False) -> BrowserView:
    """The screen with the sessions found. None: the search has begun and has no result yet.

    They are sorted by name. `held`: the pointer is over the list, and no row may move away from it: the sessions of
    `before` keep their order and their rows, also those that are gone, and new ones follow.
    """
    if found is None:
        return BrowserView((), tr(LOOKING), True)
    now = {one.session_id: one for one in found.sessions}
    names = collections.Counter((one.session_name, one.host_name) for one in found.sessions)
    rows = [
        dataclasses.replace(row, gone=True) if row.session_id not in now else _row(now.pop(row.session_id), names)
        for row in before
        if (held and not found.problem) or row.session_id in now
    ]
    rows += sorted((_row(one, names) for one in now.values()), key=_order)
    if not held:
        rows.sort(key=_order)
    note = found.problem or ("" if rows else tr(NONE_FOUND))
    return BrowserView(tuple(rows), note, not found.problem)


def _order(row: FoundRow) -> tuple[str, str, str]:
    return row.title.casefold(), row.title, row.address


def _row(one: Found, names: Mapping[tuple[str, str], int]) -> FoundRow:
    """The row of a session. `names` counts the sessions of each name and host."""
    subtitle = tr("hosted by {name} — {number}/{total} peers").format(
        name=one.host_name, number=one.peers, total=one.max_peers
    )
    if one.needs_code:
        subtitle = f"{subtitle}  ·  {tr('with a code')}"
    if names[one.session_name, one.host_name] > 1:
        subtitle = f"{one.address}  ·  {subtitle}"
    return FoundRow(
        one.address,
        one.session_name,
        subtitle,
        one.peers >= one.max_peers,
        one.session_id,
        asks=one.needs_code and not one.code_known,
        problem=one.problem,
    )
