"""Turns states and events of a session into the values that the screens show. Needs no display."""

from phaselock.ui.viewmodel.browser import browser_view
from phaselock.ui.viewmodel.history import BREAK_S, History, SeriesPoint, SeriesView
from phaselock.ui.viewmodel.rows import QueueRows
from phaselock.ui.viewmodel.rules import Limit, limit_text, preset_of, stepped
from phaselock.ui.viewmodel.session import host_view, output_text, peer_view, position_s, window_title
from phaselock.ui.viewmodel.sync import confirmed_cell, sync_view
from phaselock.ui.viewmodel.toasts import event_banner, event_toast
from phaselock.ui.viewmodel.values import (
    BrowserView,
    FoundRow,
    GuestRow,
    HostView,
    NowPlaying,
    PeerRow,
    PeerScreenView,
    QueueRow,
    RequestRow,
    SkipVote,
    SyncReadout,
    SyncView,
    Toast,
    TransportView,
)
from phaselock.ui.viewmodel.words import (
    initial,
    latency_text,
    ms_text,
    number_text,
    size_text,
    within_text,
)

__all__ = [
    "BREAK_S",
    "BrowserView",
    "SyncReadout",
    "FoundRow",
    "GuestRow",
    "History",
    "HostView",
    "Limit",
    "NowPlaying",
    "PeerRow",
    "PeerScreenView",
    "QueueRow",
    "QueueRows",
    "RequestRow",
    "SeriesPoint",
    "SeriesView",
    "SkipVote",
    "SyncView",
    "Toast",
    "TransportView",
    "browser_view",
    "confirmed_cell",
    "event_banner",
    "event_toast",
    "host_view",
    "initial",
    "latency_text",
    "limit_text",
    "ms_text",
    "number_text",
    "output_text",
    "peer_view",
    "position_s",
    "preset_of",
    "size_text",
    "stepped",
    "sync_view",
    "window_title",
    "within_text",
]
