// The functions behind granite_bind.h, for code that knows nothing of the core. Exported by the executables that have the core in them.

#define _GNU_SOURCE
#define GRANITE_BIND_DEFINES
#include "granite_bind.h"

#include <stdlib.h>
#include <string.h>

#include "core.h"

_Static_assert(sizeof(struct granite_bound) == 192, "the public struct is part of programs");
_Static_assert(sizeof(struct granite_origin) <= sizeof((struct granite_bound *)0)->state, "the origin fits");

#define EXPORTED __attribute__((visibility("default"), noinline))

/// Any thread, not a signal handler.
static __attribute__((noinline)) void tell(const struct granite_bound *bound, enum granite_thread_mistake mistake) {
    enum granite_thread_policy policy = granite_thread_policy();
    if (policy == GRANITE_POLICY_OFF) return;
    struct granite_origin origin;
    memcpy(&origin, bound->state, sizeof origin);
    struct granite_wrong_thread told = {
        .origin = &origin, .label = bound->label ? bound->label : "a value", .hook = "c", .mistake = mistake};
    if (granite_wrong_thread_count(&told)) granite_wrong_thread_report(&told);
    if (policy == GRANITE_POLICY_ABORT) abort();
}

/// Async-signal-safe. The owner's id, 0 if the value is bound to none.
static uint64_t owner(const struct granite_bound *bound) {
    uint64_t thread;
    memcpy(&thread, (const char *)bound->state + offsetof(struct granite_origin, thread), sizeof thread);
    return thread;
}

/// Async-signal-safe.
EXPORTED void granite_bound_bind(struct granite_bound *bound, const char *label) {
    struct granite_origin origin;
    granite_capture_origin(&origin);
    bound->label = label;
    memcpy(bound->state, &origin, sizeof origin);
}

/// Any thread, not a signal handler.
EXPORTED int granite_bound_check(const struct granite_bound *bound) {
    uint64_t of = owner(bound);
    if (of == 0 || of == granite_capture_thread_home()->id) return 1;
    tell(bound, GRANITE_USED_ELSEWHERE);
    return 0;
}

/// Any thread, not a signal handler.
EXPORTED void granite_bound_drop(struct granite_bound *bound) {
    uint64_t of = owner(bound);
    if (of != 0 && of != granite_capture_thread_home()->id) tell(bound, GRANITE_RELEASED_ELSEWHERE);
    memset(bound->state, 0, sizeof bound->state);
}

/// Async-signal-safe.
EXPORTED void granite_bound_annotate(const char *category, const char *message) {
    granite_breadcrumb_note(category, message);
}

/// Any thread, not a signal handler.
EXPORTED void granite_bound_report(const char *subject, const char *message) {
    const void *caller = __builtin_return_address(0);
    uint64_t hash = granite_fingerprint_add(GRANITE_FINGERPRINT_BASIS, &caller, sizeof caller);
    hash = granite_fingerprint_add(hash, subject, strlen(subject));
    struct granite_occasion_report report = {.kind = GRANITE_KIND_DUMP,
                                             .fingerprint = hash ? hash : 1,
                                             .subject = subject,
                                             .message = message,
                                             .details = "hook=c\n"};
    if (granite_occasion_count(report.kind, report.fingerprint, subject, message)) granite_capture_occasion(&report);
}
