// Children of fork(2) that go on without execve(2): the workers of Gunicorn and uWSGI, multiprocessing. Each gets a
// page and a socket of its own. A child of vfork(2), posix_spawn(3), _Fork(3) or clone(2) itself is covered from its
// execve(2) on: no handler of pthread_atfork(3) runs there.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>

#include "preload.h"

/// Async-signal-safe, as all in a child of a threaded process must be (fork(2)). The core has left the parent's
/// capture: handlers of a child run in the order of their registration. If nobody listens any more the child stays
/// without one.
static void follow_in_child(void) {
    int saved_errno = errno;
    if (!granite_preload_is_sandboxed()) granite_preload_join(GRANITE_RUN_FORK);
    errno = saved_errno;
}

/// Call before any crash.
void granite_fork_follow(void) { pthread_atfork(NULL, NULL, follow_in_child); }
