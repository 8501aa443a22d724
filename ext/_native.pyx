# cython: language_level=3, boundscheck=False, wraparound=False
"""The native core: thin classes over the C files of ext/. Their headers define all terms used here."""

import os
import socket
from collections import namedtuple

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

cimport pl

# The fields of each named tuple are those that pl.pxd declares for the C struct, in that order.
cdef pl.pl_clock_map_value _no_clock_map
cdef pl.pl_pinger_status _no_pinger_status
cdef pl.pl_engine_status _no_engine_status
cdef pl.pl_mp3_summary _no_summary
cdef pl.pl_arrival _no_arrival
cdef pl.pl_song_arrival _no_song_arrival

ClockMapValue = namedtuple("ClockMapValue", <dict>_no_clock_map)
PingerStatus = namedtuple("PingerStatus", <dict>_no_pinger_status)
EngineStatus = namedtuple("EngineStatus", <dict>_no_engine_status)
Mp3Summary = namedtuple("Mp3Summary", <dict>_no_summary)
SweepArrival = namedtuple("SweepArrival", <dict>_no_arrival)
SongArrival = namedtuple("SongArrival", <dict>_no_song_arrival)
DeckStatus = namedtuple("DeckStatus", "armed want_frame written_frame room_frames")

NO_END = pl.PL_NO_END
DECKS = pl.PL_DECKS
NULL_RATE_HZ, NULL_LATENCY_NS = pl.PL_NULL_RATE_HZ, pl.PL_NULL_BLOCK_NS
BANDS = pl.PL_BANDS
MAX_STARTS = pl.PL_MAX_STARTS
QUIETS, QUIET_FADE_NS = pl.PL_QUIETS, pl.PL_QUIET_FADE_NS
MAX_MIXED_CHANNELS = pl.PL_MAX_MIXED_CHANNELS
ARRIVAL_HEARD, ARRIVAL_ABSENT, ARRIVAL_NOISE = pl.PL_ARRIVAL_HEARD, pl.PL_ARRIVAL_ABSENT, pl.PL_ARRIVAL_NOISE
ARRIVAL_ECHO, ARRIVAL_UNSTEADY = pl.PL_ARRIVAL_ECHO, pl.PL_ARRIVAL_UNSTEADY

# The schedule of pings; see pl_udp.h.
TRAIN_INTERVAL_NS, TRAIN_NS, PING_NS = pl.PL_TRAIN_INTERVAL_NS, pl.PL_TRAIN_NS, pl.PL_PING_NS
BURST_NS, YOUNG_NS = pl.PL_BURST_NS, pl.PL_YOUNG_NS
TRAIN_PINGS, YOUNG_PINGS, BURST_PINGS = pl.PL_TRAIN_PINGS, pl.PL_YOUNG_PINGS, pl.PL_BURST_PINGS
BURST_UPDATE_ANSWERS = pl.PL_BURST_UPDATE_ANSWERS
CALM_INTERVAL_NS, WAKING_NS = pl.PL_CALM_INTERVAL_NS, pl.PL_WAKING_NS
CALM_PING_NS, MIN_CALM_PINGS = pl.PL_CALM_PING_NS, pl.PL_MIN_CALM_PINGS

_FILTER_KINDS = {"envelope": pl.PL_FILTER_ENVELOPE, "median": pl.PL_FILTER_MEDIAN, "kalman": pl.PL_FILTER_KALMAN}
_ROLES = {"stereo": pl.PL_STEREO, "left": pl.PL_LEFT, "right": pl.PL_RIGHT, "mono": pl.PL_MONO}
_NOISES = {"late": pl.PL_NOISE_LATE, "burst": pl.PL_NOISE_BURST, "both": pl.PL_NOISE_BOTH}


def now_ns():
    """Local time: the monotonic clock, in ns."""
    return pl.pl_now_ns_rt()


def set_clock_skew(double ppm, int64_t ahead_ns=0):
    """Make this process's clock run `ppm` fast and be `ahead_ns` ahead from now on. Call it before any thread uses
    the clock."""
    pl.pl_clock_set_skew(ppm, ahead_ns)


