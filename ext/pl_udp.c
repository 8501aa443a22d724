#include "pl_udp.h"

#include <math.h>

PL_ASSERT_FITS_SEQLOCK(pl_allowed_peer);
PL_ASSERT_FITS_SEQLOCK(pl_pinger_status);
PL_ASSERT_FITS_SEQLOCK(pl_siphash_key);

/* ---- the packet ---- */

enum { PING = 1, PONG = 2 };
/* Where its fields begin, in bytes. */
enum { TYPE_AT = 0, PEER_ID_AT = 1, PEER_SEND_AT = 5, HOST_RECV_AT = 13, HOST_SEND_AT = 21, MAC_AT = 29 };
_Static_assert(MAC_AT + 8 == PL_CLOCK_PACKET_BYTES, "the last field ends the packet");
/* Room for a packet that is too long, so that it is recognised as such. */
enum { RECEIVE_BYTES = 256 };

/* ---- limits ---- */

/* A thread that woke this often in a row and found no datagram sleeps after each further time: an error may
 * stay, as while the network card is off. The errors that packets cause, one each, do not make it late. */
enum { MAX_EMPTY_WAKES = 1000, EMPTY_WAKE_MS = 1 };
/* The host answers each peer this many pings a second, and this many at once after a pause: twice what a peer
 * sends in its first second, 65 in the burst and 33 in each of four trains. */
static const double MAX_PINGS_PER_S = 400, MAX_PINGS_AT_ONCE = 400;
/* Answers that took longer are not used. */
static const int64_t MAX_AGE_NS = 2 * PL_NS_PER_S;
/* A smaller contradiction between an answer and the clock map is no step of a clock. */
static const double MIN_STEP_NS = 100e3;
/* Largest time on the wire, as on the control connection: sums and differences of two times cannot
 * overflow. */
static const int64_t MAX_TIME_NS = INT64_C(1) << 62;

static void put(uint8_t *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) b[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get(const uint8_t *b, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)b[i] << (8 * i);
    return v;
}

static uint64_t mac_of(const uint8_t *b, const pl_siphash_key *key) { return pl_siphash(key, b, MAC_AT); }

static void sign(uint8_t *b, const pl_siphash_key *key) { put(b + MAC_AT, mac_of(b, key), 8); }

/* Compares one 64-bit number, so the duration tells nothing about the right one. */
static bool is_authentic(const uint8_t *b, const pl_siphash_key *key) {
    return get(b + MAC_AT, 8) == mac_of(b, key);
}

/* Called after each wake of pl_datagram_wait, with whether there was any datagram. */
static void count_empty_wakes(int *empty_wakes, bool any, intptr_t stop_fd) {
    if (any) {
        *empty_wakes = 0;
    } else if (*empty_wakes < MAX_EMPTY_WAKES) {
        ++*empty_wakes;
    } else {
        pl_datagram_nap(stop_fd, EMPTY_WAKE_MS);
    }
}

/* Rounded up, so that a wait does not end too early. */
static int ms_from_ns(int64_t ns) { return (int)((ns + PL_NS_PER_MS - 1) / PL_NS_PER_MS); }

/* ---- the host's side ---- */

void pl_responder_init(pl_responder *r, intptr_t fd, pl_clock_map *map) {
    memset(r, 0, sizeof *r);
    r->fd = fd;
    r->map = map;
    pl_datagram_request_stamps(fd);
    pl_datagram_request_destinations(fd);
}

static bool read_slot(pl_responder *r, int slot, pl_allowed_peer *peer) {
    return pl_seqlock_read(&r->allowed[slot], peer, sizeof *peer);
}

bool pl_responder_allow(pl_responder *r, uint32_t peer_id, const pl_address *address,
                        const pl_siphash_key *key) {
    pl_responder_forbid(r, peer_id);
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        pl_allowed_peer peer;
        if (!read_slot(r, i, &peer) || peer.in_use) continue;
        peer = (pl_allowed_peer){
            .address = *address,
            .key = *key,
            .peer_id = peer_id,
            .in_use = 1,
            .is_neighbour = pl_datagram_is_neighbour(address),
        };
        pl_seqlock_write(&r->allowed[i], &peer, sizeof peer);
        return true;
    }
    return false;
}

