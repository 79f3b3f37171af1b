// Reads /proc/self/maps once: its text goes into the page, for the collector may not be allowed to read it; its ranges
// stay here, so that the copies know where a stack ends.

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core.h"

enum { max_mappings = 16384, buffer_size = 65536 };

static struct granite_mapping mappings[max_mappings];
static uint32_t mapping_count;
static int vdso_index;

/// Async-signal-safe. Parses hexadecimal digits up to another character.
static const char *parse_hexadecimal(const char *text, const char *end, uint64_t *value) {
    *value = 0;
    for (; text < end; text++) {
        unsigned digit;
        if (*text >= '0' && *text <= '9') {
            digit = (unsigned)(*text - '0');
        } else if (*text >= 'a' && *text <= 'f') {
            digit = (unsigned)(*text - 'a') + 10;
        } else {
            break;
        }
        *value = *value << 4 | digit;
    }
    return text;
}

/// Async-signal-safe. One line: "55d0c0a00000-55d0c0a01000 r--p 00000000 fe:00 1234   /usr/bin/x" (proc_pid_maps(5)).
static void keep_line(const char *line, const char *end) {
    static const char vdso_name[] = "[vdso]";
    enum { vdso_length = sizeof vdso_name - 1 };
    if (mapping_count >= max_mappings) return;
    struct granite_mapping *mapping = &mappings[mapping_count];
    const char *position = parse_hexadecimal(line, end, &mapping->start);
    if (position >= end || *position != '-') return;
    position = parse_hexadecimal(position + 1, end, &mapping->end);
    if (position + 1 >= end || *position != ' ') return;
    mapping->readable = position[1] == 'r';
    if (end - line > vdso_length && memcmp(end - vdso_length, vdso_name, vdso_length) == 0)
        vdso_index = (int)mapping_count;
    mapping_count++;
}

/// Async-signal-safe: open, read, close, pwrite (signal-safety(7)).
void granite_mappings_read(void) {
    static char buffer[buffer_size];
    struct granite_capture *capture = &granite_core.page->capture;
    mapping_count = 0;
    vdso_index = -1;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    bool keeps_text = true;  // a gap in it would join halves of two lines
    size_t kept = 0;  // bytes of an unfinished line at the buffer's start
    for (;;) {
        ssize_t size = read(file, buffer + kept, buffer_size - kept);
        if (size <= 0) break;
        if (keeps_text && capture->maps_length + (uint64_t)size > GRANITE_MAPS_CAPACITY) keeps_text = false;
        if (keeps_text) {
            size_t copied = 0;
            uint64_t offset = granite_snapshot_append(buffer + kept, (size_t)size, &copied);
            if (capture->maps_length == 0) capture->maps_offset = offset;
            capture->maps_length += copied;
            if (copied < (size_t)size) keeps_text = false;
        }
        const char *line = buffer;
        const char *end = buffer + kept + size;
        const char *newline;
        while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
            keep_line(line, newline);
            line = newline + 1;
        }
        kept = (size_t)(end - line);
        if (kept == buffer_size) kept = 0;  // no line is that long; do not loop on it
        memmove(buffer, line, kept);
    }
    close(file);
}

/// Async-signal-safe. The kernel lists mappings by rising address.
const struct granite_mapping *granite_mapping_at(uint64_t address, uint64_t reach) {
    uint32_t low = 0;
    uint32_t high = mapping_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mappings[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < mapping_count; low++) {
        const struct granite_mapping *mapping = &mappings[low];
        if (mapping->start > address && mapping->start - address > reach) return NULL;
        if (mapping->readable) return mapping;
    }
    return NULL;
}

/// Async-signal-safe.
const struct granite_mapping *granite_mapping_vdso(void) { return vdso_index < 0 ? NULL : &mappings[vdso_index]; }