def thread_priority(int64_t thread):
    """The priority of a thread of this process, by its number in the system: "normal", "raised" or "real-time";
    "unknown" where there is no such thread."""
    return ("unknown", "normal", "raised", "real-time")[<int>pl.pl_thread_priority(thread)]


def make_thread_real_time(int64_t thread, int level):
    """Ask the system for real-time scheduling of a thread, at a level of 1 to 99. OSError when it is not granted."""
    cdef int error = pl.pl_thread_make_real_time(thread, level)
    if error:
        raise OSError(error, os.strerror(error))


cdef class ClockMap:
    """Converts between local and session time. Written by one clock thread, read by any thread."""

    cdef pl.pl_clock_map map

    def __init__(self, *, bint identity=False):
        pl.pl_clock_map_init(&self.map, identity)

    def set(self, int64_t local_ns, int64_t offset_ns, double drift, double uncertainty_ns, double drift_uncertainty):
        """Write the map; for simulated clocks, which have no thread."""
        cdef pl.pl_clock_map_value v
        v.local_ns, v.offset_ns, v.drift, v.valid = local_ns, offset_ns, drift, True
        v.uncertainty_ns, v.drift_uncertainty = uncertainty_ns, drift_uncertainty
        pl.pl_clock_map_write(&self.map, &v)

    @property
    def is_silent(self):
        """Does the engine of this map play nothing? False before its first callback."""
        return self.map.silent != 0

    cdef pl.pl_clock_map_value _value(self):
        cdef pl.pl_clock_map_value v
        while not pl.pl_clock_map_read_rt(&self.map, &v):
            pass
        return v

    def value(self):
        """The values of the map."""
        return ClockMapValue(**self._value())

    def session_from_local(self, int64_t local_ns):
        """Session time at a local time, ns."""
        cdef pl.pl_clock_map_value v = self._value()
        return local_ns + pl.pl_clock_map_offset_at(&v, local_ns)

    def local_from_session(self, int64_t session_ns):
        """Local time at a session time, ns."""
        cdef pl.pl_clock_map_value v = self._value()
        cdef int64_t local_ns = session_ns - v.offset_ns
        for _ in range(3):  # each step makes the error smaller by the drift, a factor of 1000 or more
            local_ns = session_ns - pl.pl_clock_map_offset_at(&v, local_ns)
        return local_ns


cdef class ClockFilter:
    """A clock filter without a thread, for simulations and benchmarks."""

    cdef pl.pl_filter *filter

    def __cinit__(self, str kind="envelope"):
        self.filter = <pl.pl_filter *>PyMem_Calloc(1, sizeof(pl.pl_filter))
        if self.filter == NULL:
            raise MemoryError
        pl.pl_filter_init(self.filter, _FILTER_KINDS[kind])

    def __dealloc__(self):
        PyMem_Free(self.filter)

    def add(self, int64_t peer_send_ns, int64_t host_recv_ns, int64_t host_send_ns, int64_t peer_recv_ns):
        """Add one exchange. False when its times contradict each other: then it is ignored."""
        cdef pl.pl_exchange e
        e.peer_send_ns, e.host_recv_ns = peer_send_ns, host_recv_ns
        e.host_send_ns, e.peer_recv_ns = host_send_ns, peer_recv_ns
        return bool(pl.pl_filter_add(self.filter, &e))

    def map(self, int64_t now_ns):
        """The map as known at local time `now_ns`; None before the first exchange."""
        cdef pl.pl_clock_map_value v
        if not pl.pl_filter_map(self.filter, now_ns, &v):
            return None
        return ClockMapValue(**v)

    def rtt_ns(self, int64_t now_ns):
        """The round trip that nine of ten recent exchanges stay below, in ns; 0 when there are none."""
        return pl.pl_filter_rtt_ns(self.filter, now_ns)

    @property
    def samples(self):
        """Exchanges accepted."""
        return self.filter.samples

    @property
    def bends(self):
        """Changes of a clock's speed that were found."""
        return self.filter.envelope.bend.bends

    @property
    def steps(self):
        """Steps of a clock that were found."""
        return self.filter.steps


cdef pl.pl_address _address(bytes packed):
    cdef pl.pl_address a
    if len(packed) == 4:
        packed = b"\0" * 10 + b"\xff\xff" + packed
    if len(packed) != 16:
        raise ValueError("an address has 4 or 16 bytes")
    memcpy(a.bytes, <const char *>packed, 16)
    return a