void pl_responder_forbid(pl_responder *r, uint32_t peer_id) {
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        pl_allowed_peer peer;
        if (!read_slot(r, i, &peer) || !peer.in_use || peer.peer_id != peer_id) continue;
        peer = (pl_allowed_peer){0};
        pl_seqlock_write(&r->allowed[i], &peer, sizeof peer);
    }
}

/* Is this ping newer than all before it under this key? */
static bool is_newest(pl_heard_pings *heard, const pl_siphash_key *key, uint64_t send_ns) {
    if (memcmp(&heard->key, key, sizeof *key) != 0) {
        heard->key = *key;
        heard->newest_send_ns = 0;
    }
    if (send_ns <= heard->newest_send_ns) return false;
    heard->newest_send_ns = send_ns;
    return true;
}

/* Token bucket: false when this peer has used up its pings. */
static bool within_rate(pl_heard_pings *heard, int64_t now_ns) {
    double tokens = heard->tokens + (double)(now_ns - heard->tokens_at_ns) * 1e-9 * MAX_PINGS_PER_S;
    heard->tokens = tokens > MAX_PINGS_AT_ONCE ? MAX_PINGS_AT_ONCE : tokens;
    heard->tokens_at_ns = now_ns;
    if (heard->tokens < 1) return false;
    heard->tokens -= 1;
    return true;
}

/* The slot of the peer with this number and address, or -1. */
static int find_allowed(pl_responder *r, uint32_t peer_id, const pl_address *address, pl_allowed_peer *peer) {
    for (int i = 0; i < PL_MAX_PEERS; i++) {
        if (!read_slot(r, i, peer) || !peer->in_use || peer->peer_id != peer_id) continue;
        if (memcmp(peer->address.bytes, address->bytes, PL_ADDRESS_BYTES) == 0) return i;
    }
    return -1;
}

/* What a pong needs: one map for both its times, and the key. */
typedef struct {
    pl_clock_map_value map;
    const pl_siphash_key *key;
} pong_parts;

static void put_session_time(uint8_t *b, const pl_clock_map_value *map, int64_t local_ns) {
    put(b, (uint64_t)(local_ns + pl_clock_map_offset_at(map, local_ns)), 8);
}

static void complete_pong(uint8_t *b, const void *parts) {
    const pong_parts *p = parts;
    put_session_time(b + HOST_SEND_AT, &p->map, pl_now_ns_rt());
    sign(b, p->key);
}

/* Answer a datagram of `n` bytes, which is in `b`. False when it is no new ping of an allowed peer within its
 * rate. A datagram that is not authentic changes nothing. */
static bool answer(pl_responder *r, uint8_t *b, int n, const pl_datagram *d) {
    if (n != PL_CLOCK_PACKET_BYTES || b[TYPE_AT] != PING) return false;
    pl_address address = pl_datagram_address(&d->from);
    pl_allowed_peer peer;
    int slot = find_allowed(r, (uint32_t)get(b + PEER_ID_AT, 4), &address, &peer);
    if (slot < 0 || !is_authentic(b, &peer.key)) return false;
    pl_heard_pings *heard = &r->heard[slot];
    if (!is_newest(heard, &peer.key, get(b + PEER_SEND_AT, 8))) return false;
    if (!within_rate(heard, d->arrived_ns)) return false;
    pong_parts parts = {.key = &peer.key};
    if (!pl_clock_map_read_rt(r->map, &parts.map) || !parts.map.valid) return false;
    b[TYPE_AT] = PONG;
    put_session_time(b + HOST_RECV_AT, &parts.map, d->arrived_ns);
    pl_datagram_answer(r->fd, b, PL_CLOCK_PACKET_BYTES, complete_pong, &parts, d, peer.is_neighbour);
    return true;
}

