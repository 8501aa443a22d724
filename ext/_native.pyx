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
PULSE_BUFFER_NS = pl.PL_PULSE_BUFFER_NS
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


def thread_priority(int64_t thread):
    """The priority of a thread of this process, by its number in the system: "normal", "raised" or "real-time";
    "unknown" where there is no such thread."""
    return ("unknown", "normal", "raised", "real-time")[<int>pl.pl_thread_priority(thread)]


def make_thread_real_time(int64_t thread, int level):
    """Ask the system for real-time scheduling of a thread, at a level of 1 to 99. OSError when it is not granted."""
    cdef int error = pl.pl_thread_make_real_time(thread, level)
    if error:
        raise OSError(error, os.strerror(error))


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


include "_clock.pxi"
include "_output.pxi"
include "_engine.pxi"
include "_sound.pxi"
include "_arrivals.pxi"
