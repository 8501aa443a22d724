# What sound contains: packets, loudness, spectrum, and its ends. A part of _native.pyx.


def resample(
    const float[::1] stereo, double from_hz, double to_hz, double first_frame, double step_frames, int64_t frames
):
    """Interpolate interleaved stereo at first_frame + k * step_frames, k < frames: the engine's kernel alone, for tests
    and benchmarks. Returns interleaved stereo float32 bytes."""
    cdef pl.pl_kernel kernel
    if not pl.pl_kernel_init(&kernel, from_hz, to_hz):
        raise MemoryError
    cdef int64_t count = stereo.shape[0] // 2, pad = kernel.taps, first, i, k
    cdef double place
    planes = bytearray(2 * 4 * (count + 2 * pad))
    out = bytearray(frames * 8)
    cdef float[::1] plane = memoryview(planes).cast("f")
    cdef float[::1] result = memoryview(out).cast("f")
    cdef float *left = &plane[0] + pad
    cdef float *right = left + count + 2 * pad
    try:
        for i in range(count):
            left[i], right[i] = stereo[2 * i], stereo[2 * i + 1]
        for k in range(frames):
            place = first_frame + k * step_frames
            i = <int64_t>place
            if i < 0 or i >= count:
                continue
            first = i - kernel.taps // 2 + 1
            pl.pl_kernel_frame_rt(&kernel, left + first, right + first, place - i, &result[2 * k])
    finally:
        pl.pl_kernel_free(&kernel)
    return out


