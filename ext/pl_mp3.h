/* MP3 files as a sequence of packets. (An MPEG audio frame is called a packet here; a frame is one sample of
 * every channel.)
 *
 * The reader does not trust what a file says about itself. A packet counts when its header has the version
 * and rate of the first one, and another such header (or the end of the audio) follows where it should. The
 * number of channels may change: streams of joined files are one. Tags and garbage around and between packets
 * are skipped. The decoder receives only whole packets found here. No function allocates; all reads are
 * bounded. */
#ifndef PL_MP3_H
#define PL_MP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PL_MP3_INDEX_EVERY = 32,  /* packets from one entry of the index to the next: 0.84 s at 44.1 kHz */
    PL_MP3_MIN_PACKET = 24,   /* bytes: 8 kbit/s at 24 kHz */
    PL_MP3_MAX_PACKET = 1441, /* bytes: 320 kbit/s at 32 kHz with padding */
    PL_MP3_WINDOW = 65536,    /* bytes read at once */
};

typedef struct {
    int fd;             /* the caller's; this file only reads and seeks */
    int64_t begin, end; /* where audio may be, in bytes: behind ID3v2, before APE and ID3v1 */
    int64_t at;         /* the next byte to look at */
    uint32_t format;    /* what all headers have in common; 0 until the first packet */
    int64_t packet_at;  /* where the packet begins that pl_mp3_read has returned */
    bool synced;        /* a packet ended just before `at`, or one is known to begin there */
    bool cut;           /* the last packet seen is longer than the file */
    bool failed;        /* the system could not read */
    int64_t window_at;
    size_t window_size;
    uint8_t window[PL_MP3_WINDOW];
} pl_mp3_reader;

typedef struct {
    int32_t rate_hz, packet_frames;
    int32_t smallest_packet; /* bytes */
    int64_t packets, mono_packets, packet_bytes;
    int64_t claimed_packets;       /* by the last Xing, Info or VBRI header; -1 where there is no claim */
    int64_t packets_before_claim;  /* of other streams, before that header */
    int64_t packets_before_change; /* before others of another version or rate; -1 if there are none */
    int32_t encoder_delay;         /* frames, by a LAME tag before all sound; -1 where there is none */
    int32_t encoder_padding;       /* frames, by the LAME tag of the last header; -1 where there is none */
    bool cut;                      /* the last packet is longer than the file */
} pl_mp3_summary;

/* Find the tags around the audio. False: the system could not read. */
bool pl_mp3_open(pl_mp3_reader *reader, int fd);
/* Upper bound of the index entries that pl_mp3_scan writes. */
size_t pl_mp3_index_bound(const pl_mp3_reader *reader);
/* Read the whole file once. index[i] becomes the offset of packet i * PL_MP3_INDEX_EVERY; at most `capacity`
 * entries are written. A file without MP3 has 0 packets. The scan ends where the rate changes.
 * False: the system could not read. */
bool pl_mp3_scan(pl_mp3_reader *reader, pl_mp3_summary *summary, int64_t *index, size_t capacity);
/* The next packet read is the one at `offset`, an entry of the index that a scan of this file has made. */
void pl_mp3_seek(pl_mp3_reader *reader, int64_t offset);
/* Copy the next whole packet. Returns its size in bytes; 0 at the end; -1 when the system could not read or
 * the packet is larger than `capacity`. */
int pl_mp3_read(pl_mp3_reader *reader, uint8_t *packet, size_t capacity);

#endif
