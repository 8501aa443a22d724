#if defined(_WIN32)
#include <io.h>
#elif !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#endif
#include "pl_mp3.h"

#include <string.h>

#if defined(_WIN32)
#define SEEK_START 0
#define SEEK_FINISH 2
static int64_t move(int fd, int64_t offset, int whence) { return _lseeki64(fd, offset, whence); }
static int64_t read_some(int fd, void *bytes, size_t size) { return _read(fd, bytes, (unsigned)size); }
#else
#include <errno.h>
#include <unistd.h>
#define SEEK_START SEEK_SET
#define SEEK_FINISH SEEK_END
static int64_t move(int fd, int64_t offset, int whence) { return lseek(fd, (off_t)offset, whence); }
static int64_t read_some(int fd, void *bytes, size_t size) {
    ssize_t got;
    do {
        got = read(fd, bytes, size);
    } while (got < 0 && errno == EINTR);
    return got;
}
#endif

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* `size` bytes at `offset`, all of them before the end and no more than a window; NULL after a failure. */
static const uint8_t *bytes_at(pl_mp3_reader *reader, int64_t offset, size_t size) {
    int64_t window_end = reader->window_at + (int64_t)reader->window_size;
    if (offset < reader->window_at || offset + (int64_t)size > window_end) {
        reader->window_at = offset;
        reader->window_size = 0;
        if (move(reader->fd, offset, SEEK_START) != offset) {
            reader->failed = true;
            return NULL;
        }
        while (reader->window_size < PL_MP3_WINDOW) {
            size_t room = PL_MP3_WINDOW - reader->window_size;
            int64_t got = read_some(reader->fd, reader->window + reader->window_size, room);
            if (got < 0) reader->failed = true;
            if (got <= 0) break;
            reader->window_size += (size_t)got;
        }
        if (size > reader->window_size) { /* no caller reads beyond the end, so the file became shorter */
            reader->failed = true;
            return NULL;
        }
    }
    return reader->window + (offset - reader->window_at);
}

/* Headers: 11 bits sync, 2 version, 2 layer, 1 no CRC, 4 bit rate, 2 sampling rate, 1 padding, 1 private, 2
 * mode and others. */
static bool is_mpeg1(uint32_t header) { return (header >> 19 & 3) == 3; }
static bool is_mono(uint32_t header) { return (header >> 6 & 3) == 3; }
static bool has_crc(uint32_t header) { return !(header >> 16 & 1); }
static uint32_t bit_rate_code(uint32_t header) { return header >> 12 & 15; }
static uint32_t rate_code(uint32_t header) { return header >> 10 & 3; }

static int32_t side_info_size(uint32_t header) {
    if (is_mpeg1(header)) return is_mono(header) ? 17 : 32;
    return is_mono(header) ? 9 : 17;
}

enum {
    MONO = 1, /* the bit of a format that says so; where headers have it, it is no part of the format */
    MANY = 8, /* matching headers (0.2 s) that are no chance, where another kind of packets begins */
    MANY_ROOM = MANY * PL_MP3_MIN_PACKET,
};

/* The part of a header that must not change from packet to packet, never 0. 0 where there is no header of
 * layer III, or one of "free" bit rate. Only the bit MONO may change, between many packets of each kind. */
static uint32_t format_of(uint32_t header) {
    if (header >> 21 != 0x7ff || (header >> 19 & 3) == 1 || (header >> 17 & 3) != 1) return 0;
    if (bit_rate_code(header) == 0 || bit_rate_code(header) == 15 || rate_code(header) == 3) return 0;
    return (header & 0xfffe0c00u) | (is_mono(header) ? MONO : 0);
}

static int32_t rate_of(uint32_t header) {
    static const int32_t rates[3] = {44100, 48000, 32000};
    int32_t rate = rates[rate_code(header)];
    if (is_mpeg1(header)) return rate;
    return (header >> 19 & 3) == 2 ? rate / 2 : rate / 4; /* MPEG 2, MPEG 2.5 */
}

static int32_t size_of(uint32_t header) {
    static const int32_t kbps[2][15] = {
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
    };
    int32_t mpeg1 = is_mpeg1(header);
    int32_t factor = mpeg1 ? 144000 : 72000, padding = (int32_t)(header >> 9 & 1);
    return factor * kbps[mpeg1][bit_rate_code(header)] / rate_of(header) + padding;
}

/* The size of the packet of `format` (0: of any format) that begins at `offset`, 0 for none. It may reach
 * beyond the end. */