int pl_responder_run(pl_responder *r, intptr_t stop_fd) {
    int empty_wakes = 0;
    while (!pl_load_relaxed(&r->stop)) {
        if (!pl_datagram_wait(r->fd, stop_fd, -1)) continue;
        bool any = false;
        while (!pl_load_relaxed(&r->stop)) {
            uint8_t b[RECEIVE_BYTES];
            pl_datagram d;
            int n = pl_datagram_receive(r->fd, b, sizeof b, &d);
            if (n < 0) return -pl_datagram_error();
            if (n == 0) break;
            any = true;
            if (answer(r, b, n, &d)) {
                r->answered++;
            } else {
                r->refused++;
            }
        }
        count_empty_wakes(&empty_wakes, any, stop_fd);
    }
    return 0;
}

/* ---- the peer's side ---- */

void pl_pinger_init(pl_pinger *p, intptr_t fd, uint32_t peer_id, pl_filter_kind kind, pl_clock_map *map) {
    memset(p, 0, sizeof *p);
    p->fd = fd;
    p->peer_id = peer_id;
    p->map = map;
    p->earlier.valid = false;
    pl_clock_map_read_rt(map, &p->earlier);
    p->earlier_until_ns = pl_now_ns_rt() + PL_EARLIER_NS;
    pl_filter_init(&p->filter, kind);
    pl_datagram_request_stamps(fd);
}

void pl_pinger_use_key(pl_pinger *p, const pl_siphash_key *key) {
    pl_seqlock_write(&p->key, key, sizeof *key);
}

static bool read_key(pl_pinger *p, pl_siphash_key *key) { return pl_seqlock_read(&p->key, key, sizeof *key); }

static void send_ping(pl_pinger *p, bool is_measurement) {
    uint8_t b[PL_CLOCK_PACKET_BYTES] = {PING};
    pl_siphash_key key;
    p->sent++;
    p->asked += is_measurement;
    if (!read_key(p, &key)) return; /* counts as a loss on the way */
    int place = p->next_outstanding;
    p->next_outstanding = (place + 1) % PL_OUTSTANDING;
    put(b + PEER_ID_AT, p->peer_id, 4);
    int64_t now_ns = pl_now_ns_rt();
    put(b + PEER_SEND_AT, (uint64_t)now_ns, 8);
    sign(b, &key);
    p->outstanding[place].sent_ns = now_ns;
    p->outstanding[place].is_measurement = is_measurement;
    pl_datagram_send(p->fd, b, sizeof b);
}

/* Are the times of an answered ping possible, and is it recent enough to be used? The host's times are not
 * trusted. */
static bool is_plausible(const pl_exchange *e) {
    int64_t took_ns = e->peer_recv_ns - e->peer_send_ns;
    return took_ns < MAX_AGE_NS && e->host_recv_ns > 0 && e->host_send_ns >= e->host_recv_ns &&
           e->host_send_ns <= MAX_TIME_NS && e->host_send_ns - e->host_recv_ns <= took_ns;
}

/* Does a datagram of `n` bytes answer a ping of ours, for the first time? Sets the exchange, and whether that
 * ping was a measurement. */
static bool read_pong(pl_pinger *p, const uint8_t *b, int n, int64_t arrived_ns, pl_exchange *e,
                      bool *is_measurement) {
    if (n != PL_CLOCK_PACKET_BYTES || b[TYPE_AT] != PONG) return false;
    if (get(b + PEER_ID_AT, 4) != p->peer_id) return false;
    pl_siphash_key key;
    if (!read_key(p, &key) || !is_authentic(b, &key)) return false;
    int64_t sent_ns = (int64_t)get(b + PEER_SEND_AT, 8);
    for (int i = 0; i < PL_OUTSTANDING; i++) {
        if (p->outstanding[i].sent_ns != sent_ns || !sent_ns) continue;
        *is_measurement = p->outstanding[i].is_measurement;
        p->outstanding[i].sent_ns = 0;
        *e = (pl_exchange){
            .peer_send_ns = sent_ns,
            .host_recv_ns = (int64_t)get(b + HOST_RECV_AT, 8),
            .host_send_ns = (int64_t)get(b + HOST_SEND_AT, 8),
            .peer_recv_ns = arrived_ns,
        };
        return is_plausible(e);
    }
    return false;
}

