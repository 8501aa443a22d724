"""Uncompressed files: WAV, its successors RF64 and Wave64, and AIFF."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from _miniaudio import ffi, lib

from phaselock.audio.formats import pcm
from phaselock.audio.formats.base import Music, unreadable
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import UnplayableFileError
from phaselock.storage.chunks import WAVE64, is_cut_off, is_sound

_MPEG_TAG = b"\x55\0"
_CODINGS = (
    lib.MA_DR_WAVE_FORMAT_PCM,
    lib.MA_DR_WAVE_FORMAT_IEEE_FLOAT,
    lib.MA_DR_WAVE_FORMAT_ALAW,
    lib.MA_DR_WAVE_FORMAT_MULAW,
)


def begins(beginning: bytes) -> bool:
    """Is this the beginning of such a file? One that contains MPEG audio is an MP3."""
    kind = beginning[8:12]
    return beginning[12:16] + beginning[20:22] != b"fmt " + _MPEG_TAG and (
        (beginning[:4] in (b"RIFF", b"RF64") and kind == b"WAVE")
        or (beginning[:4] == b"FORM" and kind in (b"AIFF", b"AIFC"))
        or beginning.startswith(WAVE64)
    )


def inspect(path: pathlib.Path) -> Music:
    """See `pcm.inspect`. Also UnplayableFileError if the sound is compressed."""
    found = pcm.inspect(path, _Decoder.open)
    try:
        with path.open("rb") as file:
            return dataclasses.replace(found, ends_early=found.ends_early or is_cut_off(file))
    except OSError as error:
        raise unreadable(path, error) from None


class _Decoder(pcm.Decoder):
    leaves_out = False

    @staticmethod
    def open(path: pathlib.Path) -> _Decoder | None:
        with path.open("rb") as file:
            if not is_sound(file):
                return None
        name, wide = pcm.file_name(path)
        handle = ffi.new("ma_dr_wav *")
        opened = (lib.ma_dr_wav_init_file_w if wide else lib.ma_dr_wav_init_file)(handle, name, ffi.NULL)
        if not opened:
            return None
        decoder = _Decoder(handle)
        if handle.translatedFormatTag not in _CODINGS:
            decoder.close()
            raise UnplayableFileError(path.name, Message(N_("its sound is compressed, which WAV files seldom are")))
        return decoder

    def read(self, place: Any, frames: int) -> int:
        return int(lib.ma_dr_wav_read_pcm_frames_f32(self.handle, frames, place))

    def seek(self, frame: int) -> bool:
        # The decoder moves by the distance to its place. It gets its place wrong if the header tells fewer frames than
        # there are, except at the beginning.
        return all(lib.ma_dr_wav_seek_to_pcm_frame(self.handle, place) for place in (0, frame))

    def close(self) -> None:
        lib.ma_dr_wav_uninit(self.handle)
