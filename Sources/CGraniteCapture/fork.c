// A child of fork(2) that never calls execve(2) (multiprocessing) is not the worker: its crash must not be told as the
// worker's, and its stores must not reach the worker's page.

#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

/// Async-signal-safe: sigaction. A handler that came after ours (faulthandler) is the child's own business.
static void reset_if_ours(int signal) {
    struct sigaction action;
    if (sigaction(signal, NULL, &action) != 0) return;
    if (!(action.sa_flags & SA_SIGINFO) || action.sa_sigaction != granite_handle_fatal) return;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
}

/// Async-signal-safe: sigaction.
static void leave_signals(void) {
    granite_core.installed = false;
    for (int i = 0; i < granite_fatal_signal_count; i++) reset_if_ours(granite_fatal_signals[i]);
    granite_park_return_profile_signal(true);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;  // a late park signal must not kill it
    sigaction(granite_core.park_signal, &action, NULL);
}

/// Async-signal-safe, as all in a child of a threaded process must be (fork(2)): sigaction, mmap, close.
static void leave_in_child(void) {
    granite_thread_id_forget();
    if (!granite_core.page) return;
    if (granite_core.installed) leave_signals();
    // Memory of its own in the page's place: those who keep the pointer store into nothing.
    mmap(granite_core.page, sizeof *granite_core.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
         -1, 0);
    if (granite_core.memory_socket >= 0) close(granite_core.memory_socket);
    if (granite_core.page_fd >= 0) close(granite_core.page_fd);
    granite_core.memory_socket = -1;
    granite_core.page_fd = -1;
    granite_core.gate = 0;
    granite_core.parking = 0;
}

/// Call before any crash.
int granite_fork_watch(void) { return pthread_atfork(NULL, NULL, leave_in_child); }
