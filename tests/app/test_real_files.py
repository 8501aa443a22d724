"""Files of real encoders: what they are, how long to the frame, their first and last samples, their tags."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import pathlib
import re
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from phaselock.app.converter import Converter
from phaselock.app.importer import Imported, import_file
from phaselock.audio.formats.base import FRAME_BYTES
from phaselock.audio.music import Inspector, inspect
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.storage.cache import FileCache
from phaselock.storage.tags import read_artwork, read_tags
from tests.support.flac import wav
from tests.support.mp3 import music

pytestmark = pytest.mark.slow

Sound = npt.NDArray[np.float64]
TOOLS = {"flac": "flac", "metaflac": "flac", "oggenc": "vorbis-tools", "opusenc": "opus-tools", "lame": "lame"}
"""The packages of Debian that contain them; `ffmpeg` and `sox` are in those of the same name."""
FRAMES = 110_251
END_FRAMES = 12_000
HALF = np.sqrt(0.5)
TAGS = {"title": "Ænima – 悪の華", "artist": "Sigur Rós", "album": "( )"}
PICTURE = io.BytesIO()
Image.new("RGB", (40, 40), "red").save(PICTURE, "PNG")


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: {TOOLS.get(name, name)})")
    return path


def run(*command: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run([tool(command[0]), *command[1:]], input=stdin, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Original:
    """The sound that is encoded."""

    rate_hz: int = 44_100
    channels: int = 2
    bits: int = 16
    frames: int = FRAMES

    @property
    def samples(self) -> npt.NDArray[np.int64]:
        """(frames, channels), `bits` wide."""
        sides = [music(self.rate_hz, 2, self.frames)[:, number % 2] for number in range(self.channels)]
        shifted = [np.roll(side, 1000 * (number // 2)) for number, side in enumerate(sides)]
        wide = np.stack(shifted, 1).astype(np.int64)
        return wide << (self.bits - 16) if self.bits > 16 else wide >> (16 - self.bits)

    @property
    def stereo(self) -> Sound:
        """(frames, 2), -1 to 1: as it is played."""
        sound = self.samples / (1 << (self.bits - 1))
        if self.channels == 1:
            return np.repeat(sound, 2, 1)
        if self.channels == 6:
            left, right, centre, _, left_behind, right_behind = sound.T
            sides = left + HALF * (centre + left_behind), right + HALF * (centre + right_behind)
            return np.stack(sides, 1) / (1 + 2 * HALF)
        return sound

    def write(self, folder: pathlib.Path) -> str:
        """A WAV file of it. `sox` writes the kind that says which channel is where."""
        plain, path = folder / "plain.wav", folder / "original.wav"
        size, offset = self.bits // 8, 128 if self.bits == 8 else 0
        packed = (self.samples + offset).astype("<i8").reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :size].tobytes()
        plain.write_bytes(wav(packed, self.channels, self.rate_hz, self.bits))
        if self.channels > 2:
            run("sox", str(plain), str(path))
        else:
            plain.rename(path)
        return str(path)


CD, FINE, MONO = Original(), Original(96_000, bits=24), Original(channels=1)
STUDIO, AROUND, AROUND_24 = Original(48_000), Original(48_000, 6), Original(48_000, 6, 24)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    original: Original
    command: Sequence[str]
    """IN, OUT, PICTURE and CUE stand for paths."""
    error: float = 0.0
    """Largest distance to the original, as a share of its loudness. 0: each sample is the same."""
    tagged: bool = False
    pictured: bool = False
    kind: str = ""
    """As what it is converted; empty: it is played as it is."""
    lost: int = 0
    early: int = 0
    extra: int = 0
    """Frames that the format itself loses, adds at the beginning, and adds in all."""


def texts(form: str) -> list[str]:
    """The tags as options of a program."""
    return [part.format(name=name, text=text) for name, text in TAGS.items() for part in form.split("|")]


FLAC = ("flac", "--silent", "--force", "-o", "OUT", "IN")
FLAC_TAGS = texts("--tag={name}={text}")
FFMPEG = ("ffmpeg", "-loglevel", "error", "-y", "-i", "IN")
FFMPEG_TAGS = texts("-metadata|{name}={text}")
WITH_PICTURE = ("-i", "PICTURE", "-map", "0:a", "-map", "1:v", "-c:v", "png", "-disposition:v", "attached_pic")
SOX = ("sox", "-D", "IN")
LAME = ("lame", "--silent", "-q", "7")
LAME_TAGS = ("--id3v2-only", "--tt", TAGS["title"], "--ta", TAGS["artist"], "--tl", TAGS["album"], "--ti", "PICTURE")
OGG = ("oggenc", "-Q", "-q", "6", "-o", "OUT", "IN")
OPUS = ("opusenc", "--quiet", "--comp", "3", "IN", "OUT")
OGG_TAGS = texts("--{name}|{text}")
AAC = ("-c:a", "aac", "-b:a", "192k")
FILM, M4A, VORBIS, OPUS_FILE = "a film", "an M4A file", "an Ogg file", "an Opus file"
CASES = [
    Case("flac", CD, (*FLAC, "-8", *FLAC_TAGS, "--picture=PICTURE", "-S", "10x"), tagged=True, pictured=True),
    Case("flac fast", CD, (*FLAC, "-0", "--no-seektable", "--no-padding")),
    Case("flac of large blocks", CD, (*FLAC, "--lax", "-b", "32768", "-e", "-p")),
    Case("flac with cue sheet", CD, (*FLAC, "--cuesheet=CUE", *FLAC_TAGS), tagged=True),
    Case("flac 24/96", FINE, (*FLAC, "-5")),
    Case("flac 8 bit", Original(bits=8), FLAC),
    Case("flac mono", MONO, FLAC),
    Case("flac 5.1", AROUND_24, FLAC),
    Case("flac 8 kHz", Original(8_000), FLAC),
    Case("flac 192 kHz", Original(192_000, bits=24), FLAC),
    Case("flac in Ogg", CD, (*FLAC, "--ogg", *FLAC_TAGS, "--picture=PICTURE"), tagged=True, pictured=True),
    Case("flac of ffmpeg", CD, (*FFMPEG, *WITH_PICTURE, *FFMPEG_TAGS, "-f", "flac", "OUT"), tagged=True, pictured=True),
    Case("flac of sox", CD, (*SOX, "-t", "flac", "OUT")),
    Case("wav of sox 24", FINE, (*SOX, "-t", "wav", "OUT")),
    Case("wav of sox 8 bit", Original(bits=8), (*SOX, "-t", "wav", "OUT"), 0.1),
    Case("wav of sox float", CD, (*SOX, "-e", "float", "-b", "32", "-t", "wav", "OUT")),
    Case("wav of sox double", CD, (*SOX, "-e", "float", "-b", "64", "-t", "wav", "OUT")),
    Case("wav of sox A-law", CD, (*SOX, "-e", "a-law", "-t", "wav", "OUT"), 0.03),
    Case("wav of ffmpeg", CD, (*FFMPEG, *FFMPEG_TAGS, "-f", "wav", "OUT"), tagged=True),
    Case("wav 5.1", AROUND, (*FFMPEG, "-c:a", "pcm_s24le", "-f", "wav", "OUT")),
    Case("rf64", CD, (*FFMPEG, "-rf64", "always", "-f", "wav", "OUT")),
    Case("w64", CD, (*SOX, "-t", "w64", "OUT")),
    Case("w64 of ffmpeg", FINE, (*FFMPEG, "-c:a", "pcm_s24le", "-f", "w64", "OUT"), extra=1),  # it counts its padding
    Case("aiff", CD, (*SOX, "-t", "aiff", "OUT")),
    Case("aiff 24/96", FINE, (*SOX, "-t", "aiff", "OUT")),
    Case("aifc", CD, (*SOX, "-t", "aifc", "OUT")),
    Case("aiff of ffmpeg", CD, (*FFMPEG, "-write_id3v2", "1", *FFMPEG_TAGS, "-f", "aiff", "OUT"), tagged=True),
    Case("mp3", CD, (*LAME, "-b", "192", *LAME_TAGS, "IN", "OUT"), 0.2, tagged=True, pictured=True),
    Case("mp3 vbr", CD, (*LAME, "-V", "2", "IN", "OUT"), 0.2),
    Case("mp3 abr mono", MONO, (*LAME, "--abr", "128", "IN", "OUT"), 0.2),
    Case("mp3 48 kHz", STUDIO, (*LAME, "-b", "192", "IN", "OUT"), 0.2),
    Case("mp3 22 kHz", Original(22_050), (*LAME, "-b", "128", "IN", "OUT"), 0.2),
    Case("mp3 of ffmpeg", CD, (*FFMPEG, "-b:a", "192k", *FFMPEG_TAGS, "-f", "mp3", "OUT"), 0.2, tagged=True),
    Case("vorbis", CD, (*OGG, *OGG_TAGS), 0.2, tagged=True, kind=VORBIS),
    Case("vorbis mono", MONO, OGG, 0.2, kind=VORBIS),
    Case("vorbis 96 kHz", FINE, OGG, 0.2, kind=VORBIS),
    Case("vorbis 5.1", AROUND, OGG, 0.2, kind=VORBIS),
    Case("opus", STUDIO, (*OPUS, *OGG_TAGS, "--picture", "PICTURE"), 0.3, tagged=True, pictured=True, kind=OPUS_FILE),
    Case("opus mono", Original(48_000, 1), OPUS, 0.3, kind=OPUS_FILE),
    Case("opus 5.1", AROUND, (*OPUS, "--bitrate", "400"), 0.3, kind=OPUS_FILE),
    Case("opus frames of 60 ms", STUDIO, (*OPUS, "--framesize", "60"), 0.3, kind=OPUS_FILE),
    Case(
        "m4a",
        CD,
        (*FFMPEG, *WITH_PICTURE, *FFMPEG_TAGS, *AAC, "-f", "ipod", "OUT"),
        0.2,
        tagged=True,
        pictured=True,
        kind=M4A,
    ),
    Case("m4a that starts fast", CD, (*FFMPEG, *AAC, "-movflags", "+faststart", "-f", "mp4", "OUT"), 0.2, kind=FILM),
    Case("m4a 5.1", AROUND, (*FFMPEG, "-c:a", "aac", "-b:a", "400k", "-f", "ipod", "OUT"), 0.25, kind=M4A),
    Case("alac", CD, (*FFMPEG, "-c:a", "alac", "-f", "ipod", "OUT"), kind=M4A),
    Case("alac 24/96", FINE, (*FFMPEG, "-c:a", "alac", "-f", "ipod", "OUT"), kind=M4A),
    Case("wavpack", FINE, (*FFMPEG, "-c:a", "wavpack", "-f", "wv", "OUT"), kind="a WavPack file"),
    Case("tta", CD, (*FFMPEG, "-c:a", "tta", "-f", "tta", "OUT"), kind="a TTA file"),
    Case("caf", CD, (*FFMPEG, "-c:a", "pcm_s16be", "-f", "caf", "OUT"), kind="a CAF file"),
    Case(
        "wma",
        CD,
        (*FFMPEG, *FFMPEG_TAGS, "-c:a", "wmav2", "-b:a", "192k", "-f", "asf", "OUT"),
        tagged=True,
        kind="a WMA file",
        lost=2048,
        extra=2048,
    ),
    Case("aac", CD, (*FFMPEG, *AAC, "-f", "adts", "OUT"), 0.2, kind="an AAC file", early=1024, extra=2048),
    Case(
        "ac-3", AROUND, (*FFMPEG, "-b:a", "640k", "-f", "ac3", "OUT"), 0.3, kind="an AC-3 file", early=256, extra=1536
    ),
    Case("matroska", CD, (*FFMPEG, "-c:a", "flac", "-f", "matroska", "OUT"), kind=FILM),
]


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "cache")


def make(folder: pathlib.Path, case: Case, name: str = "song.bin") -> pathlib.Path:
    """The file of the encoder."""
    picture, cue, path = folder / "cover.png", folder / "song.cue", folder / name
    picture.write_bytes(PICTURE.getvalue())
    cue.write_text(
        'FILE "song.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n  TRACK 02 AUDIO\n    INDEX 01 00:01:00\n'
    )
    places = {"IN": case.original.write(folder), "OUT": str(path), "PICTURE": str(picture), "CUE": str(cue)}
    command = [places.get(part, part) for part in case.command]
    run(*(part.replace("=PICTURE", f"={picture}").replace("=CUE", f"={cue}") for part in command))
    return path


def imported(path: pathlib.Path, cache: FileCache) -> Imported:
    try:
        return import_file(path, None, lambda share: True, inspect=Inspector(), convert=Converter(cache))
    except OtherSoundError:
        if importlib.util.find_spec("av") is None:
            pytest.skip("PyAV is not installed: pip install av")
        raise


def decoded(path: pathlib.Path) -> Sound:
    """(frames, 2), as it is played."""
    info = inspect(path)
    room = bytearray(FRAME_BYTES * (info.frames + 10))
    with contextlib.closing(info.open(path)) as source:
        got = 0
        while count := source.read_into(memoryview(room)[got * FRAME_BYTES :], info.frames + 10 - got):
            got += count
    return np.frombuffer(room, np.float32)[: 2 * got].reshape(-1, 2).astype(np.float64)


def late(heard: Sound, original: Sound) -> int:
    """By how many frames, up to 50, `heard` fits better if it were later."""
    middle = original[50:-50].sum(1)
    fits = [float(np.dot(heard[50 + lag : len(heard) - 50 + lag].sum(1), middle)) for lag in range(-49, 50)]
    return int(np.argmax(fits)) - 49


def check(case: Case, found: Imported) -> None:
    original, heard = case.original.stereo, decoded(found.path)
    assert found.track.frames == len(heard) and not found.ends_early
    assert found.track.rate_hz == case.original.rate_hz
    assert 0 <= len(heard) - len(original) + case.lost <= case.lost + case.extra
    if case.lost:
        return
    heard = heard[case.early : case.early + len(original)]
    if case.error == 0:
        np.testing.assert_allclose(heard, original, rtol=0, atol=1e-6)
        return
    for part in (slice(None, END_FRAMES), slice(-END_FRAMES, None), slice(None)):
        off = np.sqrt(np.mean((heard[part] - original[part]) ** 2) / np.mean(original[part] ** 2))
        assert off < case.error and late(heard[part], original[part]) == 0, (part, off)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_file_of_a_real_encoder(tmp_path: pathlib.Path, cache: FileCache, case: Case) -> None:
    path = make(tmp_path, case)
    if case.kind:
        with pytest.raises(OtherSoundError) as refused:
            inspect(path)
        assert str(refused.value.kind) == case.kind
    found = imported(path, cache)
    assert (found.path == path) is not bool(case.kind)
    check(case, found)
    tags = read_tags(found.path)
    assert {name: getattr(tags, name) for name in TAGS} == (TAGS if case.tagged else dict.fromkeys(TAGS, ""))
    artwork = read_artwork(found.path)
    assert (artwork is not None) is case.pictured
    assert artwork is None or artwork.mime == "image/png"


def test_a_seek_in_a_compressed_file_is_exact(tmp_path: pathlib.Path) -> None:
    """With a seek table, with a poor one, and without."""
    for options in (("-S", "10x"), ("-S", "1x"), ("--no-seektable",), ("--ogg",)):
        path = make(tmp_path, Case("", Original(frames=10 * FRAMES), (*FLAC, *options)))
        whole = decoded(path)
        chance = np.random.default_rng(5)
        with contextlib.closing(inspect(path).open(path)) as source:
            for frame in (*chance.integers(0, len(whole), 100), 0, len(whole) - 1):
                room = bytearray(FRAME_BYTES * 64)
                source.seek(int(frame))
                got = source.read_into(room, 64)
                heard = np.frombuffer(room, np.float32)[: 2 * got].reshape(-1, 2)
                np.testing.assert_array_equal(heard, whole[frame : frame + 64])


def test_a_length_that_the_header_does_not_tell_is_counted(tmp_path: pathlib.Path, cache: FileCache) -> None:
    """The encoder writes to a pipe and cannot return to the header."""
    form = ("--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", "--bps=16", "--sample-rate=44100")
    path = tmp_path / "song.flac"
    path.write_bytes(run("flac", "--silent", "--stdout", *form, "-", stdin=CD.samples.astype("<i2").tobytes()))
    check(Case("", CD, ()), imported(path, cache))
    path = tmp_path / "song.wav"
    path.write_bytes(run("ffmpeg", "-loglevel", "error", "-i", CD.write(tmp_path), "-f", "wav", "-"))
    check(Case("", CD, ()), imported(path, cache))


def test_replay_gain_is_read(tmp_path: pathlib.Path, cache: FileCache) -> None:
    """Of a FLAC file, and of files that are converted."""
    path = make(tmp_path, Case("", CD, FLAC))
    run("metaflac", "--add-replay-gain", str(path))
    plain = read_tags(imported(path, cache).path).loudness
    assert plain is not None and -40 < (plain.integrated_lufs or 0) < 0
    for options in (("-c:a", "alac", "-movflags", "use_metadata_tags", "-f", "mp4"), ("-c:a", "libopus", "-f", "ogg")):
        run("ffmpeg", "-loglevel", "error", "-y", "-i", str(path), *options, str(tmp_path / "other.bin"))
        converted = imported(tmp_path / "other.bin", cache)
        assert converted.path.parent == cache.folder
        loudness = read_tags(converted.path).loudness
        assert loudness is not None and loudness.integrated_lufs == pytest.approx(plain.integrated_lufs, abs=0.01)


@pytest.mark.parametrize("command", [OGG, OPUS, (*FLAC, "--ogg")], ids=lambda command: command[0])
def test_a_chained_file_is_played_to_its_end(tmp_path: pathlib.Path, cache: FileCache, command: Sequence[str]) -> None:
    """Its parts differ in their channels."""
    parts = [make(tmp_path, Case("", one, command), name) for one, name in ((STUDIO, "a"), (Original(48_000, 1), "b"))]
    path = tmp_path / "song.ogg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    heard = decoded(imported(path, cache).path)
    assert abs(len(heard) - 2 * FRAMES) <= 48
    for original, part in ((STUDIO, heard[:END_FRAMES]), (Original(48_000, 1), heard[FRAMES : FRAMES + END_FRAMES])):
        assert abs(late(part, original.stereo[:END_FRAMES])) <= 48
        assert np.std(part) > 0.05


NAMED = {"flac": FLAC, "wav": (*SOX, "-t", "wav", "OUT"), "mp3": (*LAME, "-b", "192", "IN", "OUT"), "ogg": OGG}
M4A_COMMAND = (*FFMPEG, *AAC, "-f", "ipod", "OUT")


@pytest.mark.parametrize("ending", ["mp3", "flac", "wav", "aiff", "m4a", "ogg", "txt", "jpg", ""])
def test_the_content_decides_not_the_name(tmp_path: pathlib.Path, cache: FileCache, ending: str) -> None:
    for kind, command in NAMED.items():
        path = make(tmp_path, Case("", CD, command), "made")
        named = path.rename(tmp_path / f"song.{ending}" if ending else tmp_path / "song")
        assert imported(named, cache).track.frames == FRAMES, kind


REFUSED = r"cannot be played: (\d+ % of it is missing at its end|it is damaged( or protected| at its beginning)?)\.$"


@pytest.mark.parametrize("command", [*NAMED.values(), OPUS, M4A_COMMAND], ids=lambda command: command[0])
@pytest.mark.parametrize("share", [0.0005, 0.5, 0.97])
def test_a_file_that_is_cut_off_is_refused_or_plays_what_is_there(
    tmp_path: pathlib.Path, cache: FileCache, command: Sequence[str], share: float
) -> None:
    """A stream such as Ogg has no length in its header. WAV files play as far as they go."""
    path = make(tmp_path, Case("", dataclasses.replace(CD, frames=4 * FRAMES), command))
    whole = imported(path, cache).track.frames
    path.write_bytes(path.read_bytes()[: max(50, int(path.stat().st_size * share))])
    try:
        found = imported(path, cache)
    except UnplayableFileError as error:
        assert re.search(REFUSED, str(error)) or command[0] == "lame"
        assert share < 0.9 or command is M4A_COMMAND
    else:
        assert len(decoded(found.path)) == found.track.frames
        assert found.track.frames == pytest.approx(share * whole, rel=0.3)
        assert found.ends_early or command[0] in ("oggenc", "opusenc")
        assert share > 0.9 or command[0] in ("oggenc", "opusenc", "sox")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ((*SOX, "-e", "ms-adpcm", "-t", "wav", "OUT"), "its sound is compressed, which WAV files seldom are"),
        ((*SOX, "-r", "4000", "-t", "wav", "OUT"), "its sample rate is 4000 Hz"),
        ((*FFMPEG, "-f", "lavfi", "-i", "testsrc", "-map", "1", "-t", "1", "-f", "mp4", "OUT"), "it has no sound"),
        ((*SOX, "-t", "au", "OUT"), "it is no music file"),
    ],
)
def test_what_cannot_be_played_says_why(
    tmp_path: pathlib.Path, cache: FileCache, command: Sequence[str], why: str
) -> None:
    path = make(tmp_path, Case("", CD, command))
    with pytest.raises(UnplayableFileError, match=f"^{re.escape(f'song.bin cannot be played: {why}.')}$"):
        imported(path, cache)