cdef class Mp3Reader:
    """The packets of an MP3 file, whose descriptor the caller keeps open. One thread at a time."""

    cdef pl.pl_mp3_reader *reader

    def __cinit__(self, int fd):
        self.reader = <pl.pl_mp3_reader *>PyMem_Calloc(1, sizeof(pl.pl_mp3_reader))
        if self.reader == NULL:
            raise MemoryError
        if not pl.pl_mp3_open(self.reader, fd):
            raise OSError("the file cannot be read")

    def __dealloc__(self):
        PyMem_Free(self.reader)

    def scan(self):
        """Read the whole file once. Returns (Mp3Summary, offsets of each 32nd packet as native int64 bytes). OSError
        when the system cannot read."""
        cdef pl.pl_mp3_summary s
        cdef size_t bound = pl.pl_mp3_index_bound(self.reader)
        cdef bint good
        index = bytearray(8 * bound)
        cdef int64_t[::1] entries = memoryview(index).cast("q")
        with nogil:
            good = pl.pl_mp3_scan(self.reader, &s, &entries[0], bound)
        if not good:
            raise OSError("the file cannot be read")
        return Mp3Summary(**s), bytes(memoryview(index)[: (s.packets + 31) // 32 * 8])

    def seek(self, int64_t offset):
        """The next packet is the one at `offset`, an entry of the index of a scan of this file."""
        pl.pl_mp3_seek(self.reader, offset)

    @property
    def packet_at(self) -> int:
        """Offset in bytes of the packet that was read last."""
        return self.reader.packet_at

    def read(self, size_t address, size_t capacity):
        """Copy the next packet to `address`, which has room for `capacity` bytes. Returns its size; 0 at the end.
        OSError when the system cannot read, or the packet is larger."""
        cdef int size
        with nogil:
            size = pl.pl_mp3_read(self.reader, <uint8_t *>address, capacity)
        if size < 0:
            raise OSError("the file cannot be read")
        return size


cdef class Spectrum:
    """The levels of a track's bands, hop by hop: BANDS values of 0 (-60 dB) to 255 (full scale) for each hop, low bands
    first. ValueError when the rate is not within 8 and 192 kHz."""

    cdef pl.pl_spectrum *spectrum

    def __cinit__(self, double rate_hz):
        if not 8000 <= rate_hz <= 192000:
            raise ValueError("rate out of range")
        self.spectrum = <pl.pl_spectrum *>PyMem_Calloc(1, sizeof(pl.pl_spectrum))
        if self.spectrum == NULL:
            raise MemoryError
        pl.pl_spectrum_init(self.spectrum, rate_hz)

    def __dealloc__(self):
        PyMem_Free(self.spectrum)

    @property
    def hop_frames(self):
        """Frames from one hop to the next."""
        return self.spectrum.hop

    def feed(self, const float[::1] stereo):
        """Read the next interleaved stereo. Returns the levels of the hops that are complete now."""
        cdef int64_t frames = stereo.shape[0] // 2, hops
        if frames == 0:
            return b""
        levels = bytearray(pl.PL_BANDS * (frames // self.spectrum.hop + 1))
        cdef uint8_t[::1] place = levels
        with nogil:
            hops = pl.pl_spectrum_feed(self.spectrum, &stereo[0], frames, &place[0])
        return bytes(memoryview(levels)[: pl.PL_BANDS * hops])

    def finish(self):
        """The track ends here. Returns the levels of the hops that are still due."""
        cdef int64_t hops = pl.pl_spectrum_due(self.spectrum)
        if hops == 0:
            return b""
        levels = bytearray(pl.PL_BANDS * hops)
        cdef uint8_t[::1] place = levels
        pl.pl_spectrum_finish(self.spectrum, &place[0])
        return bytes(levels)


cdef class Loudness:
    """Loudness, loudness range and true peak of a track; see pl_loudness.h. ValueError when the rate is not within 8 and
    192 kHz."""

    cdef pl.pl_loudness *loudness

    def __cinit__(self, double rate_hz):
        if not 8000 <= rate_hz <= 192000:
            raise ValueError("rate out of range")
        self.loudness = <pl.pl_loudness *>PyMem_Calloc(1, sizeof(pl.pl_loudness))
        if self.loudness == NULL:
            raise MemoryError
        pl.pl_loudness_init(self.loudness, rate_hz)

    def __dealloc__(self):
        PyMem_Free(self.loudness)

    def feed(self, const float[::1] stereo):
        """Read the next interleaved stereo."""
        cdef int64_t frames = stereo.shape[0] // 2
        if frames:
            with nogil:
                pl.pl_loudness_feed(self.loudness, &stereo[0], frames)

    @property
    def integrated_lufs(self):
        """Of what was read; -inf if nothing of it is above -70 LUFS, or it is shorter than 0.4 s."""
        return pl.pl_loudness_integrated(self.loudness)

    @property
    def range_lu(self):
        """Of what was read; -1 if no 3 s of it are above -70 LUFS."""
        return pl.pl_loudness_range(self.loudness)

    @property
    def true_peak(self):
        """Largest absolute value between and at the samples, 1 for full scale."""
        return pl.pl_loudness_true_peak(self.loudness)


cdef class SoundRange:
    """Where the sound of a track begins and ends; see pl_sound_range.h."""

    cdef pl.pl_sound_range range

    def __cinit__(self):
        pl.pl_sound_range_init(&self.range)

    def feed(self, const float[::1] stereo):
        """Read the next interleaved stereo."""
        cdef int64_t frames = stereo.shape[0] // 2
        if frames:
            with nogil:
                pl.pl_sound_range_feed(&self.range, &stereo[0], frames)

    @property
    def begin_frame(self):
        """The first frame of sound. Without any sound the first frame that was read, so that nothing is cut."""
        return max(0, self.range.begin)

    @property
    def end_frame(self):
        """The frame behind the last frame of sound. Without any sound that behind the last one that was read."""
        return self.range.end if self.range.begin >= 0 else self.range.frames


def peak(const float[::1] stereo):
    """The largest absolute sample of interleaved stereo; 0 where there is none."""
    cdef int64_t frames = stereo.shape[0] // 2
    cdef float largest = 0
    if frames > 0:
        with nogil:
            largest = pl.pl_peak(&stereo[0], frames)
    return largest


def mix_down(size_t source, int32_t channels, int64_t frames, size_t stereo):
    """Mix `frames` float32 frames of 1 to MAX_MIXED_CHANNELS channels at address `source` down to two channels at
    address `stereo`; see pl_mix.h. ValueError for other numbers of channels."""
    if not 1 <= channels <= pl.PL_MAX_MIXED_CHANNELS or frames < 0:
        raise ValueError("channels out of range")
    with nogil:
        pl.pl_mix_down(<const float *>source, channels, frames, <float *>stereo)


def amplify(size_t stereo, int64_t frames, double gain, double step):
    """Multiply `frames` float32 stereo frames at address `stereo` by `gain`, which grows by `step` after each frame."""
    with nogil:
        pl.pl_amplify(<float *>stereo, frames, gain, step)
