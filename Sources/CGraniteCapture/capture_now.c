// The drop-site road: the same capture, made by a healthy thread, after which all threads go on. It uses nothing that a
// handler may not use, because the thread that calls it may hold any lock.

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <ucontext.h>

#include "core.h"
#include "system.h"

enum { burst = 10 };
static const uint64_t token_interval_ns = 1000000000;

/// Async-signal-safe: an atomic add.
static bool count_only(void) {
    if (granite_core.page) __atomic_add_fetch(&granite_core.page->suppressed_captures, 1, __ATOMIC_RELAXED);
    return false;
}

/// Async-signal-safe. A token bucket; the caller holds the gate. A program that drops in a loop must still make
/// progress.
static bool take_token(uint64_t now_ns) {
    if (granite_core.tokens_updated_ns == 0) {
        granite_core.tokens = burst;
        granite_core.tokens_updated_ns = now_ns;
    }
    uint64_t earned = (now_ns - granite_core.tokens_updated_ns) / token_interval_ns;
    if (earned > 0) {
        granite_core.tokens_updated_ns += earned * token_interval_ns;
        granite_core.tokens = earned > burst - granite_core.tokens ? burst : granite_core.tokens + (uint32_t)earned;
    }
    if (granite_core.tokens == 0) return false;
    granite_core.tokens--;
    return true;
}

/// Async-signal-safe but for the wait; not for signal handlers, see the header.
static bool granite_capture_and_go_on(const struct granite_occasion_report *report) {
    if (!granite_core.installed) return count_only();
    int saved_errno = errno;
    uint64_t entered_ns = granite_clock_ns(CLOCK_MONOTONIC);
    uint32_t me = granite_thread_id();
    sigset_t handler_mask;
    sigset_t own_mask;
    granite_fill_handler_mask(&handler_mask);
    // No handler may run on this thread while it holds the gate.
    granite_change_mask(SIG_BLOCK, &handler_mask, &own_mask);

    uint32_t owner = 0;
    bool claimed =
        __atomic_compare_exchange_n(&granite_core.gate, &owner, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    bool capturing = claimed && take_token(entered_ns);
    ucontext_t context;
    capturing = capturing && getcontext(&context) == 0;
    if (capturing) {
        granite_capture_begin(report->kind, me, &context, entered_ns);
        struct granite_capture *capture = &granite_core.page->capture;
        granite_store_text(capture->subject, sizeof capture->subject, report->subject);
        granite_store_text(capture->message, sizeof capture->message, report->message);
        granite_store_text(capture->owner_name, sizeof capture->owner_name, report->owner_name);
        granite_store_text(capture->details, sizeof capture->details, report->details);
        capture->owner_tid = report->owner_tid;
        capture->created_ns = report->created_ns;
        for (uint32_t i = 0; report->creation_frames && i < report->creation_frame_count; i++) {
            if (i == GRANITE_MAX_CREATION_FRAMES) break;
            capture->creation_frames[i] = report->creation_frames[i];
            capture->creation_frame_count = i + 1;
        }
        if (report->fingerprint != 0) granite_occasion_note_report(report->fingerprint);
        granite_capture_run(&context, false);
        granite_park_release();
        granite_capture_publish(GRANITE_STAGE_FINISHED);
    }
    if (claimed) __atomic_store_n(&granite_core.gate, 0, __ATOMIC_RELEASE);
    granite_change_mask(SIG_SETMASK, &own_mask, NULL);
    errno = saved_errno;
    return capturing ? true : count_only();
}

/// As granite_capture_and_go_on.
bool granite_capture_occasion(const struct granite_occasion_report *report) {
    if (granite_core.page && report->fingerprint != 0) granite_occasion_note_attempt(report->fingerprint);
    return granite_capture_and_go_on(report);
}

/// As granite_capture_and_go_on.
bool granite_capture_now(uint32_t kind, const char *subject, const char *message, uint32_t owner_tid,
                         const char *owner_name, uint64_t created_ns, const uint64_t *creation_frames,
                         uint32_t creation_frame_count) {
    struct granite_occasion_report report = {.kind = kind,
                                             .subject = subject,
                                             .message = message,
                                             .owner_tid = owner_tid,
                                             .owner_name = owner_name,
                                             .created_ns = created_ns,
                                             .creation_frames = creation_frames,
                                             .creation_frame_count = creation_frame_count};
    return granite_capture_and_go_on(&report);
}
