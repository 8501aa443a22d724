# The clock of this machine and that of the host. A part of _native.pyx.


def now_ns():
    """Local time: the monotonic clock, in ns."""
    return pl.pl_now_ns_rt()


def set_clock_skew(double ppm, int64_t ahead_ns=0):
    """Make this process's clock run `ppm` fast and be `ahead_ns` ahead from now on. Call it before any thread uses
    the clock."""
    pl.pl_clock_set_skew(ppm, ahead_ns)


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
