"""Selects the events that are shown as toasts (short messages), and formats them."""

from __future__ import annotations

import functools

from phaselock.language.catalogue import current, tr
from phaselock.language.message import translated
from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import RequestState, SessionSnapshot
from phaselock.model.timing import TIMING_SENTENCES
from phaselock.session import events as e
from phaselock.session.hearing_sentences import left_out_text
from phaselock.session.sentences import (
    HOST_HEARD_AGAIN,
    added_text,
    device_text,
    event_text,
    library_text,
    peer_joined_text,
    peer_left_text,
    request_text,
    song_of,
    transfer_text,
    window_text,
    with_songs,
)
from phaselock.ui.backend import SessionEvent
from phaselock.ui.viewmodel.values import Toast
from phaselock.ui.viewmodel.words import code_text

_CALM = frozenset(
    {
        Code.ALREADY_PLAYING,
        Code.ALREADY_QUEUED,
        Code.ALREADY_REQUESTED,
        Code.CHAT_BUSY,
        Code.CHAT_OFF,
        Code.CHAT_TOO_FAST,
        Code.NOTHING_PAUSED,
        Code.NOTHING_PLAYING,
        Code.REQUEST_OVER,
        Code.NO_NEXT_TRACK,
        Code.NOTHING_TO_PLAY,
        Code.NOTHING_TO_RETRY,
        Code.NO_SUCH_TRACK,
        Code.VOTE_TOO_LATE,
    }
)
"""Errors that need no action: what the user wants was done before, or the click came too late."""
_STAYING = frozenset(
    {Code.CODE_GUESSED, Code.CODE_VOID, Code.INVITATION_GUESSED, Code.INVITATION_VOID, Code.HOST_KEY_CHANGED}
)
"""Warnings that the user must not miss, because another machine may be attacking the session."""
_HOSTS_REQUESTS = frozenset({RequestState.ADDED, RequestState.FAILED})
"""The states of a request that the host sees as toasts. The others are visible in its list of requests."""


def event_toast(happened: SessionEvent, hosting: bool, snapshot: SessionSnapshot | None = None) -> Toast | None:
    """The toast of an event; None if the event needs none, because the screens show it. Songs of `snapshot` are called
    as the lists call them."""
    told = happened.event
    match event := with_songs(told, functools.partial(song_of, snapshot)) if snapshot else told:
        case e.Joined(again=True, moved=False):
            return Toast(tr(HOST_HEARD_AGAIN), "info")
        case e.HostChanged():
            return Toast(event_text(event, current()), "info")
        case e.PeerJoined():
            return Toast(peer_joined_text(event, current()), "info")
        case e.PeerLeft(reason=Notice(code=Code.PEER_REMOVED)):
            return Toast(peer_left_text(event, current()), "info", "allow", event.name)
        case e.PeerLeft():
            text, calm = peer_left_text(event, current()), event.reason.code is Code.PEER_LEFT
            return Toast(text, "info" if calm else "warning") if text else None
        case e.TransferChanged(state=e.TransferState.FAILED, peer=None):
            return Toast(transfer_text(event, current()), "warning")
        case e.RequestChanged():
            return _request(event, hosting)
        case e.DeviceChanged():
            return _device(event)
        case e.RoleSet() | e.TrimSet() | e.MicrophoneUsed():
            return Toast(event_text(event, current()), "info")
        case e.LibraryChanged(state=e.LibraryState.AWAY | e.LibraryState.FAILED):
            return Toast(library_text(event, current()), "warning")
        case e.FilesAdded():
            return Toast(added_text(event, current()), "warning" if event.left_out else "info")
        case e.CalibrationBegan() | e.CheckBegan():
            left_out = left_out_text(event, current())
            return Toast(left_out, "info") if left_out else None
        case e.Calibrated() | e.Checked() | e.OutputCalibrated():
            return Toast(event_text(event, current()), "info")
        case e.Warned(notice=Notice(code=Code.PEER_BARRED, choices=(removed,))):
            return Toast(window_text(event.notice, current()), "warning", "allow", removed)
        case e.Warned(notice=Notice(code=Code.INTERNET_EXTRA_MISSING)) if hosting:
            return None  # the panel with the invitation says so
        case e.Warned() if not event_banner(happened):
            return Toast(window_text(event.notice, current()), "warning")
        case e.Failed():
            return _error(event.notice)
    return None


def event_banner(happened: SessionEvent) -> str:
    """The text of a warning that stays until the user has read it; empty: the event is none."""
    event = happened.event
    if isinstance(event, e.Warned) and event.notice.code in _STAYING:
        return window_text(event.notice, current())
    return ""


def _request(event: e.RequestChanged, hosting: bool) -> Toast | None:
    state, text = event.request.state, request_text(event, current())
    if not text or state is RequestState.CONVERTING or (hosting and state not in _HOSTS_REQUESTS):
        return None
    return Toast(text, "warning" if state in (RequestState.REJECTED, RequestState.FAILED) else "info")


def _device(event: e.DeviceChanged) -> Toast | None:
    match event.state, event.peer:
        case "none", None:
            return Toast(code_text(Code.NO_OUTPUT), "error")
        case ("none", _) | ("lost", None):
            return Toast(device_text(event, current()), "warning")
        case "open", None if event.detail:
            return Toast(translated(event.detail, current()), "warning")
        case "open", None if event.timing == "unknown":
            return Toast(tr(TIMING_SENTENCES["unknown"]), "warning")
    return None


def _error(notice: Notice) -> Toast:
    text = window_text(notice, current())
    if notice.code is Code.TRANSFER_GIVEN_UP:
        return Toast(text, "error", "retry", notice.peer or "")
    if notice.code is Code.WAITING_FOR_PEERS:
        return Toast(text, "warning")
    return Toast(text, "info" if notice.code in _CALM else "error")
