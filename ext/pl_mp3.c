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

/* The part of a header that must not change from packet to packet, never 0. 0 where there is no header of
 * layer III, or one of "free" bit rate. */
static uint32_t format_of(uint32_t header) {
    if (header >> 21 != 0x7ff || (header >> 19 & 3) == 1 || (header >> 17 & 3) != 1) return 0;
    if (bit_rate_code(header) == 0 || bit_rate_code(header) == 15 || rate_code(header) == 3) return 0;
    return (header & 0xfffe0c00u) | (uint32_t)is_mono(header);
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
static void look_ahead(pl_mp3_reader *reader, int64_t offset) {
    int64_t rest = reader->end - offset, needed = 3 * PL_MP3_MAX_PACKET + 4;
    bytes_at(reader, offset, (size_t)(rest < needed ? rest : needed));
}

/* Do packets of one format follow each other from `offset`: `count` of them and the header of one more, or
 * fewer up to the end? */
static bool chain_at(pl_mp3_reader *reader, int64_t offset, uint32_t format, int count) {
    look_ahead(reader, offset);
    for (; count >= 0; count--) {
        int32_t size = packet_at(reader, offset, format);
        if (size == 0) return false;
        if (format == 0) format = format_of(be32(bytes_at(reader, offset, 4)));
        if (count > 0) offset += size;
        if (count > 0 && offset == reader->end) return true;
    }
    return true;
}

/* The first place from `from` on where packets follow each other, or the end. */
static int64_t next_chain(pl_mp3_reader *reader, int64_t from, uint32_t format) {
    /* The first packet decides which format counts, so one more packet is needed to believe it. */
    for (; from + 4 <= reader->end && !reader->failed; from++)
        if (chain_at(reader, from, format, format == 0 ? 2 : 1)) return from;
    return reader->end;
}

/* Step over the next packet. Returns its size, 0 at the end. */
static int32_t next_packet(pl_mp3_reader *reader, int64_t *offset) {
    while (!reader->failed) {
        look_ahead(reader, reader->at);
        if (!reader->synced) {
            reader->at = next_chain(reader, reader->at, reader->format);
            reader->synced = true;
        }
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
        if (follower + 4 <= reader->end && packet_at(reader, follower, reader->format) == 0) {
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

/* Does a packet carry a Xing, Info or VBRI header instead of sound? Where it does, its claims are written to
 * `summary`. */
static bool is_description(const uint8_t *packet, int32_t size, pl_mp3_summary *summary) {
    uint32_t header = be32(packet);
    if (size >= 54 && memcmp(packet + 36, "VBRI", 4) == 0) {
        if (summary != NULL && be32(packet + 50) != 0) summary->claimed_packets = be32(packet + 50);
        return true;
    }
    int32_t at = 4 + side_info_size(header);
    for (int32_t tries = has_crc(header) ? 2 : 1; tries > 0; tries--, at += 2) {
        if (at + 8 > size) continue;
        if (memcmp(packet + at, "Xing", 4) != 0 && memcmp(packet + at, "Info", 4) != 0) continue;
        if (summary == NULL) return true;
        uint32_t fields = be32(packet + at + 4);
        at += 8;
        if (fields & 1) {
            if (at + 4 <= size && be32(packet + at) != 0) summary->claimed_packets = be32(packet + at);
            at += 4;
        }
        at += (fields & 2 ? 4 : 0) + (fields & 4 ? 100 : 0) + (fields & 8 ? 4 : 0);
        if (at + 24 <= size && (memcmp(packet + at, "LAME", 4) == 0 || memcmp(packet + at, "Lav", 3) == 0)) {
            summary->encoder_delay = packet[at + 21] << 4 | packet[at + 22] >> 4;
            summary->encoder_padding = (packet[at + 22] & 15) << 8 | packet[at + 23];
        }
        return true;
    }
    return false;
}

/* Step over the next packet with sound; descriptions on the way are written to `summary`, unless that is
 * NULL. Returns its size, 0 at the end. */
static int32_t next_sound(pl_mp3_reader *reader, int64_t *offset, pl_mp3_summary *summary) {
    int32_t size;
    while ((size = next_packet(reader, offset)) != 0) {
        const uint8_t *packet = bytes_at(reader, *offset, (size_t)size);
        if (packet == NULL) return 0;
        if (!is_description(packet, size, summary)) break;
    }
    return size;
}

/* Sizes of tags, in bytes. */
enum { ID3V2_HEADER = 10, ID3V1_TAG = 128, APE_FOOTER = 32 };

/* `size` bytes at `offset`, if they lie within the audio and begin with `mark`; else NULL. */
static const uint8_t *marked_at(pl_mp3_reader *reader, int64_t offset, size_t size, const char *mark) {
    if (offset < reader->begin || offset + (int64_t)size > reader->end) return NULL;
    const uint8_t *p = bytes_at(reader, offset, size);
    return p != NULL && memcmp(p, mark, strlen(mark)) == 0 ? p : NULL;
}

bool pl_mp3_open(pl_mp3_reader *reader, int fd) {
    memset(reader, 0, sizeof *reader);
    reader->fd = fd;
    reader->end = move(fd, 0, SEEK_FINISH);
    if (reader->end < 0) return false;
    const uint8_t *p;
    while ((p = marked_at(reader, reader->begin, ID3V2_HEADER, "ID3")) != NULL) {
        int64_t size = (int64_t)(p[6] & 127) << 21 | (p[7] & 127) << 14 | (p[8] & 127) << 7 | (p[9] & 127);
        int64_t footer = p[5] & 0x10 ? ID3V2_HEADER : 0;
        reader->begin += ID3V2_HEADER + size + footer;
    }
    if (reader->begin > reader->end) reader->begin = reader->end;
    if (marked_at(reader, reader->end - ID3V1_TAG, ID3V1_TAG, "TAG") != NULL) reader->end -= ID3V1_TAG;
    if ((p = marked_at(reader, reader->end - APE_FOOTER, APE_FOOTER, "APETAGEX")) != NULL) {
        int64_t header = p[23] & 0x80 ? APE_FOOTER : 0; /* of the same size, and not counted in the tag's */
        int64_t size = le32(p + 12) + header;
        if (size <= reader->end - reader->begin) reader->end -= size;
    }
    reader->at = reader->begin;
    return !reader->failed;
}

size_t pl_mp3_index_bound(const pl_mp3_reader *reader) {
    return (size_t)((reader->end - reader->begin) / (PL_MP3_MIN_PACKET * PL_MP3_INDEX_EVERY)) + 1;
}

bool pl_mp3_scan(pl_mp3_reader *reader, pl_mp3_summary *summary, int64_t *index, size_t capacity) {
    memset(summary, 0, sizeof *summary);
    summary->claimed_packets = summary->encoder_delay = summary->encoder_padding = -1;
    summary->smallest_packet = PL_MP3_MAX_PACKET;
    reader->at = next_chain(reader, reader->begin, 0);
    reader->cut = false;
    const uint8_t *p = reader->at + 4 <= reader->end ? bytes_at(reader, reader->at, 4) : NULL;
    if (p == NULL) return !reader->failed;
    uint32_t header = be32(p);
    reader->format = format_of(header);
    reader->synced = true;
    summary->rate_hz = rate_of(header);
    summary->channels = is_mono(header) ? 1 : 2;
    summary->packet_frames = is_mpeg1(header) ? 1152 : 576;
    int64_t offset;
    int32_t size;
    /* A description after the first sound is that of another stream (joined files): its claims are not
     * used. */
    while ((size = next_sound(reader, &offset, summary->packets == 0 ? summary : NULL)) != 0) {
        size_t entry = (size_t)(summary->packets / PL_MP3_INDEX_EVERY);
        if (summary->packets % PL_MP3_INDEX_EVERY == 0 && entry < capacity) index[entry] = offset;
        summary->packets++;
        summary->packet_bytes += size;
        if (size < summary->smallest_packet) summary->smallest_packet = size;
    }
    summary->cut = reader->cut;
    return !reader->failed;
}

void pl_mp3_seek(pl_mp3_reader *reader, int64_t offset) {
    reader->at = offset;
    reader->synced = true;
    if (reader->format == 0 && offset >= reader->begin && offset + 4 <= reader->end) {
        const uint8_t *p = bytes_at(reader, offset, 4);
        reader->format = p == NULL ? 0 : format_of(be32(p));
    }
    if (reader->format == 0) reader->failed = true;
}

int pl_mp3_read(pl_mp3_reader *reader, uint8_t *packet, size_t capacity) {
    int64_t offset;
    int32_t size = next_sound(reader, &offset, NULL);
    if (reader->failed || (size_t)size > capacity) return -1;
    if (size > 0) memcpy(packet, bytes_at(reader, offset, (size_t)size), (size_t)size);
    return size;
}