static int32_t packet_at(pl_mp3_reader *reader, int64_t offset, uint32_t format) {
    if (offset + 4 > reader->end) return 0;
    const uint8_t *p = bytes_at(reader, offset, 4);
    if (p == NULL) return 0;
    uint32_t header = be32(p), own = format_of(header);
    return own != 0 && (format == 0 || own == format) ? size_of(header) : 0;
}

/* Fill the window once for all packets that one decision looks at, so that hostile bytes cannot make it move
 * back and forth. */
static void look_ahead(pl_mp3_reader *reader, int64_t offset, int packets) {
    int64_t rest = reader->end - offset, needed = packets * PL_MP3_MAX_PACKET + 4;
    bytes_at(reader, offset, (size_t)(rest < needed ? rest : needed));
}

/* Do packets of one format follow each other from `offset`: `count` of them and the header of one more, or
 * fewer up to the end? */
static bool chain_at(pl_mp3_reader *reader, int64_t offset, uint32_t format, int count) {
    look_ahead(reader, offset, 3);
    for (; count >= 0; count--) {
        int32_t size = packet_at(reader, offset, format);
        if (size == 0) return false;
        if (format == 0) format = format_of(be32(bytes_at(reader, offset, 4)));
        if (count > 0) offset += size;
        if (count > 0 && offset == reader->end) return true;
    }
    return true;
}

/* Do MANY packets of `format` follow each other from `offset`, all of them before `end`? */
static bool many_at(pl_mp3_reader *reader, int64_t offset, int64_t end, uint32_t format) {
    look_ahead(reader, offset, MANY);
    for (int count = 0; count < MANY; count++) {
        int32_t size = packet_at(reader, offset, format);
        if (size == 0 || offset + size > end) return false;
        offset += size;
    }
    return true;
}

/* Does the stream go on at `offset` with the other mode? */
static bool turns_at(pl_mp3_reader *reader, int64_t offset) {
    return reader->format != 0 && packet_at(reader, offset, reader->format ^ MONO) != 0 &&
           many_at(reader, offset, reader->end, reader->format ^ MONO);
}

/* The first place from `from` on where packets follow each other, or the end. */
static int64_t next_chain(pl_mp3_reader *reader, int64_t from, uint32_t format) {
    /* The first packet decides which format counts, so one more packet is needed to believe it. */
    for (; from + 4 <= reader->end && !reader->failed; from++)
        if (chain_at(reader, from, format, format == 0 ? 2 : 1) || (format != 0 && turns_at(reader, from)))
            return from;
    return reader->end;
}

/* Step over the next packet. Returns its size, 0 at the end. */
static int32_t next_packet(pl_mp3_reader *reader, int64_t *offset) {
    while (!reader->failed) {
        look_ahead(reader, reader->at, 3);
        if (!reader->synced) {
            reader->at = next_chain(reader, reader->at, reader->format);
            reader->synced = true;
        }
        if (turns_at(reader, reader->at)) reader->format ^= MONO;
        int32_t size = packet_at(reader, reader->at, reader->format);
        if (size == 0 && reader->at + 4 > reader->end) {
            if (reader->at < reader->end) {
                const uint8_t *rest = bytes_at(reader, reader->at, 1);
                reader->cut = rest != NULL && rest[0] == 0xff;
            }
            return 0;
        }
        if (size == 0) {
            reader->synced = false;
            continue;
        }
        if (reader->at + size > reader->end) {
            reader->cut = true;
            return 0;
        }
        int64_t follower = reader->at + size;
        if (follower + 4 <= reader->end && packet_at(reader, follower, reader->format) == 0 &&
            !turns_at(reader, follower)) {
            /* Either this header gives a wrong size, and others begin before its end; or the next one is
             * damaged. */
            int64_t chain = next_chain(reader, reader->at + 1, reader->format);
            if (chain < follower) {
                reader->at = chain;
                continue;
            }
            follower = chain;
        }
        *offset = reader->at;
        reader->at = follower;
        return reader->failed ? 0 : size;
    }
    return 0;
}

/* The claims of a Xing, Info or VBRI header; -1 where there is none. */
typedef struct {
    int64_t packets;
    int32_t encoder_delay, encoder_padding; /* frames */
} description;

