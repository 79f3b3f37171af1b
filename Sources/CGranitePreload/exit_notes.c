// Notes the code that a process ends with, by interposing the functions that end it: the guardian is no parent of most
// processes that it watches, and cannot wait for them. exit_group(2) called past the C library (Go) is not seen.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <granite_capture.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

#define INTERPOSED __attribute__((visibility("default"))) _Noreturn

typedef void (*exit_function)(int);
static exit_function next_exit;
static exit_function next_quick_exit;
static exit_function next_immediate_exit;

/// Async-signal-safe: getpid (signal-safety(7)). A child between vfork(2) and execve(2) has its parent's memory: its
/// end is not that of the page's process.
static void note(int code) {
    struct granite_crash_page *page = granite_capture_page();
    if (page && __atomic_load_n(&page->pid, __ATOMIC_ACQUIRE) == (uint32_t)getpid())
        __atomic_store_n(&page->exit_note, GRANITE_EXIT_NOTED | ((uint32_t)code & 0xff), __ATOMIC_RELEASE);
}

/// Async-signal-safe once granite_exit_notes_load has run, as far as the C library's function is.
static _Noreturn void leave(exit_function next, int code) {
    if (next) next(code);
    // Only if there is no such function, or it returned, which none does.
    for (;;) syscall(SYS_exit_group, code);
}

/// Runs last of all that run at exit, with the code that main returned or exit(3) was given.
static void note_at_exit(int code, void *unused) {
    (void)unused;
    note(code);
}

/// Call before any crash: dlsym locks and may allocate.
void granite_exit_notes_load(void) {
    next_exit = (exit_function)dlsym(RTLD_NEXT, "exit");
    next_quick_exit = (exit_function)dlsym(RTLD_NEXT, "quick_exit");
    next_immediate_exit = (exit_function)dlsym(RTLD_NEXT, "_exit");
}

/// Call before any crash. on_exit(3) is glibc's; with another C library a return from main would go without a note.
void granite_exit_notes_begin(void) { on_exit(note_at_exit, NULL); }

/// Interposes exit(3): what runs at exit may crash, and its code is known before.
INTERPOSED void exit(int code) {
    note(code);
    if (!next_exit) granite_exit_notes_load();  // the constructor of another library
    leave(next_exit, code);
}

/// Interposes quick_exit(3).
INTERPOSED void quick_exit(int code) {
    note(code);
    if (!next_quick_exit) granite_exit_notes_load();
    leave(next_quick_exit, code);
}

/// Interposes _exit(2). Async-signal-safe.
INTERPOSED void _exit(int code) {
    note(code);
    leave(next_immediate_exit, code);
}

/// Interposes C's name of it. Async-signal-safe.
INTERPOSED void _Exit(int code) {
    note(code);
    leave(next_immediate_exit, code);
}
