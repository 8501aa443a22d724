# Declarations of the C core, nothing else.
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uint32_t, uint64_t


cdef extern from "pl_clock.h" nogil:
    ctypedef struct pl_atomic_u32:
        pass
    ctypedef struct pl_clock_map_value:
        int64_t local_ns, offset_ns
        double drift, uncertainty_ns, drift_uncertainty
        bint valid
    ctypedef struct pl_clock_map:
        uint32_t silent
    int64_t pl_now_ns_rt()
    void pl_clock_set_skew(double ppm, int64_t ahead_ns)
    void pl_clock_map_init(pl_clock_map *map, bint identity)
    void pl_clock_map_write(pl_clock_map *map, const pl_clock_map_value *value)
    bint pl_clock_map_read_rt(pl_clock_map *map, pl_clock_map_value *value)
    int64_t pl_clock_map_offset_at(const pl_clock_map_value *value, int64_t local_ns)


cdef extern from "pl_filter.h" nogil:
    ctypedef enum pl_filter_kind:
        PL_FILTER_ENVELOPE
        PL_FILTER_MEDIAN
        PL_FILTER_KALMAN
    ctypedef struct pl_exchange:
        int64_t peer_send_ns, host_recv_ns, host_send_ns, peer_recv_ns
    ctypedef struct pl_bend:
        int64_t bends
    ctypedef struct pl_envelope:
        pl_bend bend
    ctypedef struct pl_filter:
        int64_t samples, steps
        pl_envelope envelope
    void pl_filter_init(pl_filter *filter, pl_filter_kind kind)
    bint pl_filter_add(pl_filter *filter, const pl_exchange *exchange)
    bint pl_filter_map(pl_filter *filter, int64_t now_ns, pl_clock_map_value *map)
    int64_t pl_filter_rtt_ns(const pl_filter *filter, int64_t now_ns)


cdef extern from "pl_siphash.h" nogil:
    enum: PL_SIPHASH_KEY_BYTES
    ctypedef struct pl_siphash_key:
        uint8_t bytes[PL_SIPHASH_KEY_BYTES]
    uint64_t pl_siphash(const pl_siphash_key *key, const uint8_t *message, size_t size)


cdef extern from "pl_udp.h" nogil:
    enum: PL_ADDRESS_BYTES
    enum: PL_TRACE
    enum: PL_TRAIN_PINGS
    enum: PL_YOUNG_PINGS
    enum: PL_BURST_PINGS
    enum: PL_BURST_UPDATE_ANSWERS
    const int64_t PL_TRAIN_INTERVAL_NS
    const int64_t PL_TRAIN_NS
    const int64_t PL_PING_NS
    const int64_t PL_BURST_NS
    const int64_t PL_YOUNG_NS
    const int64_t PL_CALM_INTERVAL_NS
    const int64_t PL_WAKING_NS
    const double PL_CALM_PING_NS
    enum: PL_MIN_CALM_PINGS
    ctypedef struct pl_address:
        uint8_t bytes[PL_ADDRESS_BYTES]
    ctypedef struct pl_responder:
        pl_atomic_u32 stop
        uint64_t answered, refused
    void pl_responder_init(pl_responder *responder, intptr_t fd, pl_clock_map *map)
    bint pl_responder_allow(
        pl_responder *responder, uint32_t peer_id, const pl_address *address, const pl_siphash_key *key
    )
    void pl_responder_forbid(pl_responder *responder, uint32_t peer_id)
    int pl_responder_run(pl_responder *responder, intptr_t stop_fd)
    ctypedef struct pl_pinger_status:
        int64_t rtt_ns, last_sample_ns
        uint64_t samples, sent, refused, asked, steps
    ctypedef struct pl_pinger:
        pl_atomic_u32 stop
        uint64_t trace_count
        pl_exchange trace[PL_TRACE]
    void pl_pinger_init(
        pl_pinger *pinger, intptr_t fd, uint32_t peer_id, pl_filter_kind kind, pl_clock_map *map
    )
    void pl_pinger_use_key(pl_pinger *pinger, const pl_siphash_key *key)
    int pl_pinger_run(pl_pinger *pinger, intptr_t stop_fd)
    bint pl_pinger_read_status(pl_pinger *pinger, pl_pinger_status *status)
    void pl_store_relaxed(pl_atomic_u32 *p, int value)


cdef extern from "<stdbool.h>" nogil:
    ctypedef bint c_bool "bool"