/* Does a packet carry a Xing, Info or VBRI header instead of sound? Its claims are written to `found`. */
static bool is_description(const uint8_t *packet, int32_t size, description *found) {
    uint32_t header = be32(packet);
    *found = (description){-1, -1, -1};
    if (size >= 54 && memcmp(packet + 36, "VBRI", 4) == 0) {
        if (be32(packet + 50) != 0) found->packets = be32(packet + 50);
        return true;
    }
    int32_t at = 4 + side_info_size(header);
    for (int32_t tries = has_crc(header) ? 2 : 1; tries > 0; tries--, at += 2) {
        if (at + 8 > size) continue;
        if (memcmp(packet + at, "Xing", 4) != 0 && memcmp(packet + at, "Info", 4) != 0) continue;
        uint32_t fields = be32(packet + at + 4);
        at += 8;
        if (fields & 1) {
            if (at + 4 <= size && be32(packet + at) != 0) found->packets = be32(packet + at);
            at += 4;
        }
        at += (fields & 2 ? 4 : 0) + (fields & 4 ? 100 : 0) + (fields & 8 ? 4 : 0);
        if (at + 24 <= size && (memcmp(packet + at, "LAME", 4) == 0 || memcmp(packet + at, "Lav", 3) == 0)) {
            found->encoder_delay = packet[at + 21] << 4 | packet[at + 22] >> 4;
            found->encoder_padding = (packet[at + 22] & 15) << 8 | packet[at + 23];
        }
        return true;
    }
    return false;
}

/* A place from `from` on where MANY packets of another version or rate follow each other, all before `to`; -1
 * if there is none. */
static int64_t other_chain(pl_mp3_reader *reader, int64_t from, int64_t to) {
    for (; from + MANY_ROOM <= to && !reader->failed; from++) {
        look_ahead(reader, from, MANY);
        const uint8_t *p = bytes_at(reader, from, 4);
        uint32_t format = p == NULL ? 0 : format_of(be32(p));
        if (format != 0 && (format | MONO) != (reader->format | MONO) && many_at(reader, from, to, format))
            return from;
    }
    return -1;
}

/* Sizes of tags, in bytes. */
enum { ID3V2_HEADER = 10, ID3V1_TAG = 128, ID3V1_EXTENSION = 227, APE_FOOTER = 32, LYRICS3_END = 15 };

/* `size` bytes at `offset`, if they lie within the audio and begin with `mark`; else NULL. */
static const uint8_t *marked_at(pl_mp3_reader *reader, int64_t offset, size_t size, const char *mark) {
    if (offset < reader->begin || offset + (int64_t)size > reader->end) return NULL;
    const uint8_t *p = bytes_at(reader, offset, size);
    return p != NULL && memcmp(p, mark, strlen(mark)) == 0 ? p : NULL;
}

/* The number in four bytes with seven bits each, as ID3v2 has it; -1 if they are no such number. */
static int64_t seven_bits(const uint8_t *p) {
    if ((p[0] | p[1] | p[2] | p[3]) & 0x80) return -1;
    return (int64_t)p[0] << 21 | (int64_t)p[1] << 14 | (int64_t)p[2] << 7 | p[3];
}

/* The size of the tag that ends where the audio ends; 0 if there is none. */
static int64_t tag_before_end(pl_mp3_reader *reader) {
    int64_t end = reader->end;
    const uint8_t *p;
    if (marked_at(reader, end - ID3V1_TAG, ID3V1_TAG, "TAG") != NULL) {
        bool extended = marked_at(reader, end - ID3V1_TAG - ID3V1_EXTENSION, ID3V1_EXTENSION, "TAG+") != NULL;
        return ID3V1_TAG + (extended ? ID3V1_EXTENSION : 0);
    }
    if ((p = marked_at(reader, end - APE_FOOTER, APE_FOOTER, "APETAGEX")) != NULL)
        return le32(p + 12) +
               (int64_t)(p[23] & 0x80 ? APE_FOOTER : 0); /* the header is not counted in the size */
    if ((p = marked_at(reader, end - ID3V2_HEADER, ID3V2_HEADER, "3DI")) != NULL) {
        int64_t size = seven_bits(p + 6);
        return size < 0 ? 0 : size + 2 * ID3V2_HEADER;
    }
    if (end - reader->begin >= LYRICS3_END &&
        (p = bytes_at(reader, end - LYRICS3_END, LYRICS3_END)) != NULL &&
        memcmp(p + 6, "LYRICS200", 9) == 0) {
        int64_t size = 0;
        for (int i = 0; i < 6; i++) {
            if (p[i] < '0' || p[i] > '9') return 0;
            size = 10 * size + p[i] - '0';
        }
        return size + LYRICS3_END;
    }
    return 0;
}

