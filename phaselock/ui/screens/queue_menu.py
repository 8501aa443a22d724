"""The menus of songs in the queue, for the host and for a peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal
from uuid import UUID

from phaselock.language.catalogue import tr
from phaselock.model.queue import moved_together
from phaselock.model.snapshot import SessionSnapshot
from phaselock.session import commands as c
from phaselock.ui.backend import Program
from phaselock.ui.viewmodel.rows import can_vote, item_of, song
from phaselock.ui.widgets.menu import Item, Items


def host_menu(
    program: Program, ids: Sequence[UUID], *, remove: Callable[[], object], copy: Callable[[str], object]
) -> Items:
    """The menu of these songs of the host's queue."""
    state = program.state()
    if state is None or not ids:
        return ()
    queue, chosen, before = state.snapshot.queue, frozenset(ids), _song_before_next(state.snapshot)

    def move(where: Literal["next", "top", "end"]) -> None:
        program.command(c.Arrange(moved_together(queue, chosen, where, before)))

    alone = len(ids) == 1
    play: list[Item] = [(tr("Play"), lambda: program.command(c.Play(ids[0])))] if alone else []
    show: list[Item] = [(tr("Show in folder"), lambda: program.show_in_folder(ids[0]))] if alone else []
    return [
        *play,
        (tr("Play next"), lambda: move("next")),
        *_vote(program, state.snapshot, ids),
        None,
        (tr("Move to the top"), lambda: move("top")),
        (tr("Move to the end"), lambda: move("end")),
        None,
        *show,
        *_copy_title(state.snapshot, chosen, copy),
        None,
        (tr("Remove from the queue"), remove),
    ]


def peer_menu(program: Program, ids: Sequence[UUID], *, copy: Callable[[str], object]) -> Items:
    """The menu of these songs of the queue, which a peer cannot change."""
    state = program.state()
    if state is None or not ids:
        return ()
    return [*_vote(program, state.snapshot, ids), *_copy_title(state.snapshot, frozenset(ids), copy)]


def _vote(program: Program, snapshot: SessionSnapshot, ids: Sequence[UUID]) -> list[Item]:
    """Votes for a single song that waits, or takes the vote back."""
    item = item_of(snapshot.queue, ids[0]) if len(ids) == 1 else None
    if item is None or not can_vote(snapshot, item):
        return []
    voted = any(one.file_id == item.id and one.mine for one in snapshot.votes)
    text = tr("Take the vote back") if voted else tr("Vote for this song")
    return [(text, lambda: program.vote(item.id, not voted))]


def _copy_title(snapshot: SessionSnapshot, chosen: frozenset[UUID], copy: Callable[[str], object]) -> list[Item]:
    texts = [" – ".join(filter(None, (item.artist, song(item)))) for item in snapshot.queue if item.id in chosen]
    return [(tr("Copy title") if len(texts) == 1 else tr("Copy titles"), lambda: copy("\n".join(texts)))]


def _song_before_next(snapshot: SessionSnapshot) -> UUID | None:
    """The song behind which the next one is: the current one, or the one before that which would start."""
    current = snapshot.waiting_for or snapshot.now
    if current is not None:
        return current.id
    ids = [item.id for item in snapshot.queue]
    at = ids.index(snapshot.upcoming) if snapshot.upcoming in ids else len(ids)
    return ids[at - 1] if at > 0 else None