cdef pl.pl_siphash_key _key(bytes key):
    cdef pl.pl_siphash_key k
    if len(key) != pl.PL_SIPHASH_KEY_BYTES:
        raise ValueError("a key has 16 bytes")
    memcpy(k.bytes, <const char *>key, pl.PL_SIPHASH_KEY_BYTES)
    return k


def siphash(bytes key, bytes message):
    """SipHash-2-4 of a message under a key of 16 bytes, an integer of 64 bits; for tests and benchmarks."""
    cdef pl.pl_siphash_key k = _key(key)
    return pl.pl_siphash(&k, <const uint8_t *><const char *>message, len(message))


cdef class _Stopping:
    """Two connected sockets. A native thread that waits also waits for one of them, and wakes when the other one is
    closed."""

    cdef object heard, rung
    cdef bint began

    def __cinit__(self):
        self.heard, self.rung = socket.socketpair()

    cdef intptr_t begin(self) except? -1:
        """The thread begins: the socket that it waits for."""
        self.began = True
        return self.heard.fileno()

    cdef void end(self):
        """Wake the thread."""
        self.rung.close()
        if not self.began:
            self.heard.close()


cdef class Responder:
    """The host's clock thread: answers pings of allowed peers with session time by `clock_map`. `run` blocks without
    the interpreter's lock until `stop`."""

    cdef pl.pl_responder *responder
    cdef _Stopping stopping
    cdef readonly ClockMap clock_map

    def __cinit__(self, intptr_t fd, ClockMap clock_map):
        self.responder = <pl.pl_responder *>PyMem_Calloc(1, sizeof(pl.pl_responder))
        if self.responder == NULL:
            raise MemoryError
        self.stopping = _Stopping()
        self.clock_map = clock_map
        pl.pl_responder_init(self.responder, fd, &clock_map.map)

    def __dealloc__(self):
        PyMem_Free(self.responder)

    def allow(self, uint32_t peer_id, bytes packed_address, bytes key):
        """Answer this peer's pings from this address (4 or 16 bytes) under this key (16 bytes), and under no earlier
        key. False when there are too many peers."""
        cdef pl.pl_address a = _address(packed_address)
        cdef pl.pl_siphash_key k = _key(key)
        return bool(pl.pl_responder_allow(self.responder, peer_id, &a, &k))

    def forbid(self, uint32_t peer_id):
        """Stop answering this peer."""
        pl.pl_responder_forbid(self.responder, peer_id)

    def run(self):
        """Returns 0, or the negative of a system error."""
        cdef int result
        cdef intptr_t stop_fd = self.stopping.begin()
        with nogil:
            result = pl.pl_responder_run(self.responder, stop_fd)
        self.stopping.heard.close()
        return result

    def stop(self):
        """Make `run` return soon."""
        pl.pl_store_relaxed(&self.responder.stop, 1)
        self.stopping.end()

    @property
    def counts(self):
        """Packets so far: (answered, refused)."""
        return self.responder.answered, self.responder.refused


