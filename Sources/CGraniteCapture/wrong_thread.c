// Tells of a value that met the wrong thread: counted always, captured once a kind. It is separate because ThreadBound of Swift and
// granite_bind.h tell the same.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

/// Of the place where the mistake is made.
enum { place_frames = 8 };
/// Of the place where the value was made: this library's function, what calls it, and what calls that.
enum { maker_frames = 3 };

static const char *what_happens(enum granite_thread_mistake mistake) {
    switch (mistake) {
    case GRANITE_USED_ELSEWHERE: return "is being used on another thread";
    case GRANITE_RELEASED_ELSEWHERE: return "is being released on another thread";
    case GRANITE_HANDED_HOME: return "is being released on another thread: it is handed home, its owner will release it";
    case GRANITE_RELEASED_LATE: return "is being released on another thread: its owner has ended, so it is released here";
    }
    return "meets another thread";
}

/// Any thread, not a signal handler: snprintf.
bool granite_wrong_thread_count(struct granite_wrong_thread *mistake) {
    const struct granite_origin *origin = mistake->origin;
    uint64_t frames[place_frames];
    uint32_t count = granite_capture_frame_pointers(frames, place_frames);
    uint32_t makers = origin->frame_count < maker_frames ? origin->frame_count : maker_frames;
    uint64_t hash = granite_fingerprint_add(GRANITE_FINGERPRINT_BASIS, mistake->label, strlen(mistake->label));
    hash = granite_fingerprint_add(hash, origin->frames, makers * sizeof *frames);
    hash = granite_fingerprint_add(hash, frames, count * sizeof *frames);
    hash = granite_fingerprint_add(hash, &mistake->mistake, sizeof mistake->mistake);
    mistake->fingerprint = hash ? hash : 1;
    // The label last of what may be long: the sentence must stay whole.
    snprintf(mistake->message, sizeof mistake->message, "%.120s belongs to thread %u, but %s", mistake->label,
             origin->tid, what_happens(mistake->mistake));
    return granite_occasion_count(GRANITE_KIND_DROP_SITE, mistake->fingerprint, mistake->label, mistake->message);
}

/// As granite_capture_now.
bool granite_wrong_thread_report(const struct granite_wrong_thread *mistake) {
    char details[768];
    snprintf(details, sizeof details, "hook=%s\n%s%.500s%sowner_state=%s\n", mistake->hook, mistake->type ? "type=" : "",
             mistake->type ? mistake->type : "", mistake->type ? "\n" : "",
             mistake->mistake == GRANITE_RELEASED_LATE ? "ended" : "alive");
    struct granite_occasion_report report = {.kind = GRANITE_KIND_DROP_SITE,
                                             .owner_tid = mistake->origin->tid,
                                             .fingerprint = mistake->fingerprint,
                                             .subject = mistake->label,
                                             .message = mistake->message,
                                             .owner_name = mistake->origin->thread_name,
                                             .created_ns = mistake->origin->created_ns,
                                             .creation_frames = mistake->origin->frames,
                                             .creation_frame_count = mistake->origin->frame_count,
                                             .details = details};
    return granite_capture_occasion(&report);
}

/// The policy plus one; 0 = not read yet.
static uint32_t policy_word;

/// Any thread, not a signal handler: getenv. Two threads that read it first read the same.
enum granite_thread_policy granite_thread_policy(void) {
    uint32_t word = __atomic_load_n(&policy_word, __ATOMIC_RELAXED);
    if (word == 0) {
        const char *name = getenv("GRANITE_THREAD_BOUND");
        enum granite_thread_policy policy = GRANITE_POLICY_REPORT;
        if (name && strcmp(name, "abort") == 0) policy = GRANITE_POLICY_ABORT;
        if (name && strcmp(name, "off") == 0) policy = GRANITE_POLICY_OFF;
        word = (uint32_t)policy + 1;
        uint32_t unread = 0;
        // Who set it meanwhile knows better.
        if (!__atomic_compare_exchange_n(&policy_word, &unread, word, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            word = unread;
    }
    return (enum granite_thread_policy)(word - 1);
}

/// Any thread.
void granite_thread_policy_set(enum granite_thread_policy policy) {
    __atomic_store_n(&policy_word, (uint32_t)policy + 1, __ATOMIC_RELAXED);
}
