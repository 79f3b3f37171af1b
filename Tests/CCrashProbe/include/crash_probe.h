// Crashes that Swift cannot make, each in a function whose name a test can expect in the report.

#ifndef CRASH_PROBE_H
#define CRASH_PROBE_H

#include <stddef.h>
#include <stdint.h>

/// Reads address 0.
int granite_probe_null_read(void);
/// Writes address 8.
int granite_probe_null_write(void);
/// Calls address 0.
int granite_probe_null_call(void);
/// Reads a non-canonical address: SIGSEGV with si_code SI_KERNEL and no address.
int granite_probe_wild(void);
/// abort(3), one C frame below.
int granite_probe_abort(void);
/// Recurses until the stack ends.
int granite_probe_overflow(int depth);
/// Integer division by zero: SIGFPE.
int granite_probe_divide(int divisor);
/// Reads a mapping whose file was cut: SIGBUS.
int granite_probe_bus(void);
/// int3: SIGTRAP.
int granite_probe_trap(void);
/// free(3) twice: glibc aborts.
int granite_probe_double_free(void);

/// Opens a library and crashes in what its function `outer` calls back, all of it from frames.c.
int granite_probe_through(const char *_Nonnull library);
/// The same, after the file at `LIBRARY.new` has taken the loaded library's name.
int granite_probe_through_replaced(const char *_Nonnull library);
/// The same with a copy in a memfd.
int granite_probe_through_memfd(const char *_Nonnull library);
/// Crashes in what two generated functions call, one without and one with a frame pointer.
int granite_probe_through_generated(void);
/// A signal handler crashes that interrupted a loop, on this stack or the alternate one.
int granite_probe_in_handler(int on_alternate_stack);
/// Crashes below a return address that was overwritten.
int granite_probe_smashed(void);
/// Returns to an address that is none.
int granite_probe_return_wild(void);
/// Calls an address where nothing is.
int granite_probe_call_wild(void);
/// Crashes on a stack of makecontext(3).
int granite_probe_in_coroutine(void);
/// Crashes below qsort(3), variable arguments and alloca(3).
int granite_probe_odd_frames(void);

/// Runs `body` on a new pthread with a stack of `stack_bytes` and joins it.
int granite_probe_on_thread(size_t stack_bytes, int (*_Nonnull body)(void));
/// Starts `count` threads, which sleep in nanosleep, futex, read or pause for ever; returns when all do, at least have begun.
int granite_probe_sleepers(int count);
/// RLIMIT_SIGPENDING 0: from now on real-time signals cannot be queued (EAGAIN).
void granite_probe_forbid_queued_signals(void);
/// Starts a thread that blocks every signal but `open` (0: none) by the system call itself, and sleeps.
int granite_probe_deaf_thread(int open);
/// The default action for SIGPROF, as a profiler leaves it.
void granite_probe_default_profile_signal(void);
/// A handler of the program's own for SIGPROF.
void granite_probe_take_profile_signal(void);
/// 1 if SIGPROF still has the program's own handler.
int granite_probe_has_profile_signal(void);
/// Opens files until the process has no free descriptor.
int granite_probe_use_all_descriptors(void);
/// Starts a thread that stays inside a dl_iterate_phdr callback; returns once it is there.
int granite_probe_hold_dl_iterate_phdr(void);
/// Starts a thread that blocks all but SIGSEGV by the system call itself, and reads address 0 once `*word` is not 0.
int granite_probe_fault_when_set(const uint64_t *_Nonnull word);
/// Two threads fault at the same moment.
int granite_probe_two_at_once(void);
/// Makes part of the page unwritable, so that the capture faults itself.
int granite_probe_break_page(void *_Nonnull start, size_t length);
/// A child sends SIGSEGV to this process. Does not return.
int granite_probe_killed_by_child(void);
/// Forks a child that crashes; returns the child's wait status.
int granite_probe_crash_in_fork(void);
/// Takes SIGSEGV for a handler that ends the process with code 9, and forks a child that crashes; returns its wait status.
int granite_probe_crash_in_fork_with_handler(void);
/// Runs `body` in a child of fork(2) that then ends with code 0; returns its wait status.
int granite_probe_in_fork(void (*_Nonnull body)(void));
/// Calls `body` on a stack of its own below this thread's, as a coroutine, whose oldest frame says that its caller is in
/// memory between the two that may not be read.
void granite_probe_on_foreign_stack(void (*_Nonnull body)(void));
/// Opens a C++ library and runs its function `probe`: throws and catches. Returns the value it caught, or -1.
int granite_probe_throw_in(const char *_Nonnull library);
/// 1 if _Unwind_RaiseException, as a loaded library sees it, lies in libgcc_s.
int granite_probe_raise_binds_to_libgcc(const char *_Nonnull library);

/// From now on any system call but exit(2) ends the process by SIGSYS (seccomp(2)).
void granite_probe_forbid_system_calls(void);
/// Ends this thread, and with the last one the process, by exit(2): exit_group is forbidden by then.
_Noreturn void granite_probe_end_thread(int status);

#endif