bool pl_pinger_read_status(pl_pinger *p, pl_pinger_status *status) {
    return pl_seqlock_read(&p->status, status, sizeof *status);
}

static void publish(pl_pinger *p, int64_t now_ns) {
    pl_pinger_status status = {
        .rtt_ns = pl_filter_rtt_ns(&p->filter, now_ns),
        .last_sample_ns = p->filter.last_ns,
        .samples = (uint64_t)p->filter.samples,
        .sent = p->sent,
        .asked = p->asked,
        .refused = p->refused,
        .steps = (uint64_t)p->filter.steps,
    };
    pl_seqlock_write(&p->status, &status, sizeof status);
}

/* Whether the map of an earlier measurement stays in use: the new one agrees with it, and knows less. */
static bool earlier_stays(const pl_pinger *p, const pl_clock_map_value *value, int64_t now_ns) {
    const pl_clock_map_value *earlier = &p->earlier;
    if (!earlier->valid || now_ns >= p->earlier_until_ns) return false;
    double age_ns = (double)(now_ns - earlier->local_ns);
    double uncertainty_ns = hypot(earlier->uncertainty_ns, earlier->drift_uncertainty * age_ns);
    double offset_ns =
        (double)pl_clock_map_offset_at(value, now_ns); /* a difference of integers might overflow */
    double apart_ns = fabs(offset_ns - (double)pl_clock_map_offset_at(earlier, now_ns));
    return value->uncertainty_ns > uncertainty_ns && apart_ns <= 3 * (value->uncertainty_ns + uncertainty_ns);
}

/* Bring the clock map and the status up to date. */
static void update(pl_pinger *p) {
    int64_t now_ns = pl_now_ns_rt();
    pl_clock_map_value value;
    if (pl_filter_map(&p->filter, now_ns, &value)) {
        p->known = value;
        if (!earlier_stays(p, &value, now_ns)) {
            p->earlier.valid = false;
            pl_clock_map_write(p->map, &value);
        }
    }
    publish(p, now_ns);
}

static void record(pl_pinger *p, const pl_exchange *e) {
    uint64_t count = pl_load_relaxed(&p->trace_count);
    p->trace[count % PL_TRACE] = *e;
    pl_store_release(&p->trace_count, count + 1);
}

/* One train of pings. */
typedef struct {
    int64_t lasts_ns; /* no ping is sent later than this after its start */
    int pings;        /* measurements to be sent */
    bool is_burst;
    int sent, answers; /* measurements so far */
    bool awake;        /* there was an answer: the path is awake */
    bool answered;     /* there was an answer since the last ping */
    bool shows_step;   /* a measurement contradicts what was known before */
    int empty_wakes;
} train;

/* Is the offset that is known impossible by this exchange? */
static bool contradicts(const pl_pinger *p, const pl_exchange *e) {
    double known_ns = (double)pl_clock_map_offset_at(&p->known, e->peer_recv_ns);
    double apart_ns = fabs((double)pl_exchange_offset_ns(e) - known_ns);
    return apart_ns > 0.5 * (double)pl_exchange_rtt_ns(e) + 3 * p->known.uncertainty_ns + MIN_STEP_NS;
}

/* Read the answers that have arrived. Returns 0 or a system error. */
static int read_answers(pl_pinger *p, train *t) {
    bool any = false;
    while (!pl_load_relaxed(&p->stop)) {
        uint8_t b[RECEIVE_BYTES];
        pl_datagram d;
        int n = pl_datagram_receive(p->fd, b, sizeof b, &d);
        if (n < 0) return pl_datagram_error();
        if (n == 0) break;
        any = true;
        pl_exchange e;
        bool is_measurement;
        if (!read_pong(p, b, n, d.arrived_ns, &e, &is_measurement)) {
            p->refused++;
            continue;
        }
        t->answered = t->awake = true;
        if (!is_measurement || !pl_filter_add(&p->filter, &e)) continue;
        t->answers++;
        t->shows_step |= p->known.valid && contradicts(p, &e);
        record(p, &e);
        if (t->is_burst && t->answers % PL_BURST_UPDATE_ANSWERS == 0) update(p);
    }
    count_empty_wakes(&t->empty_wakes, any, p->stop_fd);
    return 0;
}

