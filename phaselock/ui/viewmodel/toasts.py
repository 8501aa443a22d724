"""Which events people are told of in passing, and in which words."""

from __future__ import annotations

from collections.abc import Mapping

from phaselock.model.timing import TIMING_SENTENCES
from phaselock.ui.backend import SessionEvent
from phaselock.ui.viewmodel.values import Toast, ToastKind

INVALID = "Invalid or corrupted MP3 file"
NO_OUTPUT = "No audio output detected."
_CALM = frozenset(
    {
        "It is playing already.",
        "Nothing is paused.",
        "Nothing is playing.",
        "That request is over.",
        "There is no next track.",
        "There is nothing to play.",
        "There is nothing to try again.",
    }
)
"""Answers to a click that came too late: nothing is broken."""
_HOSTS_REQUESTS: dict[object, tuple[str, ToastKind]] = {
    "added": ('"{file_name}", which {peer} asked for, is in the queue.', "info"),
    "failed": ('"{file_name}", which {peer} asked for, does not come: {reason}', "warning"),
}
_OWN_REQUESTS: dict[object, tuple[str, ToastKind]] = {
    "open": ('The host was asked for "{file_name}".', "info"),
    "accepted": ('The host wants "{file_name}"; it is on its way.', "info"),
    "added": ('"{file_name}" is in the queue.', "info"),
    "rejected": ('"{file_name}" is not added: {reason}', "warning"),
    "failed": ('"{file_name}" is not added: {reason}', "warning"),
}


def event_toast(happened: SessionEvent, hosting: bool) -> Toast | None:
    """The toast of an event; None for what the screens show anyway."""
    fields = happened.fields
    match happened.name:
        case "joined" if fields.get("again"):
            return Toast("The host is heard again.", "info")
        case "peer_joined":
            return Toast(f"{fields['name']} {'is back' if fields.get('again') else 'has joined'}.", "info")
        case "peer_left":
            return _left(str(fields["name"]), str(fields["reason"]))
        case "request":
            return _request(fields, hosting)
        case "device":
            return _device(fields)
        case "added":
            return Toast(str(fields["message"]), "warning" if fields["left_out"] else "info")
        case "warning":
            return Toast(str(fields["message"]), "warning")
        case "error":
            return _error(fields)
        case _:
            return None


def _left(name: str, reason: str) -> Toast | None:
    match reason:
        case "It connects anew.":
            return None  # it is here again in the same moment
        case "It left.":
            return Toast(f"{name} has left.", "info")
        case "The host has removed it.":
            return Toast(f"{name} was removed.", "info")
        case _:
            why = f". {reason}" if reason.endswith(".") else f" ({reason})." if reason else "."
            return Toast(f"{name} has left{why}", "warning")


def _request(fields: Mapping[str, object], hosting: bool) -> Toast | None:
    words = (_HOSTS_REQUESTS if hosting else _OWN_REQUESTS).get(fields["state"])
    if words is None or fields["state"] == "accepted" and fields["done_bytes"]:  # progress is no news
        return None
    return Toast(words[0].format_map(fields), words[1])


def _device(fields: Mapping[str, object]) -> Toast | None:
    match fields["state"], fields.get("peer"):
        case "none", None:
            return Toast(NO_OUTPUT, "error")
        case "none", peer:
            return Toast(f"{peer} has no audio output.", "warning")
        case "lost", None:
            return Toast(str(fields["detail"]), "warning")
        case "open", None if fields.get("timing") == "unknown":
            return Toast(TIMING_SENTENCES["unknown"], "warning")
        case _:
            return None


def _error(fields: Mapping[str, object]) -> Toast:
    message, peers, peer = str(fields["message"]), fields.get("peers"), str(fields.get("peer", ""))
    said, retry, _ = message.partition(" Try again (retry ")
    if retry:
        return Toast(said, "error", "retry", peer)
    if message.startswith(f"{INVALID}: "):
        return Toast(f"{INVALID}. {message.removeprefix(f'{INVALID}: ')} was not added.", "error")
    if isinstance(peers, (list, tuple)) and peers:
        return Toast(f"{message} Missing at {', '.join(map(str, peers))}.", "warning")
    return Toast(message, "info" if message in _CALM else "error")
