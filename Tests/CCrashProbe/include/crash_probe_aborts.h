// Programs that end themselves, or are stopped by the CPU or the kernel for something else than memory.

#ifndef CRASH_PROBE_ABORTS_H
#define CRASH_PROBE_ABORTS_H

/// free(3) twice of a small block: found by the thread's cache.
int granite_probe_tcache_double_free(void);
/// free(3) of an address inside a block.
int granite_probe_free_inside(void);
/// free(3) of a variable on the stack.
int granite_probe_free_stack(void);
/// Writes over the size of the next block, and frees.
int granite_probe_overrun(void);
/// Writes over the size of the top of the heap, and allocates.
int granite_probe_overrun_top(void);
/// assert(3).
int granite_probe_assert(int value);
/// raise(SIGABRT).
int granite_probe_raise_abort(void);
/// kill(getpid(), SIGABRT).
int granite_probe_kill_abort(void);
/// error(3): a message and exit code 3.
int granite_probe_error(void);
/// The smallest number divided by -1: SIGFPE.
int granite_probe_divide_smallest(int divisor);
/// ud2 without Swift: SIGILL.
int granite_probe_undefined(void);
/// Calls getpriority(2) after a seccomp filter refused it with SECCOMP_RET_TRAP: SIGSYS.
int granite_probe_forbidden_call(void);
/// Opens a library and calls its function `granite_probe_library`.
int granite_probe_call_in(const char *_Nonnull library);

#endif