/* Run a train. The first ping only wakes the path, because a path that slept is slow in one direction, which
 * no filter can see. Then each answer, or PL_PING_NS without one, triggers the next measurement. Returns 0 or
 * a system error. */
static int run_train(pl_pinger *p, train *t) {
    const int64_t last_answer_ns = PL_TRAIN_INTERVAL_NS - PL_TRAIN_NS; /* wait for the last answer */
    int64_t begin_ns = pl_now_ns_rt(), last_sent_ns = begin_ns;
    send_ping(p, false);
    while (!pl_load_relaxed(&p->stop)) {
        int64_t now_ns = pl_now_ns_rt();
        bool sending = t->sent < t->pings && now_ns - begin_ns < t->lasts_ns;
        bool waited = t->answers >= t->sent || now_ns - last_sent_ns > last_answer_ns;
        if (!sending && waited) break;
        int64_t wait_ns = last_sent_ns + (sending ? PL_PING_NS : last_answer_ns) - now_ns;
        t->answered = false;
        if (pl_datagram_wait(p->fd, p->stop_fd, wait_ns <= 0 ? 0 : ms_from_ns(wait_ns))) {
            int error = read_answers(p, t);
            if (error) return error;
        }
        now_ns = pl_now_ns_rt();
        if (t->sent == t->pings || now_ns - begin_ns >= t->lasts_ns) continue;
        if (!t->answered && now_ns - last_sent_ns < PL_PING_NS) continue;
        send_ping(p, t->awake || t->sent || now_ns - begin_ns >= PL_PING_NS);
        t->sent++;
        last_sent_ns = now_ns;
    }
    return 0;
}

/* Pings of a train while nothing plays. */
static int calm_pings(const pl_pinger *p) {
    double pings = ceil(p->known.uncertainty_ns / PL_CALM_PING_NS);
    return (int)fmax(PL_MIN_CALM_PINGS, fmin(PL_YOUNG_PINGS, pings));
}

int pl_pinger_run(pl_pinger *p, intptr_t stop_fd) {
    p->stop_fd = stop_fd;
    bool joined = false;                                     /* the burst has been answered */
    bool calm = false, is_heard = false, shows_step = false; /* of the last train */
    int64_t next_ns = pl_now_ns_rt(), young_until_ns = next_ns + PL_YOUNG_NS;
    while (!pl_load_relaxed(&p->stop)) {
        bool silent = pl_load_relaxed(&p->map->silent);
        if (((calm && !silent) || shows_step) && young_until_ns < next_ns + PL_WAKING_NS)
            young_until_ns = next_ns + PL_WAKING_NS;
        bool young = next_ns < young_until_ns;
        calm = silent && is_heard && !young;
        int pings = young ? PL_YOUNG_PINGS : calm ? calm_pings(p) : PL_TRAIN_PINGS;
        train t = {.lasts_ns = PL_TRAIN_NS, .pings = pings};
        if (!joined) t = (train){.lasts_ns = PL_BURST_NS, .pings = PL_BURST_PINGS, .is_burst = true};
        int error = run_train(p, &t);
        int64_t now_ns = pl_now_ns_rt();
        is_heard = t.answers > 0;
        shows_step = t.shows_step;
        if (is_heard) {
            joined = true;
            update(p);
        } else {
            publish(p, now_ns);
        }
        if (error) return -error;
        next_ns += calm && is_heard && !shows_step ? PL_CALM_INTERVAL_NS : PL_TRAIN_INTERVAL_NS;
        /* After a long train or a suspended machine, the next one starts on the same grid. */
        if (next_ns < now_ns)
            next_ns = now_ns + PL_TRAIN_INTERVAL_NS - (now_ns - next_ns) % PL_TRAIN_INTERVAL_NS;
        while (!pl_load_relaxed(&p->stop) && (now_ns = pl_now_ns_rt()) < next_ns)
            pl_datagram_nap(stop_fd, ms_from_ns(next_ns - now_ns));
    }
    return 0;
}