cdef extern from "pl_output_clock.h" nogil:
    ctypedef enum pl_noise:
        PL_NOISE_LATE
        PL_NOISE_BURST
        PL_NOISE_BOTH
    ctypedef struct pl_moment:
        double frame
        int64_t leaves_ns
        int64_t after_ns
        double burst_ns
        c_bool restarted
    ctypedef struct pl_output_clock:
        double frame_ns
        int64_t base_ns
        int64_t slips
    void pl_output_clock_init(pl_output_clock *clock, pl_noise noise, double rate_hz)
    bint pl_output_clock_add_rt(pl_output_clock *clock, const pl_moment *moment, int64_t now_ns, int64_t frames)
    double pl_output_clock_at_rt(const pl_output_clock *clock, double x)
    double pl_output_clock_deviation_rt(const pl_output_clock *clock, double x)
    double pl_output_clock_slope_rt(const pl_output_clock *clock)

cdef extern from "pl_account.h" nogil:
    ctypedef enum pl_timing:
        PL_TIMING_UNKNOWN
        PL_TIMING_TOLD
        PL_TIMING_EXACT
    ctypedef struct pl_account:
        c_bool (*query_rt)(pl_account *account, int64_t frame, int64_t now_ns, pl_moment *moment) noexcept nogil
        pl_noise noise
        uint32_t timing
        uint32_t silent
        int64_t idle_ns
        int64_t coming_lead_ns
        int64_t (*latency_ns)(pl_account *account)
    const int64_t PL_PULSE_BUFFER_NS
    pl_account *pl_account_alsa(void *pcm, double rate_hz)
    pl_account *pl_account_pulse(void *stream)
    pl_account *pl_account_jack(void *client)
    pl_account *pl_account_wasapi(void *client, double rate_hz)
    pl_account *pl_account_coreaudio(void *unit)
    void pl_account_end(pl_account *account)
    void pl_account_free(pl_account *account)


cdef extern from "pl_priority.h" nogil:
    ctypedef enum pl_priority:
        PL_PRIORITY_UNKNOWN
    pl_priority pl_thread_priority(int64_t id)
    int pl_thread_make_real_time(int64_t id, int level)


cdef extern from "pl_engine.h" nogil:
    int64_t PL_NO_END
    enum: PL_DECKS
    ctypedef struct pl_kernel:
        int taps
    bint pl_kernel_init(pl_kernel *kernel, double from_hz, double to_hz)
    void pl_kernel_free(pl_kernel *kernel)
    void pl_kernel_frame_rt(const pl_kernel *kernel, const float *left, const float *right, double fraction, float *out)
    ctypedef struct pl_ring:
        pass
    uint32_t pl_ring_reset(pl_ring *ring, int64_t frame)
    int64_t pl_ring_room(pl_ring *ring)
    int64_t pl_ring_acquire(pl_ring *ring, uint32_t generation, float **span)
    bint pl_ring_commit(pl_ring *ring, uint32_t generation, int64_t frames)
    bint pl_ring_finish(pl_ring *ring, uint32_t generation)
    int64_t pl_ring_written(pl_ring *ring)
    ctypedef struct pl_deck:
        pl_ring ring
        uint32_t state
        int64_t want_frame
    ctypedef struct pl_engine_status:
        int64_t device_frames, lead_ns
        double dac_uncertainty_ns, card_ppm, phase_error_ns, correction_ppm
        int64_t underruns, jumps, slips, cursor_ns
        bint audible, following
        double volume
        int64_t dac_ns
    ctypedef struct pl_engine:
        pl_deck decks[PL_DECKS]
        int64_t output_latency_ns, device_frames
    bint pl_engine_init(pl_engine *engine, pl_clock_map *clock, int64_t ring_frames)
    void pl_engine_free(pl_engine *engine)
    void pl_engine_stream(pl_engine *engine, double device_rate_hz, pl_account *account)
    int64_t pl_engine_thread_id(pl_engine *engine)
    int pl_engine_free_deck(pl_engine *engine)
    bint pl_engine_arm(
        pl_engine *engine, int deck, double track_rate_hz, int64_t anchor_frame, int64_t start_ns,
        int64_t stop_ns, bint seamless, int64_t crossfade_ns
    )
    bint pl_engine_crossfade_out(pl_engine *engine, int deck, int64_t begin_ns, int64_t crossfade_ns)
    bint pl_engine_stop_at(pl_engine *engine, int64_t stop_ns)
    bint pl_engine_cancel(pl_engine *engine, int deck)
    void pl_engine_serve_at_rt(pl_engine *engine, float *out, int64_t frames, int64_t now_ns)
    void pl_engine_callback_rt(void *device, void *out, const void *input, uint32_t frames)
    size_t pl_engine_user_offset
    bint pl_engine_read_status(pl_engine *engine, pl_engine_status *status)
    void pl_engine_set_volume(pl_engine *engine, double volume)
    ctypedef enum pl_role:
        PL_STEREO, PL_LEFT, PL_RIGHT, PL_MONO
    void pl_engine_set_role(pl_engine *engine, pl_role role)
    enum:
        PL_QUIETS, PL_QUIET_FADE_NS
    ctypedef struct pl_quiet:
        int64_t begin_ns, end_ns
    bint pl_engine_set_quiet(pl_engine *engine, const pl_quiet *quiet)


