// The state of the capture core and what its files offer each other. Not for other modules.
//
// A file is either reachable from a signal handler (core, handler, chain, actions, capture_stack, descriptors, park,
// walk, watchdog, mappings, snapshot, memory_server, modules, frame_pointers, thread_home, breadcrumbs, capture_now, occasions, dump)
// or only called before a crash (install, page, actions_interpose, chain_load, alternate_stack, signal_mask, walk_load, modules_load, fork)
// or by a healthy thread (wrong_thread, bind).
// Tests/GraniteCaptureTests checks the undefined symbols of the first kind against a list.

#ifndef GRANITE_CORE_H
#define GRANITE_CORE_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include "granite_capture.h"

#pragma GCC visibility push(hidden)

/// Which file a descriptor stood for when it was given to us.
struct granite_descriptor {
    uint64_t device;
    uint64_t inode;
};

/// Everything a handler needs. Lives in .bss, not in the page, so that a broken page cannot keep the process from
/// dying.
struct granite_core {
    bool installed;
    struct granite_crash_page *page;
    int page_fd;
    int memory_socket;
    bool page_is_writable;  ///< granite_descriptors_check found page_fd whole
    bool socket_is_usable;  ///< and memory_socket
    struct granite_descriptor page_identity;
    struct granite_descriptor socket_identity;
    char *snapshot_area;  ///< the page's snapshot area, mapped for the case that page_fd is lost; or NULL
    int spare_fd;  ///< closed when a dying process has no free descriptor left (EMFILE)
    pid_t pid;
    uint32_t level;
    int park_signal;
    uint64_t park_deadline_ns;
    uint64_t serve_deadline_ns;
    size_t stack_bytes;
    size_t crashed_stack_bytes;

    int dump_signal;
    uint32_t dump_ticket;  ///< the last that was answered, touched only while the gate is held

    uint32_t gate;      ///< thread id of the capturing thread, 0 = free
    uint32_t parking;   ///< futex: sequence of the capture that holds its threads, 0 = threads may go
    uint32_t parked;    ///< futex: threads that stored their registers
    uint32_t expected;  ///< threads that were asked to
    struct sigaction previous_profile_action;  ///< what SIGPROF did before a capture needed it

    int first_signal;  ///< the signal that the process shall die of; 0 on the drop-site road
    siginfo_t first_information;
    bool dying;  ///< Z has begun

    bool guarded;  ///< a fault now returns to `guard`
    sigjmp_buf guard;

    uint64_t tokens_updated_ns;  ///< rate limit of the drop-site road, touched only while the gate is held
    uint32_t tokens;

    struct {
        uint64_t attempted_ns;  ///< CLOCK_MONOTONIC when a report was last asked for, 0 = never
        uint64_t reported_ns;   ///< CLOCK_MONOTONIC of the last report
    } occasions[GRANITE_MAX_OCCASIONS];  ///< as in the page
};
extern struct granite_core granite_core;

// core.c
/// Async-signal-safe. A child of fork(2) has another thread id.
void granite_thread_id_forget(void);

// thread_home.c
/// Async-signal-safe. As granite_thread_id_forget, and after it.
void granite_thread_home_forget(void);

// handler.c
/// Async-signal-safe. SA_SIGINFO handler of the fatal signals.
void granite_handle_fatal(int signal, siginfo_t *information, void *context);
/// Async-signal-safe. Clears page.capture for a new capture by `tid` and stores what is known at entry (stage A).
void granite_capture_begin(uint32_t kind, uint32_t tid, const ucontext_t *context, uint64_t entered_ns);
/// Async-signal-safe. Stages B to E for the thread that holds the gate. `in_handler` tells how `context` was made.
/// `context` of a signal also tells the stack that the signal interrupted, if it came on an alternate one.
void granite_capture_run(const ucontext_t *context, bool in_handler);
/// Async-signal-safe. Stores the stage, so that a reader who sees it may read all before it.
void granite_capture_publish(uint32_t stage);
/// The signals that kill, and for which the handler is installed.
enum { granite_fatal_signal_count = 7 };
extern const int granite_fatal_signals[granite_fatal_signal_count];
/// Async-signal-safe. All signals but those that a fault raises in the thread itself: a fault while its signal is
/// blocked kills at once (sigaction(2)).
void granite_fill_handler_mask(sigset_t *mask);

// park.c
/// Async-signal-safe. SA_SIGINFO handler of the park signal and, during a capture, of SIGPROF.
void granite_handle_park(int signal, siginfo_t *information, void *context);
/// Async-signal-safe. Stage B.
void granite_park_all(void);
/// Async-signal-safe. Lets the parked threads go: the drop-site road.
void granite_park_release(void);
/// Async-signal-safe. Gives SIGPROF back to the program, if a capture took it and the action is none that kills.
void granite_park_return_profile_signal(bool in_child);
/// Async-signal-safe. For a thread that faults while another one captures: stores its registers for that capture,
/// waits. Returns when that capture let its threads go.
void granite_park_faulted(const ucontext_t *context);
/// Async-signal-safe but for what the program's handler does. Gives a signal whose handler is ours, but which is not
/// from us, to the handler that the program wants for it.
void granite_park_pass_on(int signal, siginfo_t *information, void *context);