cdef class Pinger:
    """The peer's clock thread: measures the host's clock and keeps `clock_map` up to date. The socket is connected to
    the host's clock port."""

    cdef pl.pl_pinger *pinger
    cdef _Stopping stopping
    cdef readonly ClockMap clock_map

    def __cinit__(self, intptr_t fd, uint32_t peer_id, bytes key, ClockMap clock_map, str kind="envelope"):
        cdef pl.pl_siphash_key k = _key(key)
        self.pinger = <pl.pl_pinger *>PyMem_Calloc(1, sizeof(pl.pl_pinger))
        if self.pinger == NULL:
            raise MemoryError
        self.clock_map = clock_map
        pl.pl_pinger_init(self.pinger, fd, peer_id, _FILTER_KINDS[kind], &clock_map.map)
        pl.pl_pinger_use_key(self.pinger, &k)
        self.stopping = _Stopping()

    def __dealloc__(self):
        PyMem_Free(self.pinger)

    def use_key(self, bytes key):
        """Use this key from now on, also while `run` measures. Earlier measurements stay valid."""
        cdef pl.pl_siphash_key k = _key(key)
        pl.pl_pinger_use_key(self.pinger, &k)

    def run(self):
        """Returns 0, or the negative of a system error."""
        cdef int result
        cdef intptr_t stop_fd = self.stopping.begin()
        with nogil:
            result = pl.pl_pinger_run(self.pinger, stop_fd)
        self.stopping.heard.close()
        return result

    def stop(self):
        """Make `run` return soon."""
        pl.pl_store_relaxed(&self.pinger.stop, 1)
        self.stopping.end()

    def status(self):
        """A coherent PingerStatus."""
        cdef pl.pl_pinger_status s
        while not pl.pl_pinger_read_status(self.pinger, &s):
            pass
        return PingerStatus(**s)

    def trace(self):
        """The newest exchanges, at most 4096, oldest first: (peer_send, host_recv, host_send, peer_recv) in ns. While
        `run` measures, the oldest row may be a mix of two exchanges."""
        cdef int64_t count = <int64_t>self.pinger.trace_count, k
        rows = []
        for k in range(max(0, count - pl.PL_TRACE), count):
            e = self.pinger.trace[k % pl.PL_TRACE]
            rows.append((e.peer_send_ns, e.host_recv_ns, e.host_send_ns, e.peer_recv_ns))
        return rows


cdef class OutputClock:
    """The output clock of pl_output_clock.h without a stream, for tests and recorded accounts. `noise`: "late", "burst"
    or "both"."""

    cdef pl.pl_output_clock *clock

    def __cinit__(self, str noise, double rate_hz):
        self.clock = <pl.pl_output_clock *>PyMem_Calloc(1, sizeof(pl.pl_output_clock))
        if self.clock == NULL:
            raise MemoryError
        pl.pl_output_clock_init(self.clock, _NOISES[noise], rate_hz)

    def __dealloc__(self):
        PyMem_Free(self.clock)

    def add(
        self,
        double frame,
        int64_t leaves_ns,
        int64_t now_ns,
        int64_t frames,
        int64_t after_ns=0,
        double burst_ns=0.0,
        pl.c_bool restarted=False,
    ):
        """Add a moment: `frame` leaves at local time `leaves_ns`. It came in a callback at `now_ns` for `frames`
        frames. With "burst", the frame leaves before `leaves_ns`, and after a burst before `after_ns`; `restarted`:
        the stream had stopped. True when the line slipped."""
        cdef pl.pl_moment moment
        moment.frame, moment.leaves_ns, moment.after_ns = frame, leaves_ns, after_ns
        moment.burst_ns, moment.restarted = burst_ns, restarted
        return pl.pl_output_clock_add_rt(self.clock, &moment, now_ns, frames)

    def leaves_ns(self, double frame):
        """The local time at which a frame leaves, in ns, as an int."""
        return self.clock.base_ns + round(pl.pl_output_clock_at_rt(self.clock, frame * self.clock.frame_ns))

    def deviation_ns(self, double frame):
        """One standard deviation of that; 1e6 while it is unknown."""
        return pl.pl_output_clock_deviation_rt(self.clock, frame * self.clock.frame_ns)

    @property
    def card_ppm(self):
        """By how much a frame of the card is longer than the nominal one."""
        return pl.pl_output_clock_slope_rt(self.clock) * 1e6

    @property
    def slips(self):
        """How often the line slipped."""
        return self.clock.slips