cdef extern from "pl_pipewire.h" nogil:
    void pl_pipewire_io_changed(void *account, uint32_t id, void *area, uint32_t size)
    pl_account *pl_pipewire_account(void *stream, double rate_hz, pl_engine *engine)
    void pl_pipewire_process_rt(void *account)


cdef extern from "pl_null.h" nogil:
    enum: PL_NULL_RATE_HZ
    const int64_t PL_NULL_BLOCK_NS
    ctypedef struct pl_null:
        pl_engine *engine
        pl_atomic_u32 stop
    void pl_null_run(pl_null *card, intptr_t stop_fd)


cdef extern from "pl_mp3.h" nogil:
    ctypedef struct pl_mp3_reader:
        int64_t packet_at
    ctypedef struct pl_mp3_summary:
        int32_t rate_hz, packet_frames, smallest_packet
        int64_t packets, mono_packets, packet_bytes
        int64_t claimed_packets, packets_before_claim, packets_before_change
        int32_t encoder_delay, encoder_padding
        bint cut
    bint pl_mp3_open(pl_mp3_reader *reader, int fd)
    size_t pl_mp3_index_bound(const pl_mp3_reader *reader)
    bint pl_mp3_scan(pl_mp3_reader *reader, pl_mp3_summary *summary, int64_t *index, size_t capacity)
    void pl_mp3_seek(pl_mp3_reader *reader, int64_t offset)
    int pl_mp3_read(pl_mp3_reader *reader, uint8_t *packet, size_t capacity)


cdef extern from "pl_spectrum.h" nogil:
    enum: PL_BANDS
    ctypedef struct pl_spectrum:
        int32_t hop
    void pl_spectrum_init(pl_spectrum *spectrum, double rate_hz)
    int64_t pl_spectrum_feed(pl_spectrum *spectrum, const float *stereo, int64_t frames, uint8_t *levels)
    int64_t pl_spectrum_due(const pl_spectrum *spectrum)
    void pl_spectrum_finish(pl_spectrum *spectrum, uint8_t *levels)
    float pl_peak(const float *stereo, int64_t frames)


cdef extern from "pl_sweep.h" nogil:
    enum: PL_SWEEPS
    ctypedef struct pl_responses:
        int64_t clipped
    bint pl_responses_init(pl_responses *responses, const float *recording, int64_t count, double rate_hz,
                           const float **sweeps, int32_t sweep_frames, double low_hz, double high_hz)
    void pl_responses_free(pl_responses *responses)


cdef extern from "pl_arrival.h" nogil:
    enum: PL_MAX_STARTS
    ctypedef enum pl_verdict:
        PL_ARRIVAL_HEARD
        PL_ARRIVAL_ABSENT
        PL_ARRIVAL_NOISE
        PL_ARRIVAL_ECHO
        PL_ARRIVAL_UNSTEADY
    ctypedef struct pl_sounds:
        int32_t sweep, count
        double starts_s[PL_MAX_STARTS]
    ctypedef struct pl_arrival:
        int32_t verdict
        double arrival_s, spread_s, level, peak, noise
    bint pl_arrivals_find(pl_responses *responses, double begin_s, double reach_s, const pl_sounds *sounds,
                          int32_t machines, pl_arrival *arrivals, double *rate_error)


cdef extern from "pl_song.h" nogil:
    ctypedef struct pl_turn:
        int32_t role
        double begin_s, end_s
    ctypedef struct pl_song_arrival:
        double delay_s, spread_s, noise, before
    bint pl_song_find(const float *recording, int64_t count, double rate_hz, double begin_s, const float *song,
                      int64_t song_count, double song_rate_hz, const pl_turn *turns, int32_t turn_count,
                      double fade_s, double reach_s, pl_song_arrival *arrivals, double *rate_error)


cdef extern from "pl_mix.h" nogil:
    enum: PL_MAX_MIXED_CHANNELS
    void pl_mix_down(const float *source, int32_t channels, int64_t frames, float *stereo)
    void pl_amplify(float *stereo, int64_t frames, double gain, double step)


cdef extern from "pl_sound_range.h" nogil:
    ctypedef struct pl_sound_range:
        int64_t frames, begin, end
    void pl_sound_range_init(pl_sound_range *range)
    void pl_sound_range_feed(pl_sound_range *range, const float *stereo, int64_t frames)


cdef extern from "pl_loudness.h" nogil:
    ctypedef struct pl_loudness:
        pass
    void pl_loudness_init(pl_loudness *loudness, double rate_hz)
    void pl_loudness_feed(pl_loudness *loudness, const float *stereo, int64_t frames)
    double pl_loudness_integrated(const pl_loudness *loudness)
    double pl_loudness_range(const pl_loudness *loudness)
    double pl_loudness_true_peak(const pl_loudness *loudness)
