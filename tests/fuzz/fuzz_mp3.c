/* Files of any content as MP3. The input is the file. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "pl_mp3.h"

/* Places of the index from which the file is read again. */
enum { MAX_SEEKS = 8 };

static pl_mp3_reader reader;
static uint8_t packet[PL_MP3_MAX_PACKET];

static int64_t packets_left(void) {
    int64_t count = 0, last_at = -1;
    int size;
    while ((size = pl_mp3_read(&reader, packet, sizeof packet)) > 0) {
        CHECK(size >= PL_MP3_MIN_PACKET && reader.packet_at > last_at);
        CHECK(reader.packet_at >= reader.begin && reader.packet_at + size <= reader.end);
        last_at = reader.packet_at;
        count++;
    }
    CHECK(size == 0);
    return count;
}

static void check_summary(const pl_mp3_summary *s) {
    CHECK(s->packets >= 0 && s->mono_packets >= 0 && s->mono_packets <= s->packets);
    CHECK(s->packet_bytes >= s->packets * PL_MP3_MIN_PACKET && s->packet_bytes <= reader.end - reader.begin);
    CHECK(s->packets_before_change >= -1 && s->packets_before_change <= s->packets);
    CHECK(s->packets_before_claim >= 0 && s->packets_before_claim <= s->packets);
    if (s->packets == 0) return;
    CHECK(s->rate_hz >= 8000 && s->rate_hz <= 48000);
    CHECK(s->packet_frames == 1152 || s->packet_frames == 576);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    if (fd < 0) fd = memfd_create("input", 0);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    CHECK(pl_mp3_open(&reader, fd));
    CHECK(reader.begin >= 0 && reader.begin <= reader.end && reader.end <= (int64_t)size);
    size_t bound = pl_mp3_index_bound(&reader);
    int64_t *index = calloc(bound, sizeof *index);
    pl_mp3_summary summary;
    CHECK(pl_mp3_scan(&reader, &summary, index, bound));
    check_summary(&summary);
    size_t entries = (size_t)((summary.packets + PL_MP3_INDEX_EVERY - 1) / PL_MP3_INDEX_EVERY);
    CHECK(entries <= bound);
    if (summary.packets_before_change >= 0) entries = 0; /* such a file is refused */
    for (size_t entry = 0; entry < entries && entry < MAX_SEEKS; entry++) {
        pl_mp3_seek(&reader, index[entry]);
        CHECK(packets_left() == summary.packets - (int64_t)entry * PL_MP3_INDEX_EVERY);
    }
    free(index);
    return 0;
}