cdef class Account:
    """A platform's account of one of its streams; see pl_account.h. A handle is an address that the stream's owner
    keeps valid."""

    cdef pl.pl_account *account

    def __dealloc__(self):
        pl.pl_account_free(self.account)

    @staticmethod
    cdef Account _of(pl.pl_account *account):
        if account == NULL:
            return None
        cdef Account self = Account.__new__(Account)
        self.account = account
        return self

    @property
    def timing(self):
        """What the account is worth: "exact", "told" or "unknown"; see pl_timing."""
        return "unknown" if self.is_silent else ("unknown", "told", "exact")[self.account.timing]

    @property
    def is_silent(self):
        """Does the engine do without the account, because it gives no moments?"""
        return self.account.silent != 0

    @staticmethod
    def alsa(size_t pcm, double rate_hz):
        """Of the snd_pcm_t at address `pcm`, which plays at this rate. None where ALSA's library gives no account."""
        return Account._of(pl.pl_account_alsa(<void *>pcm, rate_hz))

    @staticmethod
    def pulse(size_t stream):
        """Of the pa_stream at address `stream`. None where PulseAudio's library gives no account."""
        return Account._of(pl.pl_account_pulse(<void *>stream))

    @staticmethod
    def jack(size_t client):
        """Of the JACK client that plays. None where JACK's library gives no account."""
        return Account._of(pl.pl_account_jack(<void *>client))

    @staticmethod
    def wasapi(size_t client, double rate_hz):
        """Of the IAudioClient at address `client`; must be ended on this thread. None where it gives no account."""
        return Account._of(pl.pl_account_wasapi(<void *>client, rate_hz))

    @staticmethod
    def coreaudio(size_t unit):
        """Of the output AudioUnit that plays, which the account must outlive. None where it gives no account."""
        return Account._of(pl.pl_account_coreaudio(<void *>unit))

    def latency_ns(self):
        """From the account's moment of a frame to the moment at which it leaves the loudspeaker, in ns. May take
        milliseconds."""
        if self.account.latency_ns == NULL:
            return 0
        return self.account.latency_ns(self.account)

    def end(self):
        """The stream has ended. Call it on the thread that made the account."""
        pl.pl_account_end(self.account)

    @staticmethod
    def pipewire(size_t stream, double rate_hz, Engine engine not None):
        """Of the pw_stream at address `stream`, whose callbacks are PIPEWIRE_PROCESS and PIPEWIRE_IO_CHANGED; `engine`
        fills its buffers. None where PipeWire's library gives no account."""
        return Account._of(pl.pl_pipewire_account(<void *>stream, rate_hz, engine.engine))

    @property
    def address(self):
        """The argument of PipeWire's callbacks."""
        return <size_t>self.account


ctypedef struct _ManualAccount:
    pl.pl_account account
    pl.pl_moment moment
    bint has_moment


cdef pl.c_bool _query_manual_rt(
    pl.pl_account *account, int64_t frame, int64_t now_ns, pl.pl_moment *moment
) noexcept nogil:
    cdef _ManualAccount *manual = <_ManualAccount *>account
    moment[0] = manual.moment
    return manual.has_moment


cdef class ManualAccount(Account):
    """An account whose moments are set by hand, for tests."""

    def __init__(self, str noise):
        cdef _ManualAccount *manual = <_ManualAccount *>calloc(1, sizeof(_ManualAccount))
        if manual == NULL:
            raise MemoryError
        manual.account.query_rt = _query_manual_rt
        manual.account.noise = _NOISES[noise]
        manual.account.timing = pl.PL_TIMING_EXACT
        self.account = &manual.account

    def set_moment(self, double frame, int64_t leaves_ns):
        """Give this moment in all callbacks from now on: `frame` of the stream leaves at local time `leaves_ns`."""
        cdef _ManualAccount *manual = <_ManualAccount *>self.account
        manual.moment.frame, manual.moment.leaves_ns, manual.has_moment = frame, leaves_ns, True

    def clear_moment(self):
        """Give no moment from now on."""
        (<_ManualAccount *>self.account).has_moment = False


PIPEWIRE_PROCESS = <size_t><void *>pl.pl_pipewire_process_rt
PIPEWIRE_IO_CHANGED = <size_t><void *>pl.pl_pipewire_io_changed


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


