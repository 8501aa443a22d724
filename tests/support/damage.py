"""Frames of a file transfer that arrive damaged."""

from __future__ import annotations

import dataclasses

from phaselock.protocol import messages as m
from phaselock.protocol.framing import frame


def damaging_frame(message: m.Message) -> bytes:
    """`frame`, but the first byte of a file is another one."""
    if isinstance(message, m.FileChunk | m.SongUploadChunk) and message.offset == 0:
        message = dataclasses.replace(message, data=bytes((message.data[0] ^ 1,)) + message.data[1:])
    return frame(message)
