// Notes every exception of C++ and panic of Rust in the crash page as it is raised: both runtimes come through
// _Unwind_RaiseException, also for `throw;` and std::rethrow_exception. Forced unwinding (pthread_cancel) does not, and is nobody's
// exception. Not seen: code that has its unwinder built in (-static-libgcc), or was opened with RTLD_DEEPBIND.

#define _GNU_SOURCE
#include "throws.h"

#include <granite_capture.h>
#include <string.h>
#include <time.h>
#include <unwind.h>

#include "throw_stack.h"
#include "throw_type.h"
#include "throw_unwinder.h"

/// Of a panic so many frames make it the same one: the machinery of the panic has about ten.
enum { telling_frames = 14 };

/// The objects that were thrown, entry for entry of page.throws: known by their address while they are raised again.
static const void *objects[GRANITE_MAX_THROWS];

/// Call before any throw.
__attribute__((constructor)) void granite_throws_start(void) { granite_throw_unwinder_load(); }

/// The entry of a new throw, its sequence odd; NULL if another thread is still writing what was there.
static struct granite_throw *begin_entry(struct granite_crash_page *page, uint32_t *number) {
    *number = __atomic_fetch_add(&page->throw_count, 1, __ATOMIC_RELAXED);
    struct granite_throw *entry = &page->throws[*number % GRANITE_MAX_THROWS];
    uint32_t sequence = __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED);
    if (sequence & 1) return NULL;
    if (!__atomic_compare_exchange_n(&entry->sequence, &sequence, sequence + 1, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return NULL;
    return entry;
}

static void end_entry(struct granite_throw *entry) {
    __atomic_store_n(&entry->sequence, entry->sequence + 1, __ATOMIC_RELEASE);
}

/// The newest entry of `object`; NULL if there is none. `is_last`: nothing was thrown since.
static const struct granite_throw *find_entry(const struct granite_crash_page *page, const void *object,
                                              bool *is_last) {
    uint32_t count = __atomic_load_n(&page->throw_count, __ATOMIC_RELAXED);
    for (uint32_t back = 1; back <= GRANITE_MAX_THROWS && back <= count; back++) {
        uint32_t index = (count - back) % GRANITE_MAX_THROWS;
        if (__atomic_load_n(&objects[index], __ATOMIC_RELAXED) != object) continue;
        *is_last = back == 1;
        return &page->throws[index];
    }
    return NULL;
}

/// False if another thread writes there meanwhile.
static bool copy_entry(struct granite_throw *copy, const struct granite_throw *entry) {
    uint32_t sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
    memcpy(copy, entry, sizeof *copy);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return (sequence & 1) == 0 && __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED) == sequence;
}

/// Notes an exception that is raised again with the place of its first throw. False if that is not known any more.
static bool record_again(struct granite_crash_page *page, const struct granite_thrown *thrown, uint32_t tid,
                         uint64_t now_ns) {
    bool is_last = false;
    const struct granite_throw *known = find_entry(page, thrown->object, &is_last);
    if (!known) return false;
    if (is_last && __atomic_load_n(&known->tid, __ATOMIC_RELAXED) == tid) return true;
    struct granite_throw first;
    if (!copy_entry(&first, known)) return false;
    uint32_t number;
    struct granite_throw *entry = begin_entry(page, &number);
    if (!entry) return true;
    uint32_t sequence = entry->sequence;
    first.sequence = sequence;
    first.tid = tid;
    first.language |= GRANITE_THROW_AGAIN;
    first.time_ns = now_ns;
    memcpy(entry, &first, sizeof first);
    __atomic_store_n(&objects[number % GRANITE_MAX_THROWS], thrown->object, __ATOMIC_RELAXED);
    end_entry(entry);
    return true;
}

/// Captures all threads at a panic, the first time at each place: afterwards it may be caught, and nothing is left of it.
static void report_panic(const uint64_t *frames, uint32_t count) {
    size_t length = (count < telling_frames ? count : telling_frames) * sizeof *frames;
    uint64_t fingerprint = granite_fingerprint_add(GRANITE_FINGERPRINT_BASIS, frames, length);
    struct granite_occasion_report report = {
        .kind = GRANITE_KIND_PANIC, .fingerprint = fingerprint | 1, .message = "a Rust panic", .details = "hook=rust\n"};
    if (granite_occasion_count(report.kind, report.fingerprint, NULL, report.message)) granite_capture_occasion(&report);
}

static void record(const struct _Unwind_Exception *exception, struct granite_throw_place *place) {
    struct granite_crash_page *page = granite_capture_page();
    if (!page) return;
    struct granite_thrown thrown = granite_throw_describe(exception);
    uint32_t tid = granite_capture_thread_id();
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    place->now_ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    if (thrown.is_again && record_again(page, &thrown, tid, place->now_ns)) return;

    place->is_rare = thrown.language == GRANITE_THROW_RUST;
    uint64_t frames[GRANITE_MAX_THROW_FRAMES];
    uint32_t count = granite_throw_stack(place, frames, GRANITE_MAX_THROW_FRAMES);
    uint32_t number;
    struct granite_throw *entry = begin_entry(page, &number);
    if (entry) {
        __atomic_store_n(&objects[number % GRANITE_MAX_THROWS], thrown.object, __ATOMIC_RELAXED);
        entry->tid = tid;
        entry->time_ns = place->now_ns;
        entry->language = thrown.language;
        entry->frame_count = count;
        memcpy(entry->frames, frames, count * sizeof frames[0]);
        size_t length = strnlen(thrown.type, sizeof entry->type - 1);
        memcpy(entry->type, thrown.type, length);
        entry->type[length] = 0;
        entry->message[0] = 0;
        end_entry(entry);
    }
    if (place->is_rare) report_panic(frames, count);
}

/// Instead of the unwinder's: notes the exception, and goes on there as if it had been called at once. The jump leaves no frame of ours.
__attribute__((visibility("default"))) _Unwind_Reason_Code _Unwind_RaiseException(struct _Unwind_Exception *exception) {
    struct granite_throw_place place = {.caller = (uintptr_t)__builtin_return_address(0)};
    struct granite_unwinder_functions unwinder = granite_throw_unwinder(place.caller);
    if (!unwinder.raise) return _URC_FATAL_PHASE1_ERROR;
    place.unwinder = &unwinder;
    // Above the frame pointer and the return address that the call left.
    place.frame = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(uintptr_t);
    record(exception, &place);
    __attribute__((musttail)) return unwinder.raise(exception);
}
