// Counts what happens over and over: a fixed table in the page, one entry a fingerprint, claimed by compare-and-swap, so
// that 20,000 drops a second cost little more than an atomic add each.

#define _GNU_SOURCE
#include <time.h>

#include "core.h"
#include "system.h"

/// A mistake that was reported so long ago is reported again.
static const uint64_t repeat_ns = 600ull * 1000000000;

/// Async-signal-safe.
void granite_store_text(char *field, size_t capacity, const char *text) {
    size_t i = 0;
    for (; text && i + 1 < capacity && text[i] != 0; i++) field[i] = text[i];
    field[i] = 0;
}

/// Async-signal-safe. The entry of `fingerprint`, a new one if need be; NULL if the table is full.
static struct granite_occasion *find(uint64_t fingerprint, bool *is_new) {
    struct granite_occasion *entries = granite_core.page->occasions;
    for (uint32_t probe = 0; probe < GRANITE_MAX_OCCASIONS; probe++) {
        struct granite_occasion *entry = &entries[(fingerprint + probe) % GRANITE_MAX_OCCASIONS];
        uint64_t held = __atomic_load_n(&entry->fingerprint, __ATOMIC_ACQUIRE);
        if (held == fingerprint) return entry;
        if (held != 0) continue;
        if (__atomic_compare_exchange_n(&entry->fingerprint, &held, fingerprint, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            *is_new = true;
            return entry;
        }
        if (held == fingerprint) return entry;
    }
    return NULL;
}

/// Async-signal-safe: clock_gettime with CLOCK_MONOTONIC_COARSE reads the vdso's page, some nanoseconds.
bool granite_occasion_count(uint32_t kind, uint64_t fingerprint, const char *subject, const char *message) {
    if (!granite_core.page || fingerprint == 0) return false;
    bool is_new = false;
    struct granite_occasion *entry = find(fingerprint, &is_new);
    if (!entry) {
        __atomic_add_fetch(&granite_core.page->suppressed_captures, 1, __ATOMIC_RELAXED);
        return false;
    }
    uint64_t now = granite_clock_ns(CLOCK_MONOTONIC_COARSE);
    if (is_new) {
        __atomic_store_n(&entry->sequence, entry->sequence | 1, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        entry->kind = kind;
        granite_store_text(entry->subject, sizeof entry->subject, subject);
        granite_store_text(entry->message, sizeof entry->message, message);
        __atomic_store_n(&entry->first_ns, now, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELEASE);
    }
    uint32_t count = __atomic_load_n(&entry->count, __ATOMIC_RELAXED);
    if (count != UINT32_MAX) __atomic_add_fetch(&entry->count, 1, __ATOMIC_RELAXED);
    uint64_t last = __atomic_load_n(&entry->last_ns, __ATOMIC_RELAXED);
    if (now - last > 1000000000) __atomic_store_n(&entry->last_ns, now, __ATOMIC_RELAXED);
    if (granite_core.level == GRANITE_LEVEL_OFF) return false;
    uint32_t captured = __atomic_load_n(&entry->captured, __ATOMIC_ACQUIRE);
    if (captured == 0) return true;
    return now - __atomic_load_n(&granite_core.occasion_reported_ns[entry - granite_core.page->occasions],
                                 __ATOMIC_RELAXED) >
           repeat_ns;
}

/// Async-signal-safe.
void granite_occasion_note_report(uint64_t fingerprint) {
    for (uint32_t i = 0; i < GRANITE_MAX_OCCASIONS; i++) {
        struct granite_occasion *entry = &granite_core.page->occasions[i];
        if (__atomic_load_n(&entry->fingerprint, __ATOMIC_ACQUIRE) != fingerprint) continue;
        __atomic_store_n(&granite_core.occasion_reported_ns[i], granite_clock_ns(CLOCK_MONOTONIC_COARSE),
                         __ATOMIC_RELAXED);
        __atomic_add_fetch(&entry->captured, 1, __ATOMIC_ACQ_REL);
        return;
    }
}
