# When the frames of a stream leave the output. A part of _native.pyx.


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