def find_arrivals(
    const float[::1] recording,
    double rate_hz,
    sweeps,
    double low_hz,
    double high_hz,
    double begin_s,
    double reach_s,
    sounds,
):
    """Find the sounds of a calibration pass in a mono recording; see pl_arrival.h.

    `sweeps` are two buffers of equal length; `sounds` has (number of the sweep, 2 to MAX_STARTS ascending starts) for
    each machine. Returns (a SweepArrival for each machine, how much faster the clock of the microphone runs, how many
    frames are at full scale). ValueError if a quantity is out of range.
    """
    cdef const float[::1] first = sweeps[0], second = sweeps[1]
    cdef int32_t machines = len(sounds), sweep_frames = first.shape[0], k, j
    cdef int64_t frames = recording.shape[0], clipped = 0
    cdef const float *both[pl.PL_SWEEPS]
    cdef pl.pl_responses responses
    cdef double rate_error = 0
    cdef bint good
    if not (16000 <= rate_hz <= 96000 and 0 < low_hz < high_hz < rate_hz / 2):
        raise ValueError("rate out of range")
    if not (abs(begin_s) <= 60 and 0.1 <= reach_s <= 10):
        raise ValueError("time out of range")
    if not 0 < sweep_frames == second.shape[0] <= rate_hz or not machines:
        raise ValueError("sounds out of range")
    both[0], both[1] = &first[0], &second[0]
    cdef pl.pl_sounds *places = <pl.pl_sounds *>PyMem_Calloc(machines, sizeof(pl.pl_sounds))
    cdef pl.pl_arrival *arrivals = <pl.pl_arrival *>PyMem_Calloc(machines, sizeof(pl.pl_arrival))
    try:
        if places == NULL or arrivals == NULL:
            raise MemoryError
        for k, (sweep, starts_s) in enumerate(sounds):
            if not (2 <= len(starts_s) <= pl.PL_MAX_STARTS and 0 <= sweep < pl.PL_SWEEPS):
                raise ValueError("sounds out of range")
            places[k].sweep, places[k].count = sweep, len(starts_s)
            for j, start_s in enumerate(starts_s):
                places[k].starts_s[j] = start_s
                if not 0 <= start_s <= 600 or (j and not start_s > starts_s[j - 1]):
                    raise ValueError("sounds out of range")
        with nogil:
            good = pl.pl_responses_init(
                &responses, &recording[0] if frames else NULL, frames, rate_hz, both, sweep_frames, low_hz, high_hz
            )
            if good:
                clipped = responses.clipped
                good = pl.pl_arrivals_find(
                    &responses, begin_s, reach_s, places, machines, arrivals, &rate_error
                )
                pl.pl_responses_free(&responses)
        if not good:
            raise MemoryError
        return [SweepArrival(**arrivals[k]) for k in range(machines)], rate_error, clipped
    finally:
        PyMem_Free(places)
        PyMem_Free(arrivals)


def find_song(
    const float[::1] recording,
    double rate_hz,
    double begin_s,
    const float[::1] song,
    double song_rate_hz,
    turns,
    double fade_s,
    double reach_s,
):
    """Find when a song arrives from the machines that play it in turns; see pl_song.h.

    `song` is interleaved stereo; `turns` has (role, begin_s, end_s) for each turn. Returns (a SongArrival for each
    turn, how much faster the clock of the microphone runs). KeyError for another role, ValueError if a quantity is out
    of range.
    """
    cdef int32_t count = len(turns), k
    cdef double rate_error = 0
    cdef bint good
    if not (8000 <= rate_hz <= 192000 and 8000 <= song_rate_hz <= 192000):
        raise ValueError("rate out of range")
    if not (abs(begin_s) <= 600 and 0.1 <= reach_s <= 2 and 0.01 <= fade_s <= 1) or not count:
        raise ValueError("time out of range")
    cdef pl.pl_turn *places = <pl.pl_turn *>PyMem_Calloc(count, sizeof(pl.pl_turn))
    cdef pl.pl_song_arrival *arrivals = <pl.pl_song_arrival *>PyMem_Calloc(count, sizeof(pl.pl_song_arrival))
    try:
        if places == NULL or arrivals == NULL:
            raise MemoryError
        for k, (role, turn_begin_s, turn_end_s) in enumerate(turns):
            places[k].role, places[k].begin_s, places[k].end_s = _ROLES[role], turn_begin_s, turn_end_s
            if not (0 <= turn_begin_s <= 600 and 8 * fade_s <= turn_end_s - turn_begin_s <= 10):
                raise ValueError("time out of range")
        with nogil:
            good = pl.pl_song_find(
                &recording[0] if recording.shape[0] else NULL, recording.shape[0], rate_hz, begin_s,
                &song[0] if song.shape[0] else NULL, song.shape[0] // 2, song_rate_hz,
                places, count, fade_s, reach_s, arrivals, &rate_error,
            )
        if not good:
            raise MemoryError
        return [SongArrival(**arrivals[k]) for k in range(count)], rate_error
    finally:
        PyMem_Free(places)
        PyMem_Free(arrivals)