// dump.c
/// Async-signal-safe. SA_SIGINFO handler of the dump signal.
void granite_handle_dump(int signal, siginfo_t *information, void *context);

// occasions.c
/// Async-signal-safe. Copies at most capacity - 1 bytes of `text`, NULL being the empty string, and ends them with a NUL.
void granite_store_text(char *field, size_t capacity, const char *text);
/// Async-signal-safe. A report of `fingerprint` is asked for.
void granite_occasion_note_attempt(uint64_t fingerprint);
/// Async-signal-safe. The occasion of `fingerprint` has a report now.
void granite_occasion_note_report(uint64_t fingerprint);

// walk.c
/// Async-signal-safe. Stage C: instruction pointers of `context`, innermost first, into the page.
void granite_walk(const ucontext_t *context, bool signal_frame);
/// libunwind's functions, resolved by granite_walk_load. NULL = not available.
struct granite_unwinder {
    int (*initialize)(void *cursor, void *context, int flags);
    int (*step)(void *cursor);
    int (*get_register)(void *cursor, int number, uint64_t *value);
};
extern struct granite_unwinder granite_unwinder;

// mappings.c
struct granite_mapping {
    uint64_t start;
    uint64_t end;
    bool readable;
};
/// Async-signal-safe. Copies /proc/self/maps into the page and keeps the ranges for the functions below.
void granite_mappings_read(void);
/// Async-signal-safe. The mapping that holds `address`; else the first above it, if it starts within `reach` bytes;
/// else NULL.
const struct granite_mapping *granite_mapping_at(uint64_t address, uint64_t reach);
/// Async-signal-safe. The vdso, or NULL.
const struct granite_mapping *granite_mapping_vdso(void);

// capture_stack.c
/// Async-signal-safe. Runs `body(argument)` on the stack that is kept for captures. Only for the thread that holds the
/// gate, in a signal handler that keeps it until this returned.
void granite_run_on_capture_stack(void (*body)(void *), void *argument);

// descriptors.c
/// Async-signal-safe. What `descriptor` stands for; zeros if it is closed.
struct granite_descriptor granite_descriptor_identify(int descriptor);
/// Async-signal-safe. Whether `descriptor` still stands for that.
bool granite_descriptor_is(int descriptor, struct granite_descriptor expected);
/// Async-signal-safe. Finds out whether page_fd and memory_socket may be used: the program may have closed them, or
/// given their number to another file, and we must not write into that.
void granite_descriptors_check(void);

// watchdog.c
/// Async-signal-safe. After `limit_ns` of its processor time, or eight times as long, a fault is raised in the calling
/// thread, for walks that never end by themselves.
/// Where the kernel has no timer for us there is none.
void granite_watchdog_begin(uint64_t limit_ns);
/// Async-signal-safe.
void granite_watchdog_end(void);
/// Async-signal-safe. Whether a signal is the watchdog's, maybe too late.
bool granite_watchdog_sent(int signal, const siginfo_t *information);

// snapshot.c
/// Async-signal-safe. Stage D. `interrupted`: the context of the signal, NULL on the drop-site road.
void granite_snapshot_take(const ucontext_t *interrupted);
/// Async-signal-safe. Starts the snapshot area anew.
void granite_snapshot_reset(void);
/// Async-signal-safe. Appends bytes of this process to the snapshot area; returns their offset in the memfd and how
/// many.
uint64_t granite_snapshot_append(const void *bytes, size_t length, size_t *copied);

// memory_server.c
/// Async-signal-safe. Stage E.
void granite_memory_serve(void);

// modules.c
typedef int (*granite_module_callback)(void *information, size_t size, void *data);
/// Async-signal-safe. While frozen, dl_iterate_phdr serves the snapshot and takes no lock.
void granite_modules_freeze(bool frozen);

// modules_load.c
/// Async-signal-safe. In a child of fork(2): a thread that did not come along may have held the lock.
void granite_modules_forget_lock(void);
/// Call before any crash. Resolves the C library's dl_iterate_phdr and runs it.
int granite_modules_next(granite_module_callback callback, void *data);

// walk_load.c
/// Call before any crash. Opens libunwind and walks once, so that nothing is initialized lazily in a handler.
void granite_walk_load(void);

// alternate_stack.c
/// Call before any crash. Opens the signals of faults, the park and the dump signal in the calling thread, whoever
/// blocked them, and gives it an alternate stack. Returns 0 or an errno value.
int granite_alternate_stack_install(void);

// page.c
/// Async-signal-safe. Maps the fixed part of the page, at `place` instead of what is mapped there, or anywhere if that
/// is NULL, and takes its descriptor. Returns 0 or an errno value (EPROTO: it is no page of this version).
int granite_page_map(int fd, struct granite_crash_page *place);

// fork.c
/// Call before any crash. A child of fork(2) shall not write into its parent's page.
int granite_fork_watch(void);

#pragma GCC visibility pop

#endif
