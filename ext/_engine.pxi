# What plays: the engine, and a card without sound. A part of _native.pyx.


cdef class Engine:
    """The engine of pl_engine.h. One controller thread calls it; one decode thread fills the decks' rings."""

    cdef pl.pl_engine *engine
    cdef readonly ClockMap clock_map
    cdef Account account

    def __cinit__(self, ClockMap clock_map, int64_t ring_frames=131072):
        if ring_frames < 4096 or ring_frames & (ring_frames - 1):
            raise ValueError("ring_frames must be a power of two of at least 4096")
        self.engine = <pl.pl_engine *>PyMem_Calloc(1, sizeof(pl.pl_engine))
        if self.engine == NULL:
            raise MemoryError
        self.clock_map = clock_map
        if not pl.pl_engine_init(self.engine, &clock_map.map, ring_frames):
            raise MemoryError

    def __dealloc__(self):
        if self.engine != NULL:
            pl.pl_engine_free(self.engine)
            PyMem_Free(self.engine)

    @staticmethod
    def set_user_offset(size_t offset):
        """Where in miniaudio's device the user pointer lies, in bytes."""
        pl.pl_engine_user_offset = offset

    @property
    def callback_address(self):
        """Address of the data callback for miniaudio."""
        return <size_t><void *>pl.pl_engine_callback_rt

    @property
    def address(self):
        """Address of the engine: the device's user pointer."""
        return <size_t>self.engine

    def stream(self, double device_rate_hz, Account account=None):
        """Device stopped: a stream at this rate is about to begin; all decks become free. `account` tells when its
        frames leave, and is kept alive; without one they leave an output latency after their callback. ValueError when
        the rate is not within 1 kHz and 1 MHz."""
        if not 1000 <= device_rate_hz <= 1e6:
            raise ValueError("device rate out of range")
        pl.pl_engine_stream(self.engine, device_rate_hz, NULL if account is None else account.account)
        self.account = account

    def thread(self):
        """The system's number of the thread that calls back; 0 before the first call. Only while the stream is open."""
        return pl.pl_engine_thread_id(self.engine)

    def free_deck(self):
        """The number of a free deck, or -1."""
        return pl.pl_engine_free_deck(self.engine)

    def reset_deck(self, int deck, int64_t frame):
        """Empty a free deck's ring; its next frame to be written is `frame`. Returns the generation. ValueError when
        the deck is in use."""
        self._check(deck)
        if self.engine.decks[deck].state:
            raise ValueError("the deck is in use")
        return pl.pl_ring_reset(&self.engine.decks[deck].ring, frame)

    def arm(
        self,
        int deck,
        double track_rate_hz,
        int64_t anchor_frame,
        int64_t start_session_ns,
        stop_session_ns=None,
        bint seamless=False,
        int64_t crossfade_ns=0,
    ):
        """Hand a reset deck to the callback; see pl_engine_arm. False when it cannot be accepted now. ValueError when
        the rate is not within 1 kHz and 1 MHz, or the crossfade is negative."""
        self._check(deck)
        if not 1000 <= track_rate_hz <= 1e6:
            raise ValueError("track rate out of range")
        if crossfade_ns < 0:
            raise ValueError("crossfade out of range")
        cdef int64_t stop = pl.PL_NO_END if stop_session_ns is None else stop_session_ns
        return bool(
            pl.pl_engine_arm(
                self.engine, deck, track_rate_hz, anchor_frame, start_session_ns, stop, seamless, crossfade_ns
            )
        )

    def crossfade_out(self, int deck, begin_session_ns, int64_t crossfade_ns):
        """This deck fades out from then on and ends (None: it does not); see pl_engine_crossfade_out. False when it
        cannot be accepted now. ValueError when the crossfade is not longer than 0."""
        self._check(deck)
        if crossfade_ns <= 0:
            raise ValueError("crossfade out of range")
        cdef int64_t begin = pl.PL_NO_END if begin_session_ns is None else begin_session_ns
        return bool(pl.pl_engine_crossfade_out(self.engine, deck, begin, crossfade_ns))

    def stop_at(self, int64_t session_ns):
        """All decks stop at this session time. False when it cannot be accepted now."""
        return bool(pl.pl_engine_stop_at(self.engine, session_ns))

    def cancel(self, int deck):
        """This deck stops now, with a short fade. False when it cannot be accepted now."""
        self._check(deck)
        return bool(pl.pl_engine_cancel(self.engine, deck))

    def deck(self, int deck):
        """DeckStatus: in use; the frame wanted now; the next frame to be written; room in the ring, in frames."""
        self._check(deck)
        cdef pl.pl_deck *d = &self.engine.decks[deck]
        return DeckStatus(d.state != 0, d.want_frame, pl.pl_ring_written(&d.ring), pl.pl_ring_room(&d.ring))

    def acquire(self, int deck, uint32_t generation):
        """Decode thread: (address of interleaved stereo float32, frames) to fill. 0 frames when the ring is full, -1
        when the generation is not the present one."""
        self._check(deck)
        cdef float *span
        cdef int64_t frames = pl.pl_ring_acquire(&self.engine.decks[deck].ring, generation, &span)
        return (<size_t>span if frames > 0 else 0), frames

    def commit(self, int deck, uint32_t generation, int64_t frames):
        """Decode thread: the first `frames` frames of the acquired span are filled. False when the generation is not
        the present one."""
        self._check(deck)
        return bool(pl.pl_ring_commit(&self.engine.decks[deck].ring, generation, frames))

    def write(self, int deck, uint32_t generation, const float[::1] samples):
        """Copy interleaved stereo into the ring. Returns how many frames there was room for; -1 when the generation is
        not the present one."""
        self._check(deck)
        cdef float *span
        cdef int64_t frames = samples.shape[0] // 2, done = 0, room
        while done < frames:
            room = pl.pl_ring_acquire(&self.engine.decks[deck].ring, generation, &span)
            if room < 0:
                return -1
            room = min(room, frames - done)
            if room == 0:
                break
            memcpy(span, &samples[done * 2], room * 2 * sizeof(float))
            pl.pl_ring_commit(&self.engine.decks[deck].ring, generation, room)
            done += room
        return done

    def finish(self, int deck, uint32_t generation):
        """Decode thread: the track ends here. False when the generation is not the present one."""
        self._check(deck)
        return bool(pl.pl_ring_finish(&self.engine.decks[deck].ring, generation))

    def set_output_latency(self, int64_t latency_ns):
        """What comes on top of the output clock, from a callback to the loudspeaker, in ns."""
        self.engine.output_latency_ns = latency_ns

    def set_volume(self, double volume):
        """0 to 1."""
        pl.pl_engine_set_volume(self.engine, min(1.0, max(0.0, volume)))

    def set_role(self, str role):
        """Play the channels of this role, see model/role.py. KeyError for another word."""
        pl.pl_engine_set_role(self.engine, _ROLES[role])

    def set_quiet(self, spans):
        """Be silent in these spans of session time, (begin_ns, end_ns), and in no others. False when the command ring
        is full. ValueError for more than QUIETS spans."""
        cdef pl.pl_quiet quiet[pl.PL_QUIETS]
        cdef int k
        if len(spans) > pl.PL_QUIETS:
            raise ValueError("too many spans")
        for k in range(pl.PL_QUIETS):
            quiet[k].begin_ns, quiet[k].end_ns = spans[k] if k < len(spans) else (0, 0)
        return bool(pl.pl_engine_set_quiet(self.engine, quiet))

    def status(self):
        """A coherent EngineStatus."""
        cdef pl.pl_engine_status s
        while not pl.pl_engine_read_status(self.engine, &s):
            pass
        return EngineStatus(**s)

    def process(self, int64_t frames, int64_t now_ns):
        """Offline: what the data callback makes when it comes at local time `now_ns`, as interleaved stereo float32
        bytes."""
        out = bytearray(frames * 8)
        cdef float[::1] samples = memoryview(out).cast("f")
        with nogil:
            pl.pl_engine_serve_at_rt(self.engine, &samples[0], frames, now_ns)
        return out

    def measure(self, int64_t frames, const int64_t[::1] came_ns):
        """Offline: how long each callback takes, as native int64 ns. The callbacks come at the local times `came_ns`.
        ValueError when `frames` is less than 1."""
        if frames < 1:
            raise ValueError("a callback asks for frames")
        cdef int64_t k, begin, calls = came_ns.shape[0]
        out, took = bytearray(frames * 8), bytearray(calls * 8)
        cdef float[::1] samples = memoryview(out).cast("f")
        cdef int64_t[::1] took_ns = memoryview(took).cast("q")
        with nogil:
            for k in range(calls):
                begin = pl.pl_now_ns_rt()
                pl.pl_engine_serve_at_rt(self.engine, &samples[0], frames, came_ns[k])
                took_ns[k] = pl.pl_now_ns_rt() - begin
        return took

    def render(self, int64_t frames, int64_t dac_ns):
        """Offline: the frames of which the first leaves the loudspeaker at local time `dac_ns`."""
        return self.process(frames, dac_ns - self.engine.output_latency_ns)

    cdef int _check(self, int deck) except -1:
        if not 0 <= deck < pl.PL_DECKS:
            raise IndexError("no such deck")
        return 0


cdef class NullCard:
    """The card of pl_null.h, at NULL_RATE_HZ, which plays what the engine makes. Its frames leave NULL_LATENCY_NS after
    their callback. `run` blocks without the interpreter's lock until `stop`."""

    cdef pl.pl_null card
    cdef Engine engine
    cdef _Stopping stopping

    def __cinit__(self, Engine engine not None):
        self.engine = engine
        self.card.engine = engine.engine
        self.stopping = _Stopping()

    def run(self):
        """Play until `stop`. Only while the engine has a stream."""
        cdef intptr_t stop_fd = self.stopping.begin()
        with nogil:
            pl.pl_null_run(&self.card, stop_fd)
        self.stopping.heard.close()

    def stop(self):
        """Make `run` return soon."""
        pl.pl_store_relaxed(&self.card.stop, 1)
        self.stopping.end()
