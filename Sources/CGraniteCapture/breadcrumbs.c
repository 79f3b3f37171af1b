// Notes what the program does on its way in the crash page: a ring of the last 64.

#define _GNU_SOURCE
#include <time.h>

#include "core.h"
#include "system.h"

/// Async-signal-safe: clock_gettime.
void granite_breadcrumb_note(const char *category, const char *message) {
    if (!granite_core.page) return;
    uint32_t number = granite_capture_next_breadcrumb();
    struct granite_breadcrumb *entry = &granite_core.page->breadcrumbs[number % GRANITE_MAX_BREADCRUMBS];
    __atomic_store_n(&entry->sequence, number * 2 + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    entry->tid = granite_capture_thread_id();
    entry->time_ns = granite_clock_ns(CLOCK_REALTIME);
    granite_store_text(entry->category, sizeof entry->category, category);
    granite_store_text(entry->message, sizeof entry->message, message);
    __atomic_store_n(&entry->sequence, number * 2 + 2, __ATOMIC_RELEASE);
}
