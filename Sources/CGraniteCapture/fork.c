// A child of fork(2) that never calls execve(2) (multiprocessing) is not the worker: its crash must not be told as the
// worker's, and its stores must not reach the worker's page.

#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "actions.h"
#include "core.h"

/// Async-signal-safe.
static bool is_ours(const struct sigaction *action) {
    return action->sa_flags & SA_SIGINFO &&
           (action->sa_sigaction == granite_handle_fatal || action->sa_sigaction == granite_handle_park ||
            action->sa_sigaction == granite_handle_dump);
}

/// Async-signal-safe: sigaction. The child gets what the program wanted (faulthandler's handler); one that came past us
/// is its own business. No signal is pending in a new child (fork(2)), so none of ours comes late.
static void reset_if_ours(int signal) {
    struct sigaction action;
    if (granite_action_change(signal, NULL, &action) != 0) return;
    if (!is_ours(&action)) return;
    if (granite_action_recall(signal, &action)) granite_action_change(signal, &action, NULL);
}

/// Async-signal-safe: sigaction.
static void leave_signals(void) {
    granite_core.installed = false;
    for (int i = 0; i < granite_fatal_signal_count; i++) reset_if_ours(granite_fatal_signals[i]);
    reset_if_ours(granite_core.park_signal);
    reset_if_ours(granite_core.dump_signal);
    granite_park_return_profile_signal(true);
}

/// Async-signal-safe, as all in a child of a threaded process must be (fork(2)): sigaction, mmap, close.
static void leave_in_child(void) {
    granite_thread_id_forget();
    granite_thread_home_forget();
    if (!granite_core.page) return;
    if (granite_core.installed) leave_signals();
    uint64_t python_runtime = granite_core.page->python_runtime;
    uint32_t python_version = granite_core.page->python_version;
    // Memory of its own in the page's place: those who keep the pointer store into nothing.
    mmap(granite_core.page, sizeof *granite_core.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
         -1, 0);
    granite_capture_set_python(python_runtime, python_version);
    if (granite_core.snapshot_area) munmap(granite_core.snapshot_area, GRANITE_SNAPSHOT_CAPACITY);
    granite_core.snapshot_area = NULL;
    // The program may have closed them, and given their numbers to files of its own.
    if (granite_descriptor_is(granite_core.memory_socket, granite_core.socket_identity))
        close(granite_core.memory_socket);
    if (granite_descriptor_is(granite_core.page_fd, granite_core.page_identity)) close(granite_core.page_fd);
    granite_core.memory_socket = -1;
    granite_core.page_fd = -1;
    // A thread that did not come along may have been in the middle of a capture.
    granite_core.gate = 0;
    granite_core.parking = 0;
    granite_core.guarded = false;
    granite_core.first_signal = 0;
    granite_modules_freeze(false);
    granite_modules_forget_lock();
}

/// Call before any crash.
int granite_fork_watch(void) { return pthread_atfork(NULL, NULL, leave_in_child); }
