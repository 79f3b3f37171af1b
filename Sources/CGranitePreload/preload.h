// What the files of the preloaded library offer each other. Not for other modules.

#ifndef GRANITE_PRELOAD_INTERNAL_H
#define GRANITE_PRELOAD_INTERNAL_H

#include <granite_run.h>
#include <stdbool.h>

#pragma GCC visibility push(hidden)

// preload.c
/// Async-signal-safe but for granite_capture_install. Puts this process under capture and says hello. False if nobody
/// listens, or a limit of the process is in the way: then no handler is installed.
bool granite_preload_join(enum granite_run_origin origin);
/// Async-signal-safe. Moves a descriptor out of the program's way, close-on-exec; -1 if that, or it, is not possible.
int granite_preload_raise(int descriptor);
/// Call before any crash: dladdr locks. The load address of what holds `address`, or NULL.
void *granite_preload_base_of(const void *address);
/// Async-signal-safe. Whether seccomp(2) took hold since the program started.
bool granite_preload_is_sandboxed(void);

// hello.c
/// Call before any crash. Keeps the guardian's address; false if it is none.
bool granite_hello_address(const char *text);
/// Async-signal-safe. A connection to the guardian, or -1.
int granite_hello_connect(void);
/// Async-signal-safe. Sends the one message.
void granite_hello_send(int connection, enum granite_run_origin origin, int page_fd, int collector_end);

// unwinder_pipe.c
/// Call before any crash. From now on all pipes are made at numbers out of the program's way,
void granite_unwinder_pipe_begin(void);
/// Call before any crash. and from now on only those of libunwind.
void granite_unwinder_pipe_end(void);

// fork.c
/// Call before any crash, after granite_capture_install. Children of fork(2) are captured, too.
void granite_fork_follow(void);

// exit_notes.c
/// Call before any crash. Resolves the C library's functions.
void granite_exit_notes_load(void);
/// Call before any crash, after granite_capture_install.
void granite_exit_notes_begin(void);

// python_entry.c
typedef int (*granite_audit_function)(const char *event, void *arguments, void *data);
typedef int (*granite_add_hook_function)(granite_audit_function hook, void *data);
/// Call before any crash, before Py_Initialize. Calls PySys_AddAuditHook.
bool granite_python_add_hook(granite_add_hook_function add, granite_audit_function hook);
/// With the GIL held. The hook is told of `cpython._PySys_ClearAuditHooks`.
void granite_python_before_clear(void);

// python_start.c
/// Call before any crash. Has the hooks installed once an interpreter in this program is ready.
void granite_python_await(void);

#pragma GCC visibility pop

#endif
