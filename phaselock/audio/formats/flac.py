"""FLAC files, also inside Ogg."""

from __future__ import annotations

import pathlib
from typing import Any

from _miniaudio import ffi, lib

from phaselock.audio.formats import pcm
from phaselock.audio.formats.base import Music, unreadable
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import OtherSoundError
from phaselock.storage import ogg

_OGG_HEADER_BYTES = 28


def begins(beginning: bytes) -> bool:
    """Is this the beginning of a FLAC file, behind an ID3v2 tag?"""
    return beginning.startswith(b"fLaC") or (
        beginning.startswith(b"OggS") and beginning[_OGG_HEADER_BYTES:].startswith(b"\x7fFLAC")
    )


def inspect(path: pathlib.Path) -> Music:
    """See `pcm.inspect`. Also OtherSoundError for a chained Ogg file: the decoder reads only its first part."""
    try:
        with path.open("rb") as file:
            if len(ogg.part_begins(file)) > 1:
                raise OtherSoundError(path.name, Message(N_("an Ogg file")))
    except OSError as error:
        raise unreadable(path, error) from None
    return pcm.inspect(path, _Decoder.open)


class _Decoder(pcm.Decoder):
    leaves_out = True

    @staticmethod
    def open(path: pathlib.Path) -> _Decoder | None:
        name, wide = pcm.file_name(path)
        handle = (lib.ma_dr_flac_open_file_w if wide else lib.ma_dr_flac_open_file)(name, ffi.NULL)
        return _Decoder(handle) if handle else None

    def read(self, place: Any, frames: int) -> int:
        return int(lib.ma_dr_flac_read_pcm_frames_f32(self.handle, frames, place))

    def seek(self, frame: int) -> bool:
        return bool(lib.ma_dr_flac_seek_to_pcm_frame(self.handle, frame))

    def close(self) -> None:
        lib.ma_dr_flac_close(self.handle)
