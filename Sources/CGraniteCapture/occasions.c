// Counts what happens over and over: a fixed table in the page, one entry a fingerprint, claimed by compare-and-swap, so
// that 20,000 drops a second cost little more than an atomic add each.

#define _GNU_SOURCE
#include <time.h>

#include "core.h"
#include "system.h"

/// A mistake that was reported so long ago is reported again.
static const uint64_t repeat_ns = 600ull * 1000000000;
/// An attempt that failed is not made again at once.
static const uint64_t retry_ns = 1000000000;

/// Async-signal-safe.
void granite_store_text(char *field, size_t capacity, const char *text) {
    size_t i = 0;
    for (; text && i + 1 < capacity && text[i] != 0; i++) field[i] = text[i];
    field[i] = 0;
}

/// Async-signal-safe. The index of the entry of `fingerprint`, or of the free one where it would be; GRANITE_MAX_OCCASIONS
/// if there is neither. `held` is what the entry holds.
static uint32_t find(uint64_t fingerprint, uint64_t *held) {
    for (uint32_t probe = 0; probe < GRANITE_MAX_OCCASIONS; probe++) {
        uint32_t index = (uint32_t)((fingerprint + probe) % GRANITE_MAX_OCCASIONS);
        *held = __atomic_load_n(&granite_core.page->occasions[index].fingerprint, __ATOMIC_ACQUIRE);
        if (*held == fingerprint || *held == 0) return index;
    }
    return GRANITE_MAX_OCCASIONS;
}

/// Async-signal-safe. As find, and takes the free entry.
static uint32_t find_or_take(uint64_t fingerprint, bool *is_new) {
    for (;;) {
        uint64_t held;
        uint32_t index = find(fingerprint, &held);
        if (index == GRANITE_MAX_OCCASIONS || held == fingerprint) return index;
        *is_new = __atomic_compare_exchange_n(&granite_core.page->occasions[index].fingerprint, &held, fingerprint, false,
                                              __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
        // Taken by another thread meanwhile: whoever it is for, the next look tells.
        if (*is_new) return index;
    }
}

/// Async-signal-safe.
bool granite_occasion_is_new(uint64_t fingerprint) {
    uint64_t held;
    return granite_core.page && find(fingerprint, &held) != GRANITE_MAX_OCCASIONS && held == 0;
}

/// Async-signal-safe. Whether the occasion of that index may be reported at this time.
static bool is_due(uint32_t index, uint64_t now_ns) {
    if (granite_core.level == GRANITE_LEVEL_OFF) return false;
    uint64_t attempted_ns = __atomic_load_n(&granite_core.occasions[index].attempted_ns, __ATOMIC_RELAXED);
    if (attempted_ns != 0 && now_ns - attempted_ns < retry_ns) return false;
    if (__atomic_load_n(&granite_core.page->occasions[index].captured, __ATOMIC_ACQUIRE) == 0) return true;
    return now_ns - __atomic_load_n(&granite_core.occasions[index].reported_ns, __ATOMIC_RELAXED) > repeat_ns;
}

/// Async-signal-safe: clock_gettime with CLOCK_MONOTONIC_COARSE reads the vdso's page, some nanoseconds.
bool granite_occasion_count(uint32_t kind, uint64_t fingerprint, const char *subject, const char *message) {
    if (!granite_core.page || fingerprint == 0) return false;
    bool is_new = false;
    uint32_t index = find_or_take(fingerprint, &is_new);
    if (index == GRANITE_MAX_OCCASIONS) {
        __atomic_add_fetch(&granite_core.page->suppressed_captures, 1, __ATOMIC_RELAXED);
        return false;
    }
    struct granite_occasion *entry = &granite_core.page->occasions[index];
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
    return is_due(index, now);
}

/// Async-signal-safe.
void granite_occasion_note_attempt(uint64_t fingerprint) {
    uint64_t held;
    uint32_t index = find(fingerprint, &held);
    if (index == GRANITE_MAX_OCCASIONS || held != fingerprint) return;
    __atomic_store_n(&granite_core.occasions[index].attempted_ns, granite_clock_ns(CLOCK_MONOTONIC_COARSE),
                     __ATOMIC_RELAXED);
}

/// Async-signal-safe.
void granite_occasion_note_report(uint64_t fingerprint) {
    uint64_t held;
    uint32_t index = find(fingerprint, &held);
    if (index == GRANITE_MAX_OCCASIONS || held != fingerprint) return;
    __atomic_store_n(&granite_core.occasions[index].reported_ns, granite_clock_ns(CLOCK_MONOTONIC_COARSE),
                     __ATOMIC_RELAXED);
    __atomic_add_fetch(&granite_core.page->occasions[index].captured, 1, __ATOMIC_ACQ_REL);
}