bool pl_mp3_open(pl_mp3_reader *reader, int fd) {
    memset(reader, 0, sizeof *reader);
    reader->fd = fd;
    reader->end = move(fd, 0, SEEK_FINISH);
    if (reader->end < 0) return false;
    const uint8_t *p;
    while ((p = marked_at(reader, reader->begin, ID3V2_HEADER, "ID3")) != NULL) {
        int64_t size = seven_bits(p + 6) + ID3V2_HEADER + (p[5] & 0x10 ? ID3V2_HEADER : 0);
        if (size < ID3V2_HEADER || size > reader->end - reader->begin)
            break; /* the packets are searched in it */
        reader->begin += size;
    }
    int64_t size;
    while ((size = tag_before_end(reader)) > 0 && size <= reader->end - reader->begin) reader->end -= size;
    reader->at = reader->begin;
    return !reader->failed;
}

size_t pl_mp3_index_bound(const pl_mp3_reader *reader) {
    return (size_t)((reader->end - reader->begin) / (PL_MP3_MIN_PACKET * PL_MP3_INDEX_EVERY)) + 1;
}

/* Scan from `from` on; see pl_mp3_scan. Returns -1, or where to begin instead: the first packets are bytes
 * of a tag with a wrong size that look like packets. */
static int64_t scan_from(pl_mp3_reader *reader, int64_t from, pl_mp3_summary *summary, int64_t *index,
                         size_t capacity) {
    memset(summary, 0, sizeof *summary);
    summary->claimed_packets = summary->encoder_delay = summary->encoder_padding = -1;
    summary->packets_before_change = -1;
    summary->smallest_packet = PL_MP3_MAX_PACKET;
    reader->at = next_chain(reader, from, 0);
    reader->cut = false;
    const uint8_t *p = reader->at + 4 <= reader->end ? bytes_at(reader, reader->at, 4) : NULL;
    if (p == NULL) return -1;
    uint32_t header = be32(p);
    reader->format = format_of(header);
    reader->synced = true;
    summary->rate_hz = rate_of(header);
    summary->packet_frames = is_mpeg1(header) ? 1152 : 576;
    int64_t offset, expected = reader->at;
    int32_t size;
    do {
        size = next_packet(reader, &offset);
        if (size == 0) offset = reader->end;
        int64_t other = other_chain(reader, expected, offset);
        if (other >= 0 && summary->packets < MANY) return other;
        if (other >= 0) summary->packets_before_change = summary->packets;
        if (size == 0 || other >= 0 || (p = bytes_at(reader, offset, (size_t)size)) == NULL) break;
        expected = offset + size;
        description found;
        if (is_description(p, size, &found)) { /* of this stream, or of the next one of joined files */
            if (summary->packets == 0) summary->encoder_delay = found.encoder_delay;
            summary->encoder_padding = found.encoder_padding;
            summary->claimed_packets = found.packets;
            summary->packets_before_claim = summary->packets;
            continue;
        }
        size_t entry = (size_t)(summary->packets / PL_MP3_INDEX_EVERY);
        if (summary->packets % PL_MP3_INDEX_EVERY == 0 && entry < capacity) index[entry] = offset;
        summary->packets++;
        summary->mono_packets += is_mono(be32(p));
        summary->packet_bytes += size;
        if (size < summary->smallest_packet) summary->smallest_packet = size;
    } while (true);
    summary->cut = reader->cut;
    return -1;
}

bool pl_mp3_scan(pl_mp3_reader *reader, pl_mp3_summary *summary, int64_t *index, size_t capacity) {
    int64_t from = reader->begin;
    for (int tries = 0; tries < 3 && from >= 0 && !reader->failed; tries++)
        from = scan_from(reader, from, summary, index, capacity);
    return !reader->failed;
}

void pl_mp3_seek(pl_mp3_reader *reader, int64_t offset) {
    const uint8_t *p = NULL;
    if (offset >= reader->begin && offset + 4 <= reader->end) p = bytes_at(reader, offset, 4);
    reader->at = offset;
    reader->synced = true;
    reader->format = p == NULL ? 0 : format_of(be32(p)); /* the mode there may be another one */
    if (reader->format == 0) reader->failed = true;
}

int pl_mp3_read(pl_mp3_reader *reader, uint8_t *packet, size_t capacity) {
    int64_t offset;
    int32_t size;
    description found;
    while ((size = next_packet(reader, &offset)) != 0) {
        const uint8_t *p = bytes_at(reader, offset, (size_t)size);
        if (p == NULL || (size_t)size > capacity) return -1;
        if (is_description(p, size, &found)) continue;
        memcpy(packet, p, (size_t)size);
        reader->packet_at = offset;
        return size;
    }
    return reader->failed ? -1 : 0;
}
