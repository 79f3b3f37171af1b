// The state of the capture core.

#define _GNU_SOURCE
#include "core.h"

#include "system.h"

struct granite_core granite_core = {.page_fd = -1, .memory_socket = -1, .spare_fd = -1};

/// Async-signal-safe.
struct granite_crash_page *granite_capture_page(void) { return granite_core.page; }

/// Async-signal-safe.
uint32_t granite_capture_next_breadcrumb(void) {
    return __atomic_fetch_add(&granite_core.page->breadcrumb_count, 1, __ATOMIC_RELAXED);
}

/// Async-signal-safe.
uint32_t granite_capture_next_ended_request(void) {
    return __atomic_fetch_add(&granite_core.page->ended_count, 1, __ATOMIC_RELAXED);
}

/// Initial-exec: the storage is the executable's own, so access is one instruction and never __tls_get_addr, which may
/// allocate.
static __thread uint32_t thread_id __attribute__((tls_model("initial-exec")));

/// Async-signal-safe: gettid(2).
uint32_t granite_capture_thread_id(void) {
    if (thread_id == 0) thread_id = granite_thread_id();
    return thread_id;
}

/// Async-signal-safe.
void granite_thread_id_forget(void) { thread_id = 0; }
