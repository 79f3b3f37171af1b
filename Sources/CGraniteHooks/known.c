// A table of fixed size, claimed by compare-and-swap: interpreters with a GIL of their own share it.

#define _GNU_SOURCE
#include "known.h"

#include <granite_capture.h>
#include <string.h>
#include <time.h>

enum { capacity = 256, probes = 8 };
static const uint64_t pause_ns = 1000000000;

static struct {
    uint64_t fingerprint;  ///< 0 = free
    uint64_t attempted_ns;
} table[capacity];

/// CLOCK_MONOTONIC_COARSE: some nanoseconds, by the vdso.
static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/// The entry's index, or -1 if its place is taken by others.
static int find(uint64_t fingerprint, bool *is_new) {
    for (unsigned probe = 0; probe < probes; probe++) {
        int index = (int)((fingerprint + probe) % capacity);
        uint64_t held = __atomic_load_n(&table[index].fingerprint, __ATOMIC_ACQUIRE);
        if (held == 0 && __atomic_compare_exchange_n(&table[index].fingerprint, &held, fingerprint, false,
                                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            *is_new = true;
            return index;
        }
        if (held == fingerprint) return index;
    }
    return -1;
}

/// A child of fork(2) has a page of its own, in which nothing is known yet. Any thread.
static void follow_fork(void) {
    static uint32_t table_pid;
    uint32_t pid = __atomic_load_n(&granite_capture_page()->pid, __ATOMIC_RELAXED);
    if (pid == __atomic_load_n(&table_pid, __ATOMIC_RELAXED)) return;
    memset(table, 0, sizeof table);
    __atomic_store_n(&table_pid, pid, __ATOMIC_RELAXED);
}

/// Any thread.
enum granite_admission granite_known_admit(uint64_t fingerprint) {
    follow_fork();
    bool is_new = false;
    int index = find(fingerprint, &is_new);
    if (index < 0) return GRANITE_ADMIT_COUNT;
    if (is_new) return GRANITE_ADMIT_NEW;
    uint64_t attempted = __atomic_load_n(&table[index].attempted_ns, __ATOMIC_RELAXED);
    return attempted != 0 && now_ns() - attempted < pause_ns ? GRANITE_ADMIT_COUNT : GRANITE_ADMIT_KNOWN;
}

/// Any thread.
void granite_known_note_attempt(uint64_t fingerprint) {
    bool is_new = false;
    int index = find(fingerprint, &is_new);
    if (index >= 0) __atomic_store_n(&table[index].attempted_ns, now_ns(), __ATOMIC_RELAXED);
}
